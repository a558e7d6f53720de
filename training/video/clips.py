"""Clips of a split, as a training or an evaluation asks for them."""

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from training.video.sampling import choose_centre, choose_random, spatial_views, temporal_views
from training.video.shape import ClipShape


class Clips(Protocol):
    """The clips of one split.

    Attributes:
        classes: int64 [clips], the truth.
    """

    classes: np.ndarray

    def __len__(self) -> int: ...

    def take(self, row: int) -> np.ndarray:
        """The clip as a service would sample it. uint8 [frames, height, width, 1 or 3]"""

    def draw(self, rng: np.random.Generator, row: int) -> np.ndarray:
        """The clip as a training samples it."""

    def view(self, row: int, times: int, crops: int) -> list[np.ndarray]:
        """The clip in `times` windows of `crops` crops each."""


def stack_clips(clips: Clips, rows: Iterable[int]) -> np.ndarray:
    """Some clips as a service would sample them. uint8 [rows, frames, height, width, 1 or 3]"""
    return np.stack([clips.take(row) for row in rows])


class RenderedClips:
    """Clips that are of the model's shape already; they are taken as they are.

    Args:
        frames: uint8 [clips, frames, height, width, 1 or 3].
        classes: int64 [clips].
    """

    def __init__(self, frames: np.ndarray, classes: np.ndarray) -> None:
        self.frames, self.classes = frames, classes

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, row: int) -> np.ndarray:
        return np.asarray(self.frames[row])

    def draw(self, rng: np.random.Generator, row: int) -> np.ndarray:
        return self.take(row)

    def view(self, row: int, times: int, crops: int) -> list[np.ndarray]:
        return spatial_views(self.take(row), crops)


class FilmedClips:
    """Clips that are cut from videos of any length.

    Args:
        read: row -> frames uint8 [any, height, width, 3], and seconds at which each is shown [any].
        classes: int64 [clips].
        shape: of the clips.
    """

    def __init__(
        self, read: Callable[[int], tuple[np.ndarray, np.ndarray]], classes: np.ndarray, shape: ClipShape
    ) -> None:
        self.read, self.classes, self.shape = read, classes, shape

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, row: int) -> np.ndarray:
        frames, seconds = self.read(row)
        return np.asarray(frames[choose_centre(seconds, self.shape)])

    def draw(self, rng: np.random.Generator, row: int) -> np.ndarray:
        frames, seconds = self.read(row)
        return np.asarray(frames[choose_random(rng, seconds, self.shape)])

    def view(self, row: int, times: int, crops: int) -> list[np.ndarray]:
        frames, seconds = self.read(row)
        windows = temporal_views(seconds, self.shape, times)
        return [crop for window in windows for crop in spatial_views(frames[window], crops)]
