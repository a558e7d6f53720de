"""The simplification of Quick, Draw!: what turns the dataset's raw drawings into its simplified ones.

Source: README of https://github.com/googlecreativelab/quickdraw-dataset, "Simplified Drawing files": align to the
top left corner, scale the longest side to 255, resample at 1 px, simplify by Ramer-Douglas-Peucker with epsilon 2.0.
Found by comparing with its files: RDP measures the distance to the line through both ends, not to the segment between
them (as GEOS and shapely do); a stroke's last point is kept when resampling; a lone point becomes two.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from training.sketch.drawings import Inks

BOX = 255.0
TOLERANCE = 2.0

RawDrawing = Sequence[Sequence[Sequence[float]]]  # [[[x…], [y…], …], …]


def simplify_drawing(drawing: RawDrawing) -> np.ndarray:
    """Strokes [[x…], [y…], …] in any units -> ink, float32 [points, 3] of whole numbers from 0 to 255."""
    return simplify_drawings([drawing])[0]


def simplify_drawings(drawings: Iterable[RawDrawing]) -> Inks:
    """`simplify_drawing` of each; many at once take a third of the time.

    Raises:
        ValueError: a drawing has no point, or x and y of a stroke differ in number.
    """
    strokes: list[np.ndarray] = []
    counts = []
    for drawing in drawings:
        fitted = _fit([np.array(stroke[:2], float).T for stroke in drawing])
        strokes += [_resample(stroke) for stroke in fitted]
        counts.append(len(fitted))
    if not strokes:
        return Inks.pack([])
    ends = np.cumsum([len(stroke) for stroke in strokes])
    points = np.concatenate(strokes)
    kept = simplify_lines(points, ends, TOLERANCE)
    ink = np.zeros((len(points), 3), np.int16)
    ink[:, :2] = points.round()
    ink[ends - 1, 2] = 1
    last = ends[np.cumsum(counts) - 1]
    return Inks(ink[kept], np.cumsum(kept)[last - 1])


def simplify_lines(points: np.ndarray, ends: np.ndarray, tolerance: float) -> np.ndarray:
    """Ramer-Douglas-Peucker of many lines at once, all their parts of one depth in one step.

    Args:
        points: float [points, 2], one line after the other.
        ends: int [lines], the row after each line's last; no line is empty.
        tolerance: the largest distance of a point left out from the line through its neighbours that stay.

    Returns which points stay: bool [points].
    """
    kept = np.zeros(len(points), bool)
    first, last = np.append(0, ends[:-1]), ends - 1
    kept[first] = kept[last] = True
    while True:
        inside = last - first - 1
        first, last, inside = first[inside > 0], last[inside > 0], inside[inside > 0]
        if not len(first):
            return kept
        starts = np.cumsum(inside) - inside
        rows = np.arange(inside.sum()) + np.repeat(first + 1 - starts, inside)
        distance = _distance(points, rows, first, last, inside)
        farthest = np.maximum.reduceat(distance, starts)
        candidates = np.where(distance == np.repeat(farthest, inside), rows, len(points))
        middle = np.minimum.reduceat(candidates, starts)
        split = farthest > tolerance
        first, middle, last = first[split], middle[split], last[split]
        kept[middle] = True
        first, last = np.concatenate([first, middle]), np.concatenate([middle, last])


def _distance(
    points: np.ndarray, rows: np.ndarray, first: np.ndarray, last: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    """Of each point in `rows` from the line through its part's ends, or from the end where the two are one."""
    way = points[last] - points[first]
    length = np.hypot(way[:, 0], way[:, 1])
    x, y = (points[rows, axis] - np.repeat(points[first, axis], inside) for axis in (0, 1))
    distance = np.abs(x * np.repeat(way[:, 1], inside) - y * np.repeat(way[:, 0], inside))
    distance /= np.repeat(np.where(length > 0, length, 1), inside)
    ring = np.repeat(length == 0, inside)
    distance[ring] = np.hypot(x[ring], y[ring])
    return np.asarray(distance)


def _fit(strokes: list[np.ndarray]) -> list[np.ndarray]:
    """Moves the drawing to the top left corner and scales its longest side to the box."""
    points = np.concatenate(strokes) if strokes else np.zeros((0, 2))
    if not len(points) or not all(len(stroke) for stroke in strokes):
        raise ValueError("a drawing without points, or a stroke without any; each has at least one")
    low = points.min(axis=0)
    side = (points - low).max()
    return [(stroke - low) * BOX / (side or 1.0) for stroke in strokes]


def _resample(stroke: np.ndarray) -> np.ndarray:
    """Points at every pixel of the way along `stroke` [points, 2], and its end."""
    along = np.zeros(len(stroke))
    way = stroke[1:] - stroke[:-1]
    np.hypot(way[:, 0], way[:, 1]).cumsum(out=along[1:])
    if along[-1] == 0:
        return stroke[[0, -1]]
    stops = np.arange(0, along[-1] + 1)
    stops[-1] = along[-1]
    return np.stack([np.interp(stops, along, axis) for axis in stroke.T], axis=1)
