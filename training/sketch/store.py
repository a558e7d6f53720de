"""Keeps parsed drawings as flat .npy files, which later runs map into memory instead of parsing again.

A folder per data set: for each split `<split>_points.npy` (int16 [total, 3]; float32 where a file has fractions),
`<split>_ends.npy` (int64) and `<split>_classes.npy` (int32), and `dataset.json`. It appears whole or not at all.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.recipe.errors import DataError
from training.sketch.drawings import SPLITS, Dataset, Drawings, Inks

_LAYOUT = 1  # raise it whenever a reader gives other drawings for the same file
_AT_ONCE = 4_000_000  # points


def make_key(files: Sequence[Path], options: Mapping[str, Any]) -> str:
    """Names what a reader makes of these files with these options; changes when a file does."""
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    folders = sorted({str(path.parent.resolve()) for path in files})
    return hashlib.sha256(json.dumps([_LAYOUT, folders, stats, options]).encode()).hexdigest()[:24]


def keep(
    cache_dir: Path, key: str, labels: tuple[str, ...], parts: Callable[[], Iterator[dict[str, Drawings]]]
) -> Dataset:
    """Opens what lies under `key` in `cache_dir`; writes `parts()` there before if nothing does.

    Raises:
        DataError: what lies there is damaged.
    """
    folder = cache_dir / key
    if not folder.is_dir():
        cache_dir.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=cache_dir))
        try:
            _write(unfinished, labels, parts())
            _publish(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return _open(folder)


def _publish(unfinished: Path, folder: Path) -> None:
    try:
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was first, with the same
            raise


def _open(folder: Path) -> Dataset:
    try:
        about = json.loads((folder / "dataset.json").read_text())
        splits = {split: _open_split(folder, split, about["drawings"][split]) for split in SPLITS}
        return Dataset(tuple(about["labels"]), splits)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder} is damaged ({error}); delete it, and the next run writes it anew") from None


def _open_split(folder: Path, split: str, count: int) -> Drawings:
    points, ends, classes = (_map(folder / f"{split}_{name}.npy") for name in ("points", "ends", "classes"))
    if not len(ends) == len(classes) == count or (ends[-1] if count else 0) != len(points):
        raise ValueError(f"{split} has {len(ends)} ends, {len(classes)} classes and {len(points)} points")
    return Drawings(Inks(points, ends), classes)


def _map(path: Path) -> np.ndarray:
    return np.asarray(np.load(path, mmap_mode="r"))


def _write(folder: Path, labels: tuple[str, ...], parts: Iterator[dict[str, Drawings]]) -> None:
    points = {split: _Column(folder / f"{split}_points.npy", np.int16, 3) for split in SPLITS}
    ends = {split: _Column(folder / f"{split}_ends.npy", np.int64) for split in SPLITS}
    classes = {split: _Column(folder / f"{split}_classes.npy", np.int32) for split in SPLITS}
    for part in parts:
        for split, drawings in part.items():
            ends[split].append(drawings.inks.ends + points[split].rows)
            points[split].append(drawings.inks.points)
            classes[split].append(drawings.classes)
    for column in (*points.values(), *ends.values(), *classes.values()):
        column.close()
    about = {"labels": labels, "drawings": {split: column.rows for split, column in classes.items()}}
    (folder / "dataset.json").write_text(json.dumps(about))


class _Column:
    """A .npy file that rows are appended to; int16 turns into float32 if rows need it."""

    def __init__(self, path: Path, dtype: type, width: int | None = None) -> None:
        self.rows = 0
        self._path, self._width = path, width
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        self._file = path.open("w+b")
        self._write_header()

    def append(self, rows: np.ndarray) -> None:
        if rows.dtype == np.float32 and self._dtype == np.int16:
            self._widen()
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        self.rows += len(rows)

    def close(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _write_header(self) -> None:
        """NumPy leaves room in it, so that it stays as long however many rows there will be."""
        shape = (self.rows,) if self._width is None else (self.rows, self._width)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)  # type: ignore[no-untyped-call]

    def _widen(self) -> None:
        self.close()
        narrow, self._dtype, self.rows = _map(self._path), np.dtype(np.float32), 0
        self._path.unlink()  # its data stay until `narrow` goes
        self._file = self._path.open("w+b")
        self._write_header()
        for start in range(0, len(narrow), _AT_ONCE):
            self.append(narrow[start : start + _AT_ONCE].astype(np.float32))
