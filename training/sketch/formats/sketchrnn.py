"""SketchRNN .npz files: three splits of one class, each a pickled object array of stroke-3 drawings.

Source: https://github.com/googlecreativelab/quickdraw-dataset#sketch-rnn-quickdraw-dataset.
"""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from training.recipe.errors import DataError
from training.sketch.drawings import SPLITS, Inks, shrink
from training.sketch.formats.pickled import read_arrays

_MOST_BYTES = 512 * 2**20  # of one split; the largest official one has about 50 MiB
_MOST_RATIO = 50  # deflate reaches 1000 where there is nothing but zeros; drawings reach 4
_MOST_STEP = 1_000_000  # px
_ARRAY_BYTES = 16  # no array takes fewer in a pickle
_DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, OSError)


def read_sketchrnn(path: Path) -> dict[str, Inks]:
    """Reads one class, written by Python 2 or 3.

    Returns:
        The inks of "train", "valid" and "test"; the first point of a drawing is as the file places it.

    Raises:
        DataError: the file is damaged, hostile, or holds something else; nothing in it is ever run.
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return {split: _read_split(archive, split) for split in SPLITS}
        except _DAMAGES as error:
            raise DataError(f"{path}: {error}; expected an undamaged .npz file of SketchRNN") from None
        except ValueError as error:
            raise DataError(f"{path}: {error}") from None


def inks_from_stroke3(drawings: list[np.ndarray]) -> Inks:
    """Drawings [points, 3] of dx, dy, pen -> inks.

    Raises:
        ValueError: a drawing has another shape or no point, or a number is not finite or too large.
    """
    for row, drawing in enumerate(drawings):
        if drawing.ndim != 2 or drawing.shape[1] != 3 or not len(drawing):
            raise ValueError(f"drawing {row} has shape {drawing.shape}; expected (points, 3) with a point or more")
    if not drawings:
        return Inks.pack([])
    ends = np.cumsum([len(drawing) for drawing in drawings])
    steps = np.concatenate(drawings)
    steps = steps.astype(np.float64) if steps.dtype.kind == "f" else steps
    with np.errstate(invalid="ignore"):
        wrong = ~((steps >= -_MOST_STEP) & (steps <= _MOST_STEP)).all(axis=1)
    if wrong.any():
        row = int(np.searchsorted(ends, wrong.argmax(), side="right"))
        raise ValueError(f"drawing {row} has a value of {_odd(steps[wrong.argmax()])}; at most {_MOST_STEP:,}")
    places = np.cumsum(steps[:, :2], axis=0, dtype=np.float64)
    before = np.append(np.zeros((1, 2)), places[ends[:-1] - 1], axis=0)
    pen = steps[:, 2] > 0
    pen[ends - 1] = True
    places -= np.repeat(before, np.diff(ends, prepend=0), axis=0)
    return Inks(shrink(np.column_stack([places, pen])), ends)


def _odd(step: np.ndarray) -> float:
    return float(next(value for value in step if not abs(value) <= _MOST_STEP))


def _read_split(archive: zipfile.ZipFile, split: str) -> Inks:
    name = f"{split}.npy"
    if name not in archive.namelist():
        raise ValueError(f"no {name} in it, but {archive.namelist()[:4]}; expected {', '.join(SPLITS)}")
    info = archive.getinfo(name)
    if info.file_size > _MOST_BYTES:
        raise ValueError(f"{name} has {info.file_size:,} bytes; at most {_MOST_BYTES:,}")
    if info.file_size > _MOST_RATIO * info.compress_size + 4096:
        raise ValueError(f"{name} is {info.compress_size:,} bytes blown up to {info.file_size:,}: not drawings")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed by method {info.compress_type}; expected none or deflate")
    with archive.open(info) as file:
        count = _read_header(file, name)
        data = file.read()
    if count * _ARRAY_BYTES > len(data) + 64:
        raise ValueError(f"{name} promises {count:,} drawings in {len(data):,} bytes")
    try:
        return inks_from_stroke3(read_arrays(data, count))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _read_header(file: IO[bytes], name: str) -> int:
    """Number of drawings, from the header of a .npy file of any version."""
    try:
        version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)  # type: ignore[no-untyped-call]
    except Exception as error:  # it is parsed as Python, which fails in many ways
        raise ValueError(f"{name} has no header of NumPy's: {str(error)[:200]}") from None
    if dtype.hasobject and dtype.names is None and len(shape) == 1 and shape[0] >= 0:
        return int(shape[0])
    raise ValueError(f"{name} holds an array of {dtype} of shape {shape}; expected objects, (drawings,)")
