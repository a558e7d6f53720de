"""The rendered data set: clips from a seed, in colour or as luma, by any number of processes.

Clips are rendered from a seed, so the data set is code: nothing to download, nothing to license.
The label is the motion of the camera, see training/video/rendered/camera.py.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context

import cv2
import numpy as np

from training.video.rendered.clips import render_clips
from training.video.rendered.textures import Family
from training.video.shape import ClipShape

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_CHUNK = 60
_RENDER_AT_ONCE = 900  # bounds the memory that clips in colour take


def render_dataset(
    seed: int, count: int, families: Sequence[Family], shape: ClipShape, workers: int, start: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Renders clips start..start+count of a seed's endless row, the same on any number of `workers` processes.

    Without workers they are rendered in this process.

    Returns:
        uint8 [count, frames, height, width, 3] RGB, and int64 [count] indices into LABELS.
    """
    starts = range(start, start + count, _CHUNK)
    counts = [min(_CHUNK, start + count - first) for first in starts]
    rows = (repeat(seed), starts, counts, repeat(families), repeat(shape))
    if not workers:
        return _join(map(render_clips, *rows))
    # Forking a process that runs TensorFlow's threads can hang.
    with ProcessPoolExecutor(workers, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        return _join(pool.map(render_clips, *rows))


def render_luma(
    seed: int, start: int, count: int, families: Sequence[Family], shape: ClipShape, workers: int
) -> tuple[np.ndarray, np.ndarray]:
    """Luma of the same clips as `render_dataset` gives.

    Returns:
        uint8 [count, frames, height, width, 1], and int64 [count] indices into LABELS.
    """
    parts = []
    for first in range(start, start + count, _RENDER_AT_ONCE):
        some = min(_RENDER_AT_ONCE, start + count - first)
        clips, labels = render_dataset(seed, some, families, shape, workers, first)
        parts.append((to_luma(clips)[..., None], labels))
    return _join(parts)


def to_luma(clips: np.ndarray) -> np.ndarray:
    """RGB uint8 [..., 3] -> luma uint8 [...]."""
    return np.rint(clips @ LUMA).astype(np.uint8)


def _join(parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    clips, labels = zip(*parts, strict=True)
    return np.concatenate(clips), np.concatenate(labels)
