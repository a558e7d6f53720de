"""Drawings to send: official ones of Quick, Draw! where they are here, else scribbles of such lengths."""

import json
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np

Drawing = list[list[list[int]]]  # [[x…], [y…]] per stroke, whole numbers from 0 to 255

SIDE = 255
MAX_POINTS = 256  # that the sketch model reads as a tensor
MEDIAN_POINTS, SPREAD_POINTS = 39, 0.56  # log-normal, as 8,625 official simplified drawings are
MEDIAN_STROKES, SPREAD_STROKES = 4, 0.79
_PER_CLASS = 8
_NUDGED = 3


def read_drawings(data: Path) -> list[Drawing]:
    """Some official simplified drawings of every class; none where the data is not there."""
    files = sorted((data / "sketch" / "simplified_ndjson").glob("*.ndjson"))
    return [drawing for file in files for drawing in islice(_read_file(file), _PER_CLASS)]


def _read_file(file: Path) -> Iterator[Drawing]:
    with file.open() as lines:
        for line in lines:
            yield json.loads(line)["drawing"]


def scribble(rng: Random) -> Drawing:
    """A drawing of random curves whose numbers of points and strokes are distributed as in Quick, Draw!."""
    points = round(rng.lognormvariate(math.log(MEDIAN_POINTS), SPREAD_POINTS))
    points = min(max(points, 4), MAX_POINTS)
    strokes = min(max(round(rng.lognormvariate(math.log(MEDIAN_STROKES), SPREAD_STROKES)), 1), points // 2)
    cuts = sorted(rng.sample(range(1, points // 2), strokes - 1)) if strokes > 1 else []
    counts = [2 * (b - a) for a, b in zip([0, *cuts], [*cuts, points // 2], strict=True)]
    counts[-1] += points % 2
    walks = [_walk(count, rng) for count in counts]
    low = [min(min(walk[axis]) for walk in walks) for axis in (0, 1)]
    extent = max(max(walk[axis]) - low[axis] for walk in walks for axis in (0, 1)) or 1.0
    return [[[round((v - low[axis]) / extent * SIDE) for v in walk[axis]] for axis in (0, 1)] for walk in walks]


def _walk(count: int, rng: Random) -> list[list[float]]:
    x, y, heading = rng.uniform(0, 200), rng.uniform(0, 200), rng.uniform(0, math.tau)
    xs, ys = [x], [y]
    for _ in range(count - 1):
        heading += rng.gauss(0, 0.8)
        length = rng.uniform(8, 40)
        xs.append(xs[-1] + length * math.cos(heading))
        ys.append(ys[-1] + length * math.sin(heading))
    return [xs, ys]


def vary(drawing: Drawing, rng: Random) -> Drawing:
    """The same drawing with three of its points moved a little: as long, as likely, and new to every cache."""
    moved = [[list(xs), list(ys)] for xs, ys in drawing]
    for _ in range(_NUDGED):
        stroke = rng.choice(moved)
        i = rng.randrange(len(stroke[0]))
        for axis in stroke:
            axis[i] = min(max(axis[i] + rng.randint(-2, 2), 0), SIDE)
    return moved


class Drawings:
    """Makes drawings."""

    def __init__(self, data: Path) -> None:
        """Reads the real ones, if there are any."""
        self._real = read_drawings(data)

    def make(self, rng: Random) -> Drawing:
        """A drawing that is not like any other."""
        return vary(rng.choice(self._real), rng) if self._real else scribble(rng)


def to_ink(drawing: Drawing) -> np.ndarray:
    """The tensor that the sketch model reads: x, y, and 1 on the last point of each stroke, float32 [points, 3]."""
    return np.array(to_points(drawing), np.float32)


def to_points(drawing: Drawing) -> list[list[int]]:
    """The same tensor in whole numbers, as JSON has it; the first points of a drawing that has more than it holds."""
    points = [[x, y, int(i == len(xs) - 1)] for xs, ys in drawing for i, (x, y) in enumerate(zip(xs, ys, strict=True))]
    return points[:MAX_POINTS]
