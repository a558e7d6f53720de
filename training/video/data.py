"""The rendered data set, and its augmentation by symmetry.

Clips are rendered from a seed, so the data set is code: nothing to download, nothing to license.
The label is the motion of the camera, see training/video/camera.py.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context

import cv2
import numpy as np

from training.video.config import Config
from training.video.rendered.camera import LABELS
from training.video.rendered.clips import render_clips
from training.video.rendered.textures import TRAIN_FAMILIES, Family
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


def render_luma(config: Config, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Luma of clips start..start+count of textures to learn from.

    Returns:
        uint8 [count, frames, height, width], and int64 [count] indices into LABELS.
    """
    parts = []
    for first in range(start, start + count, _RENDER_AT_ONCE):
        some = min(_RENDER_AT_ONCE, start + count - first)
        clips, labels = render_dataset(config.seed, some, TRAIN_FAMILIES, config.shape, config.workers, first)
        parts.append((to_luma(clips), labels))
    return _join(parts)


def _join(parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    clips, labels = zip(*parts, strict=True)
    return np.concatenate(clips), np.concatenate(labels)


def sample_batches(
    config: Config, clips: np.ndarray, labels: np.ndarray, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The augmented batches of one epoch, as of `augment_clips`; the same again for the same seed and epoch."""
    rng, size = np.random.default_rng([config.seed, epoch]), config.optimisation.batch_size
    order = rng.permutation(len(clips))
    for start in range(0, len(order) - size + 1, size):
        rows = order[start : start + size]
        yield augment_clips(rng, clips[rows], labels[rows])


def to_luma(clips: np.ndarray) -> np.ndarray:
    """RGB uint8 [..., 3] -> luma uint8 [...]."""
    return np.rint(clips @ LUMA).astype(np.uint8)


def augment_clips(rng: np.random.Generator, clips: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirrors, transposes, reverses and inverts each clip at random, and turns its label with it.

    Args:
        clips: uint8 [batch, frames, side, side], luma; square, for they are transposed.
        labels: int64 [batch].
    """
    clips, labels = clips.copy(), labels.copy()
    for i, chosen in enumerate(rng.random((len(clips), len(SYMMETRIES))) < 0.5):
        clip = clips[i]
        for (apply, swapped), chosen_one in zip(SYMMETRIES, chosen, strict=True):
            if chosen_one:
                clip, labels[i] = apply(clip), swapped[labels[i]]
        clips[i] = 255 - clip if rng.random() < 0.5 else clip
    return clips, labels


def _swap(*pairs: tuple[str, str]) -> np.ndarray:
    swapped = np.arange(len(LABELS))
    for a, b in pairs:
        swapped[LABELS.index(a)], swapped[LABELS.index(b)] = LABELS.index(b), LABELS.index(a)
    return swapped


_PAN, _TILT = ("pan left", "pan right"), ("tilt up", "tilt down")
_ZOOM, _ROLL = ("zoom in", "zoom out"), ("roll clockwise", "roll counterclockwise")
# What may be done to a clip [frames, side, side], and the label that each label becomes by it.
SYMMETRIES: tuple[tuple[Callable[[np.ndarray], np.ndarray], np.ndarray], ...] = (
    (lambda clip: clip[:, :, ::-1], _swap(_PAN, _ROLL)),
    (lambda clip: clip[:, ::-1], _swap(_TILT, _ROLL)),
    (lambda clip: clip.transpose(0, 2, 1), _swap(("pan left", "tilt up"), ("pan right", "tilt down"), _ROLL)),
    (lambda clip: clip[::-1], _swap(_PAN, _TILT, _ZOOM, _ROLL)),
)
