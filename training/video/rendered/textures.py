"""Pictures for the virtual camera to look at, drawn from random numbers alone.

Two disjoint groups of families: TRAIN_FAMILIES is what the model learns from, UNSEEN_FAMILIES is kept for evaluation.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from training.video.rendered.families import (
    blobs,
    checkers,
    clouds,
    glyphs,
    gradients,
    landscape,
    leaves,
    polygons,
    stripes,
)
from training.video.rendered.materials import draw_noise
from training.video.rendered.unseen import bricks, facades, labyrinth, scribbles, voronoi

Family = Callable[[np.random.Generator, int], np.ndarray]

TRAIN_FAMILIES: tuple[Family, ...] = (
    clouds,
    blobs,
    stripes,
    checkers,
    polygons,
    glyphs,
    leaves,
    landscape,
    gradients,
)
UNSEEN_FAMILIES: tuple[Family, ...] = (voronoi, bricks, labyrinth, scribbles, facades)


def draw_texture(rng: np.random.Generator, families: Sequence[Family], size: int) -> np.ndarray:
    """Draws one picture, in four cases of ten a mixture of two families. uint8 [size, size, 3], RGB."""
    picture = _pick(rng, families)(rng, size)
    if rng.random() < 0.4:
        other = _pick(rng, families)(rng, size)
        mask = draw_noise(rng, size, int(rng.integers(2, 6)), 2)
        weight = np.clip((mask - 0.5) * np.float32(rng.choice([1, 30])) + 0.5, 0, 1)
        picture = cv2.blendLinear(picture, other, weight, 1 - weight)
    return _grade(rng, picture)


def _pick(rng: np.random.Generator, families: Sequence[Family]) -> Family:
    return families[int(rng.integers(len(families)))]


def _grade(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Random contrast, brightness and gamma, down to flat and dark pictures."""
    levels = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.6, 0.6))
    contrast = rng.uniform(0.35, 1.0)
    levels = contrast * levels + rng.uniform(0, 1 - contrast)
    return cv2.LUT(picture, (255 * levels).astype(np.uint8))
