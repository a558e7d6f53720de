"""Pen strokes -> ink tensor -> class probabilities, as functions of arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import shapely

from services.runtime.errors import InvalidInput

Stroke = tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]  # x [points], y [points]
_FILLS = 0.9  # of the box: whoever made the drawings smaller afterwards made them another form
_IDLE = 0.25  # of the tolerance: a point that moves the line less than that would not have been left
_BUSY = 0.9  # of the points; rounding makes a few idle


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


def to_inks(drawings: Sequence[Sequence[Stroke]], options: InkOptions, fields: Sequence[str]) -> list[np.ndarray]:
    """Brings drawings into the form that models learn from, that of Quick, Draw!'s simplified files.

    One that has this form already stays as it is. Any other is fitted to a box at the origin, then each stroke is
    simplified by Ramer-Douglas-Peucker (https://github.com/googlecreativelab/quickdraw-dataset#preprocessed-dataset).

    Args:
        drawings: strokes of each.
        options: how the model wants them.
        fields: what each is called in errors.

    Returns:
        float32 [points, 3] of each: x, y, and 1 on the last point of each stroke.

    Raises:
        InvalidInput: a stroke is empty or uneven, a value is not finite, or a drawing has no extent.
    """
    if not drawings:
        return []
    lines = _join(drawings, fields)
    are_ready = _are_simplified(lines, options)
    if are_ready.all():
        inks = _draw(lines)
    else:
        ready, other = iter(_draw(lines.of(are_ready))), iter(_draw(_simplify(lines.of(~are_ready), options)))
        inks = [next(ready if is_ready else other) for is_ready in are_ready]
    return [_thin(ink, options.max_points) for ink in inks]


def to_ink(strokes: Sequence[Stroke], options: InkOptions, field: str) -> np.ndarray:
    """The same for one drawing, which errors call `field`."""
    return to_inks([strokes], options, [field])[0]


@dataclass(frozen=True)
class _Lines:
    """Points of drawings, one after the other.

    Attributes:
        points: x and y, float64 [points, 2].
        sizes: points of each stroke. [strokes]
        strokes: strokes of each drawing. [drawings]
    """

    points: np.ndarray
    sizes: np.ndarray
    strokes: np.ndarray

    @cached_property
    def counts(self) -> np.ndarray:
        """Points of each drawing. [drawings]"""
        counts: np.ndarray = np.add.reduceat(self.sizes, self.strokes.cumsum() - self.strokes)
        return counts

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each drawing begins. [drawings]"""
        starts: np.ndarray = self.counts.cumsum() - self.counts
        return starts

    @cached_property
    def corner(self) -> np.ndarray:
        """Least x and y of each drawing. [drawings, 2]"""
        return np.minimum.reduceat(self.points, self.starts, axis=0)

    @cached_property
    def extents(self) -> np.ndarray:
        """Longest side of each drawing. [drawings]"""
        with np.errstate(invalid="ignore"):  # infinity less infinity is found out by who asks
            sides = np.maximum.reduceat(self.points, self.starts, axis=0) - self.corner
        longest: np.ndarray = sides.max(axis=1)
        return longest

    def of(self, are_wanted: np.ndarray) -> "_Lines":
        """The drawings that are wanted. [drawings]"""
        if are_wanted.all():
            return self
        points, sizes = are_wanted.repeat(self.counts), are_wanted.repeat(self.strokes)
        return _Lines(self.points[points], self.sizes[sizes], self.strokes[are_wanted])

    def simplify(self, tolerance: float) -> "_Lines":
        """The lines without the points that they do not need; a dot becomes a line of two points."""
        owner = np.arange(len(self.sizes)).repeat(self.sizes)
        times = 1 + (self.sizes == 1)[owner]
        lines = shapely.linestrings(self.points.repeat(times, axis=0), indices=owner.repeat(times))
        simpler = shapely.simplify(lines, tolerance, preserve_topology=False)
        points, owner = shapely.get_coordinates(simpler, return_index=True)
        return _Lines(points, np.bincount(owner, minlength=len(self.sizes)), self.strokes)


def _join(drawings: Sequence[Sequence[Stroke]], fields: Sequence[str]) -> _Lines:
    xs: list[float] = []
    ys: list[float] = []
    for strokes, field in zip(drawings, fields, strict=True):
        if not strokes:
            raise InvalidInput("the drawing has 0 strokes; at least 1", f"{field}.strokes")
        for i, (x, y) in enumerate(strokes):
            if len(x) != len(y):
                raise InvalidInput(f"{len(x)} x and {len(y)} y values; as many of both", f"{field}.strokes[{i}]")
            if not len(x):
                raise InvalidInput("the stroke has 0 points; at least 1", f"{field}.strokes[{i}]")
            xs.extend(x)
            ys.extend(y)
    sizes = np.array([len(x) for strokes in drawings for x, _ in strokes])
    strokes_of = np.array([len(strokes) for strokes in drawings])
    lines = _Lines(np.array([xs, ys], np.float64).T, sizes, strokes_of)
    _check(lines, fields)
    return lines


def _check(lines: _Lines, fields: Sequence[str]) -> None:
    extents = lines.extents
    if not (are_finite := np.isfinite(extents)).all():
        raise InvalidInput("a coordinate is not a finite number", f"{fields[int(are_finite.argmin())]}.strokes")
    if not extents.all():
        message = "all points are the same; the drawing needs an extent"
        raise InvalidInput(message, f"{fields[int(extents.argmin())]}.strokes")


def _are_simplified(lines: _Lines, options: InkOptions) -> np.ndarray:
    """Whether whole numbers fill a box of the right size, wherever it lies, and next to no point is idle. [drawings]

    Of 8,625 official simplified drawings all are; of 100 raw ones, none is.
    """
    are_whole = np.logical_and.reduceat((lines.points == lines.points.round()).all(axis=1), lines.starts)
    are_simplified: np.ndarray = are_whole & (lines.extents >= _FILLS * options.box) & (lines.extents <= options.box)
    if are_simplified.any():
        some = lines.of(are_simplified)
        left = some.simplify(_IDLE * options.simplify_tolerance)
        are_simplified[are_simplified] = left.counts >= _BUSY * some.counts
    return are_simplified


def _simplify(lines: _Lines, options: InkOptions) -> _Lines:
    scale = (options.box / lines.extents).repeat(lines.counts)[:, None]
    fitted = replace(lines, points=(lines.points - lines.corner.repeat(lines.counts, axis=0)) * scale)
    simpler = fitted.simplify(options.simplify_tolerance)
    return replace(simpler, points=simpler.points.round())


def _draw(lines: _Lines) -> list[np.ndarray]:
    """Ink of each drawing, float32 [points, 3]."""
    ink = np.zeros((len(lines.points), 3), np.float32)
    ink[:, :2] = lines.points
    ink[lines.sizes.cumsum() - 1, 2] = 1
    return np.split(ink, lines.starts[1:])


def _thin(ink: np.ndarray, max_points: int) -> np.ndarray:
    """Keeps `max_points` evenly chosen points of a longer drawing, and the ends of its strokes as pen lifts."""
    if len(ink) <= max_points:
        return ink
    kept = np.linspace(0, len(ink) - 1, max_points).round().astype(int)
    stroke = (np.cumsum(ink[:, 2]) - ink[:, 2])[kept]
    return np.column_stack([ink[kept, :2], np.append(stroke[1:] != stroke[:-1], True)]).astype(np.float32)


def to_rows(inks: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Drawings as rows of the model's inputs: [points, 3] each -> ink [points, 3] and lengths []."""
    return [{"ink": ink, "lengths": np.array(len(ink), np.int32)} for ink in inks]


def rank_classes(probabilities: np.ndarray, labels: Sequence[str], top_k: int) -> list[list[tuple[str, float]]]:
    """The `top_k` most probable labels of each row, most probable first: [batch, classes] -> pairs."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    return [[(labels[c], float(row[c])) for c in columns] for row, columns in zip(probabilities, order, strict=True)]
