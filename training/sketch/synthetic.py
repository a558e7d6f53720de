"""Shapes that the recipe draws itself, so that it runs on a fresh clone without any data."""

from collections.abc import Callable

import numpy as np
from shapely import LineString, simplify

from training.sketch.simplification import BOX, TOLERANCE

Strokes = list[np.ndarray]


def _polygon(corners: int, turn: float = 0.0) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, corners + 1) + turn
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _star() -> Strokes:
    return [_polygon(5)[[0, 2, 4, 1, 3, 0]]]


def _zigzag() -> Strokes:
    return [np.column_stack([np.linspace(-1, 1, 8), np.resize([-0.3, 0.3], 8)])]


def _spiral() -> Strokes:
    turn = np.linspace(0, 6 * np.pi, 60)
    return [np.column_stack([np.cos(turn), np.sin(turn)]) * turn[:, None] / turn[-1]]


def _cross() -> Strokes:
    return [np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([[0.0, -1.0], [0.0, 1.0]])]


def _face() -> Strokes:
    eye, aside, above = 0.15 * _polygon(12), np.array([0.35, 0]), np.array([0, -0.3])
    mouth = np.column_stack([np.linspace(-0.5, 0.5, 9), 0.5 - 0.8 * np.linspace(-0.5, 0.5, 9) ** 2])
    return [_polygon(30), eye - aside + above, eye + aside + above, mouth]


_DRAW: dict[str, Callable[[], Strokes]] = {
    "circle": lambda: [_polygon(40)],
    "cross": _cross,
    "face": _face,
    "spiral": _spiral,
    "square": lambda: [_polygon(4, np.pi / 4)],
    "star": _star,
    "triangle": lambda: [_polygon(3, -np.pi / 2)],
    "zigzag": _zigzag,
}
SHAPES = tuple(_DRAW)


def draw_shape(shape: str, rng: np.random.Generator) -> np.ndarray:
    """Draws one shape with a shaky hand: float32 [points, 3], simplified to a 255 px box as in the game."""
    angle = np.radians(rng.uniform(-25, 25))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    affine = turn * rng.uniform(0.7, 1.3, 2) * rng.choice([-1, 1], 2)
    strokes = [_shake(stroke @ affine.T, rng) for stroke in _DRAW[shape]()]
    low = np.concatenate(strokes).min(axis=0)
    scale = BOX / (np.concatenate(strokes) - low).max()
    return np.concatenate([_simplify((stroke - low) * scale) for stroke in strokes]).astype(np.float32)


def _shake(stroke: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points at a random density along the stroke, either way round, each a little off."""
    along = np.append(0, np.hypot(*np.diff(stroke, axis=0).T).cumsum())
    stops = np.linspace(0, along[-1], max(4, int(along[-1] * rng.uniform(6, 20))))
    points = np.column_stack([np.interp(stops, along, axis) for axis in stroke.T])
    points += rng.normal(0, 0.015, points.shape)
    return points[:: rng.choice([-1, 1])]


def _simplify(stroke: np.ndarray) -> np.ndarray:
    points = np.asarray(simplify(LineString(stroke), TOLERANCE, preserve_topology=False).coords).round()
    return np.column_stack([points, np.arange(len(points)) == len(points) - 1])
