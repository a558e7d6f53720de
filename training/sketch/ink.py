"""Functions of inks: from the layouts of others, thinned, padded to a batch. An ink is described in drawings.py."""

from collections.abc import Sequence

import numpy as np

from training.sketch.drawings import Inks


def thin(ink: np.ndarray, max_points: int) -> np.ndarray:
    """Keeps `max_points` evenly chosen points of a longer ink, and the ends of its strokes as pen lifts."""
    if len(ink) <= max_points:
        return ink
    kept = np.linspace(0, len(ink) - 1, max_points).round().astype(int)
    stroke = (np.cumsum(ink[:, 2]) - ink[:, 2])[kept]
    ends = np.append(stroke[1:] != stroke[:-1], True)
    return np.column_stack([ink[kept, :2], ends]).astype(np.float32)


def thin_inks(inks: Inks, max_points: int) -> Inks:
    """`thin` of each; the same object where none is longer."""
    lengths = inks.lengths
    points, kept = inks.points, np.ones(len(inks.points), bool)
    for row in np.flatnonzero(lengths > max_points):
        points = points.copy() if points is inks.points else points
        start, end = inks.ends[row] - lengths[row], inks.ends[row]
        points[start : start + max_points] = thin(inks[row], max_points)
        kept[start + max_points : end] = False
    if points is inks.points:
        return inks
    return Inks(points[kept], np.cumsum(np.minimum(lengths, max_points), dtype=np.int64))


def ink_from_stroke3(stroke3: np.ndarray) -> np.ndarray:
    """[points, 3] of dx, dy, pen -> ink."""
    return np.column_stack([np.cumsum(stroke3[:, :2], axis=0), stroke3[:, 2] > 0]).astype(np.float32)


def ink_from_strokes(strokes: Sequence[Sequence[Sequence[float]]]) -> np.ndarray:
    """Quick, Draw! layout, [[[x…], [y…]], …] -> ink."""
    parts = []
    for x, y in ((stroke[0], stroke[1]) for stroke in strokes):
        pen = np.zeros(len(x))
        pen[-1] = 1
        parts.append(np.column_stack([x, y, pen]))
    return np.concatenate(parts).astype(np.float32)


def pad_to_multiple(ink: np.ndarray, multiple: int) -> np.ndarray:
    """[batch, points, 3] -> the same with zeros behind, its points a multiple of `multiple`."""
    return np.pad(ink, ((0, 0), (0, -ink.shape[1] % multiple), (0, 0)))


def pad_inks(inks: Sequence[np.ndarray], points: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Inks -> float32 [batch, points, 3], zero after each end, and int32 [batch] lengths."""
    packed = inks if isinstance(inks, Inks) else Inks.pack(inks)
    lengths = packed.lengths
    padded = np.zeros((len(packed), points or int(lengths.max()), 3), np.float32)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = packed.points
    return padded, lengths
