"""The rendered data set, and its augmentation by symmetry.

Clips are rendered from a seed, so the data set is code: nothing to download, nothing to license.
The label is the motion of the camera, see training/video/camera.py.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context

import cv2
import numpy as np

from training.video.camera import LABELS
from training.video.clips import ClipShape, render_clips
from training.video.textures import Family

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_CHUNK = 60


def render_dataset(
    seed: int, count: int, families: Sequence[Family], shape: ClipShape, workers: int, start: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Renders clips start..start+count of a seed's endless row on `workers` processes, whatever their number.

    Returns:
        uint8 [count, frames, height, width, 3] RGB, and int64 [count] indices into LABELS.
    """
    starts = range(start, start + count, _CHUNK)
    counts = [min(_CHUNK, start + count - first) for first in starts]
    rows = (repeat(seed), starts, counts, repeat(families), repeat(shape))
    # Forking a process that runs TensorFlow's threads can hang.
    with ProcessPoolExecutor(workers, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        parts = list(pool.map(render_clips, *rows))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


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
