"""What the loaders give: drawings in few large arrays, so that fifty million of them fit on a disk and can be mapped.

An ink is float32 [points, 3]: absolute x, y (y down) and pen, 1 on the last point of each stroke, else 0.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import SupportsIndex, overload

import numpy as np

SPLITS = ("train", "valid", "test")


class Inks(Sequence[np.ndarray]):
    """Many inks, one after the other in one array; `inks[i]` is float32 [points, 3].

    Attributes:
        points: int16 or float32 [total, 3]; may be a memory map.
        ends: int64 [drawings], the row of `points` after each drawing's last.
    """

    def __init__(self, points: np.ndarray, ends: np.ndarray) -> None:
        self.points, self.ends = points, ends

    @classmethod
    def pack(cls, inks: Iterable[np.ndarray]) -> "Inks":
        """Copies `inks` (each [points, 3]) into one array: int16 if that loses nothing, else float32."""
        parts = [np.asarray(ink) for ink in inks]
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        points = np.concatenate(parts) if parts else np.zeros((0, 3), np.int16)
        return cls(shrink(points), ends)

    @classmethod
    def join(cls, parts: list["Inks"]) -> "Inks":
        """One after the other. Empties `parts` as it copies, so that large ones never lie in memory twice."""
        dtype = np.result_type(np.int16, *{part.points.dtype for part in parts})
        points = np.empty((sum(len(part.points) for part in parts), 3), dtype)
        ends = np.empty(sum(len(part) for part in parts), np.int64)
        point = drawing = 0
        while parts:
            part = parts.pop(0)
            points[point : point + len(part.points)] = part.points
            ends[drawing : drawing + len(part)] = part.ends + point
            point, drawing = point + len(part.points), drawing + len(part)
        return cls(points, ends)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Points of each drawing, int32 [drawings]."""
        return np.diff(self.ends, prepend=0).astype(np.int32)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Inks":
        """Copies the drawings of these row numbers, in this order."""
        lengths = self.lengths[rows].astype(np.int64)
        ends = np.cumsum(lengths)
        index = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self.ends[rows] - ends, lengths)
        return Inks(np.asarray(self.points[index]), ends)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, row: SupportsIndex) -> np.ndarray: ...
    @overload
    def __getitem__(self, row: slice) -> "Inks": ...
    def __getitem__(self, row: SupportsIndex | slice) -> "np.ndarray | Inks":
        if isinstance(row, slice):
            return self.take(np.arange(len(self))[row])
        row = range(len(self))[row]
        start = self.ends[row - 1] if row else 0
        return np.asarray(self.points[start : self.ends[row]], np.float32)


@dataclass(frozen=True)
class Drawings:
    """One split: inks, and the class of each as int32 [drawings]."""

    inks: Inks
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Drawings":
        """Copies the drawings of these row numbers, in this order."""
        return Drawings(self.inks.take(rows), np.asarray(self.classes[rows]))


@dataclass(frozen=True)
class Dataset:
    """All splits ("train", "valid", "test") and the labels that the classes count through."""

    labels: tuple[str, ...]
    splits: dict[str, Drawings]


@dataclass(frozen=True)
class Bitmaps:
    """One split of pictures without strokes: uint8 [drawings, 28, 28], 255 is ink; classes int32 [drawings]."""

    images: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Bitmaps":
        """Copies the pictures of these row numbers, in this order."""
        return Bitmaps(self.images[rows], self.classes[rows])


@dataclass(frozen=True)
class BitmapDataset:
    """As `Dataset`, of pictures."""

    labels: tuple[str, ...]
    splits: dict[str, Bitmaps]


def shrink(points: np.ndarray) -> np.ndarray:
    """int16 if that loses nothing, else float32."""
    if points.dtype == np.int16:
        return points
    small = np.clip(points, -32768, 32767).astype(np.int16)
    return small if np.array_equal(small, points) else points.astype(np.float32)


def choose_split(name: bytes) -> str:
    """By a hash of what names a drawing: eight tenths go to "train", a tenth each to "valid" and "test"."""
    return {8: "valid", 9: "test"}.get(zlib.crc32(name) % 10, "train")


def choose_first(classes: np.ndarray, seen: np.ndarray, per_class: int | None) -> np.ndarray:
    """Rows of the classes from 0, the first `per_class` of each; counts them in `seen` [classes], which it changes."""
    rows = [np.zeros(0, int)]
    for c in np.unique(classes[classes >= 0]):
        found = np.flatnonzero(classes == c)[: None if per_class is None else max(0, per_class - seen[c])]
        seen[c] += len(found)
        rows.append(found)
    return np.sort(np.concatenate(rows))
