"""Alters a batch of inks, so that no drawing is seen twice alike. Pure NumPy."""

import numpy as np

from training.sketch.config import Augmentation


def augment(
    ink: np.ndarray, lengths: np.ndarray, settings: Augmentation, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Alters every drawing by its own random amounts.

    Args:
        ink: float32 [batch, time, 3], zero after each end.
        lengths: int32 [batch], each at least 1.

    Returns:
        New ink and lengths in the same layout; every drawing keeps at least one point.
    """
    ink, lengths = _leave_out(ink, _kept(ink, lengths, settings, rng))
    valid = np.arange(ink.shape[1]) < lengths[:, None]
    low = np.where(valid[..., None], ink[..., :2], np.inf).min(axis=1)
    high = np.where(valid[..., None], ink[..., :2], -np.inf).max(axis=1)
    points = ink[..., :2] @ _affine(len(ink), settings, rng)
    noise = settings.jitter / 255 * (high - low).max(axis=1)
    points += rng.normal(size=points.shape) * noise[:, None, None]
    points[~valid] = 0
    return np.concatenate([points, ink[..., 2:]], axis=-1).astype(np.float32), lengths


def _affine(batch: int, settings: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Random matrices [batch, 2, 2] for points in rows."""
    angle = np.radians(rng.uniform(-settings.rotate_degrees, settings.rotate_degrees, batch))
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    stretch = rng.uniform(1 - settings.stretch, 1 + settings.stretch, (batch, 2, 1))
    return np.asarray(stretch * rotation)


def _kept(ink: np.ndarray, lengths: np.ndarray, settings: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Which points stay, bool [batch, time]."""
    batch, time = ink.shape[:2]
    position = np.arange(time)
    share = rng.uniform(0, settings.drop_points, (batch, 1))
    kept = (rng.random((batch, time)) >= share) | (ink[..., 2] > 0)

    stroke, strokes = _stroke_numbers(ink), ink[..., 2].sum(axis=1)
    dropped = (rng.random(batch) * strokes).astype(int)
    drops = (rng.random(batch) < settings.drop_stroke) & (strokes > 2)
    kept &= ~(drops[:, None] & (stroke == dropped[:, None]))

    cuts = rng.random(batch) < settings.cut_tail
    end = np.where(cuts, rng.uniform(settings.keep_at_least, 1, batch) * lengths, lengths)
    kept &= position < end[:, None]
    kept[~kept.any(axis=1), 0] = True
    return kept & (position < lengths[:, None])


def _leave_out(ink: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Closes the gaps and lifts the pen anew where a stroke now ends."""
    order = np.argsort(~kept, axis=1, kind="stable")
    lengths = kept.sum(axis=1).astype(np.int32)
    valid = np.arange(ink.shape[1]) < lengths[:, None]
    stroke = np.where(valid, np.take_along_axis(_stroke_numbers(ink), order, axis=1), -1)
    points = np.take_along_axis(ink, order[..., None], axis=1)
    points[..., 2] = stroke != np.pad(stroke[:, 1:], ((0, 0), (0, 1)), constant_values=-1)
    points[~valid] = 0
    return points, lengths


def _stroke_numbers(ink: np.ndarray) -> np.ndarray:
    """Number of the stroke that each point belongs to, from 0: [batch, time]."""
    return np.asarray(np.cumsum(ink[..., 2], axis=1) - ink[..., 2], int)
