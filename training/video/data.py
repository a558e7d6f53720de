"""The rendered data set as batches, and its augmentation by symmetry."""

from collections.abc import Callable, Iterator

import numpy as np

from training.video.config import Config
from training.video.rendered import dataset
from training.video.rendered.camera import LABELS
from training.video.rendered.dataset import LUMA, render_dataset, to_luma
from training.video.rendered.textures import TRAIN_FAMILIES

__all__ = ["LUMA", "SYMMETRIES", "augment_clips", "render_dataset", "render_luma", "sample_batches", "to_luma"]


def render_luma(config: Config, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Luma of clips start..start+count of textures to learn from.

    Returns:
        uint8 [count, frames, height, width], and int64 [count] indices into LABELS.
    """
    clips, labels = dataset.render_luma(config.seed, start, count, TRAIN_FAMILIES, config.shape, config.workers)
    return clips[..., 0], labels


def sample_batches(
    config: Config, clips: np.ndarray, labels: np.ndarray, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The augmented batches of one epoch, as of `augment_clips`; the same again for the same seed and epoch."""
    rng, size = np.random.default_rng([config.seed, epoch]), config.optimisation.batch_size
    order = rng.permutation(len(clips))
    for start in range(0, len(order) - size + 1, size):
        rows = order[start : start + size]
        yield augment_clips(rng, clips[rows], labels[rows])


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
