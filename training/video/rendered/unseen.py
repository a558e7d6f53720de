"""Families of textures kept for evaluation, as in `families`."""

import cv2
import numpy as np

from training.video.rendered.materials import draw_color, draw_noise, paint


def voronoi(rng: np.random.Generator, size: int) -> np.ndarray:
    """Cells around random seeds, as in stained glass."""
    seeds = np.full((size, size), 255, np.uint8)
    seeds[tuple(rng.integers(0, size, (2, int(rng.integers(40, 400)))))] = 0
    _, cells = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    colors = rng.integers(0, 256, (int(cells.max()) + 1, 3), dtype=np.uint8)
    return cv2.GaussianBlur(colors[cells], (0, 0), rng.uniform(0.5, 1.5))


def bricks(rng: np.random.Generator, size: int) -> np.ndarray:
    """A wall of bricks that differ in shade, in staggered courses."""
    high = int(rng.integers(18, 44))
    wide = int(high * rng.uniform(1.5, 3))
    y, x = np.mgrid[0:size, 0:size]
    course = y // high
    shifted = x + course % 2 * (wide // 2)
    shade = rng.random((size // high + 1, 2 * size // wide + 2))[course, shifted // wide]
    mortar = (y % high < 3) | (shifted % wide < 3)
    return paint(rng, np.where(mortar, 0.0, 0.3 + 0.5 * shade + 0.2 * draw_noise(rng, size, 30, 3)))


def labyrinth(rng: np.random.Generator, size: int) -> np.ndarray:
    """Band-passed noise cut at its middle, as on a zebra or in a maze."""
    grain = rng.standard_normal((size, size), dtype=np.float32)
    sigma = rng.uniform(3, 10)
    band = cv2.GaussianBlur(grain, (0, 0), sigma) - cv2.GaussianBlur(grain, (0, 0), 1.6 * sigma)
    return paint(rng, 0.5 + 0.5 * np.tanh(band / band.std() * rng.uniform(1, 4)))


def scribbles(rng: np.random.Generator, size: int) -> np.ndarray:
    """Pen lines that wander over one ground colour."""
    picture = np.full((size, size, 3), draw_color(rng), np.uint8)
    for _ in range(int(rng.integers(15, 60))):
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.35, 60))
        line = rng.uniform(0, size, 2) + 8 * np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), 0)
        cv2.polylines(picture, [line.astype(np.int32)], False, draw_color(rng), int(rng.integers(1, 7)), cv2.LINE_AA)
    return picture


def facades(rng: np.random.Generator, size: int) -> np.ndarray:
    """House fronts with rows of windows, more or less lit, and empty gaps between them."""
    picture = paint(rng, 0.3 * draw_noise(rng, size, 4, 3))
    left = 0
    while left < size:
        width, roof = int(rng.integers(50, 130)), int(rng.integers(0, size // 2))
        cv2.rectangle(picture, (left, roof), (left + width, size), draw_color(rng), -1)
        pane, lit, dark = rng.integers(10, 22, 2), draw_color(rng), draw_color(rng)
        for y in range(roof + 8, size, int(pane[1]) * 2):
            for x in range(left + 6, left + width - int(pane[0]), int(pane[0]) * 2):
                corner = (x + int(pane[0]), y + int(pane[1]))
                bright = rng.random()
                color = [bright * one + (1 - bright) * other for one, other in zip(lit, dark, strict=True)]
                cv2.rectangle(picture, (x, y), corner, color, -1)
        left += width + int(rng.integers(0, 30))
    return picture
