"""Reads SketchRNN .npz files, whose object arrays are pickles, without running what a pickle may ask for."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = ("train", "valid", "test")
_ALLOWED = {"_reconstruct": np._core.multiarray._reconstruct, "ndarray": np.ndarray, "dtype": np.dtype}  # type: ignore[attr-defined]
_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")


def read_sketchrnn(path: Path) -> dict[str, list[np.ndarray]]:
    """Reads one class.

    Returns:
        For each of "train", "valid" and "test": drawings as int16 [points, 3], columns dx, dy (px, y down)
        and pen (1 on the last point of a stroke). The first row holds the absolute first point.

    Raises:
        KeyError: a split is missing.
        pickle.UnpicklingError: the file asks for anything but NumPy arrays.
        ValueError: a drawing has another shape.
    """
    with zipfile.ZipFile(path) as archive:
        return {split: _read_drawings(archive, split) for split in SPLITS}


def _read_drawings(archive: zipfile.ZipFile, split: str) -> list[np.ndarray]:
    with archive.open(f"{split}.npy") as file:
        np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
        np.lib.format.read_array_header_1_0(file)  # type: ignore[no-untyped-call]
        drawings = [np.asarray(d) for d in _ArrayUnpickler(file, encoding="latin1").load()]
    for drawing in drawings:
        if drawing.ndim != 2 or drawing.shape[1] != 3:
            raise ValueError(f"{archive.filename}: a drawing of shape {drawing.shape}; expected (points, 3)")
    return drawings


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _MODULES and name in _ALLOWED:
            return _ALLOWED[name]
        raise pickle.UnpicklingError(f"{module}.{name} does not belong in a file of drawings")
