"""Pen strokes -> ink tensor -> class probabilities, as functions of arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from services.runtime.errors import InvalidInput

Stroke = tuple[np.ndarray, np.ndarray]  # x [points], y [points]


@dataclass(frozen=True)
class InkOptions:
    """How the model wants its drawings; the manifest's `options`.

    Attributes:
        max_points: most points that the model reads.
        box: length of the longest side after scaling.
        simplify_tolerance: largest distance, in box units, that simplification may move the line.
    """

    max_points: int
    box: float
    simplify_tolerance: float

    @classmethod
    def from_manifest(cls, options: Mapping[str, Any]) -> "InkOptions":
        """Reads a manifest's `options`."""
        return cls(options["max_points"], options["box"], options["simplify_tolerance"])


def to_ink(strokes: Sequence[Stroke], options: InkOptions, field: str) -> np.ndarray:
    """Brings a drawing into the form of Quick, Draw!'s simplified files.

    Fits it to a box at the origin, then simplifies each stroke by Ramer-Douglas-Peucker
    (https://github.com/googlecreativelab/quickdraw-dataset#preprocessed-dataset).

    Returns:
        float32 [points, 3]: x, y, and 1 on the last point of each stroke.

    Raises:
        InvalidInput: a stroke is too short or uneven, a value is not finite, or the drawing has no extent.
    """
    if not strokes:
        raise InvalidInput("the drawing has 0 strokes; at least 1", f"{field}.strokes")
    for i, (x, y) in enumerate(strokes):
        if len(x) != len(y):
            raise InvalidInput(f"{len(x)} x and {len(y)} y values; as many of both", f"{field}.strokes[{i}]")
        if len(x) < 2:
            raise InvalidInput(f"the stroke has {len(x)} points; at least 2", f"{field}.strokes[{i}]")
    owner = np.repeat(np.arange(len(strokes)), [len(x) for x, _ in strokes])
    points = np.stack([np.concatenate(axis) for axis in zip(*strokes, strict=True)], axis=1).astype(np.float64)
    if not np.isfinite(points).all():
        raise InvalidInput("a coordinate is not a finite number", f"{field}.strokes")
    points -= points.min(axis=0)
    extent = points.max()
    if extent == 0:
        raise InvalidInput("all points are the same; the drawing needs an extent", f"{field}.strokes")
    lines = shapely.linestrings(points * (options.box / extent), indices=owner)
    lines = shapely.simplify(lines, options.simplify_tolerance, preserve_topology=False)
    points, owner = shapely.get_coordinates(lines, return_index=True)
    pen = np.append(owner[1:] != owner[:-1], True)
    return _thin(np.column_stack([points.round(), pen]).astype(np.float32), options.max_points)


def _thin(ink: np.ndarray, max_points: int) -> np.ndarray:
    """Keeps every n-th point of a drawing that is too long, and the ends of as many strokes as fit."""
    if len(ink) <= max_points:
        return ink
    ends = np.flatnonzero(ink[:, 2])
    budget = max(max_points - len(ends), 0)
    evenly = np.linspace(0, len(ink) - 1, budget).round().astype(int)
    kept = np.union1d(ends, evenly)[:max_points]
    thinned = ink[kept]
    thinned[-1, 2] = 1
    return thinned


def to_rows(inks: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Drawings as rows of the model's inputs: [points, 3] each -> ink [points, 3] and lengths []."""
    return [{"ink": ink, "lengths": np.array(len(ink), np.int32)} for ink in inks]


def rank_classes(probabilities: np.ndarray, labels: Sequence[str], top_k: int) -> list[list[tuple[str, float]]]:
    """The `top_k` most probable labels of each row, most probable first: [batch, classes] -> pairs."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    return [[(labels[c], float(row[c])) for c in columns] for row, columns in zip(probabilities, order, strict=True)]
