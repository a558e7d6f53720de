"""Quick, Draw! .ndjson files, simplified or raw: one drawing of one class per line.

Source: https://github.com/googlecreativelab/quickdraw-dataset#the-raw-moderated-dataset. The coordinates of simplified
drawings are whole numbers; raw ones come with times, and are simplified here as the dataset does it.
"""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import from_json

from training.recipe.errors import DataError
from training.sketch.drawings import SPLITS, Inks, choose_split
from training.sketch.simplification import simplify_drawings

_MOST_LINE_BYTES = 16 * 2**20  # the longest official line, of a raw drawing, has about one MiB
_AT_ONCE = 64  # raw drawings


def read_ndjson(path: Path, recognized_only: bool = False, most: int | None = None) -> dict[str, Inks]:
    """Reads one class, line by line. Drawings go by key_id: eight tenths to train, a tenth each to valid and test.

    Args:
        path: the file.
        recognized_only: leave out what the game did not recognize.
        most: read this many drawings from the start of the file; None for all.

    Raises:
        DataError: a line is damaged or no drawing; names its number.
    """
    splits = {split: _Packer() for split in SPLITS}
    for count, (line, record) in enumerate(_records(path, recognized_only)):
        if count == most:
            break
        try:
            splits[choose_split(str(int(record["key_id"])).encode())].add(record["drawing"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{path}, line {line}: {_explain(error)}") from None
    try:
        return {split: packer.finish() for split, packer in splits.items()}
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None


def _records(path: Path, recognized_only: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as file:
        number = 0
        while text := file.readline(_MOST_LINE_BYTES):
            number += 1
            if len(text) == _MOST_LINE_BYTES:
                raise DataError(f"{path}, line {number}: longer than {_MOST_LINE_BYTES:,} bytes; is it .ndjson?")
            try:
                record = from_json(text, cache_strings="keys")
                if not recognized_only or record["recognized"]:
                    yield number, record
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{path}, line {number}: {_explain(error)}") from None


def _explain(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no {error.args[0]!r}; expected an object with key_id, drawing and recognized"
    return f"{error}; expected an object with key_id and drawing [[[x…], [y…]], …]"


class _Packer:
    """Gathers the drawings of one split in flat arrays: two bytes per number."""

    def __init__(self) -> None:
        self._x, self._y = array("h"), array("h")
        self._strokes, self._drawings = array("q"), array("q")  # ends
        self._raw: list[Any] = []
        self._simplified: list[Inks] = []

    def add(self, drawing: Any) -> None:
        """Takes one drawing; raises ValueError or TypeError if it is none."""
        if not drawing:
            raise ValueError("a drawing without strokes")
        points, strokes = len(self._x), len(self._strokes)
        try:
            self._add_whole(drawing)
        except _UnevenError:
            raise
        except (TypeError, ValueError, OverflowError):  # it has times, fractions or large numbers
            del self._x[points:], self._y[points:], self._strokes[strokes:]
            self._add_raw(drawing)

    def finish(self) -> Inks:
        """All that was added; the raw ones after the simplified ones."""
        self._simplify()
        points = np.zeros((len(self._x), 3), np.int16)
        points[:, 0], points[:, 1] = self._x, self._y
        points[np.array(self._strokes, np.int64) - 1, 2] = 1
        return Inks.join([Inks(points, np.array(self._drawings, np.int64)), *self._simplified])

    def _add_whole(self, drawing: Any) -> None:
        for x, y in drawing:
            self._x.fromlist(x)
            self._y.fromlist(y)
            if len(x) != len(y) or not x:
                raise _UnevenError(f"a stroke of {len(x)} x and {len(y)} y")
            self._strokes.append(len(self._x))
        self._drawings.append(len(self._x))

    def _add_raw(self, drawing: Any) -> None:
        for stroke in drawing:
            rows = np.array(stroke, np.float64)
            if rows.ndim != 2 or len(rows) not in (2, 3) or not rows.shape[1]:
                raise ValueError(f"a stroke of shape {rows.shape}")
            if not np.isfinite(rows[:2]).all():
                raise ValueError("a coordinate that is not finite")
        self._raw.append(drawing)
        if len(self._raw) == _AT_ONCE:
            self._simplify()

    def _simplify(self) -> None:
        if self._raw:
            self._simplified.append(simplify_drawings(self._raw))
            self._raw = []


class _UnevenError(ValueError):
    pass
