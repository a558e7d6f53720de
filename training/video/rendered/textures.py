"""Pictures for the virtual camera to look at, drawn from random numbers alone.

Two disjoint groups of families: TRAIN_FAMILIES is what the model learns from, UNSEEN_FAMILIES is kept for evaluation.
Each family is a function (rng, size) -> uint8 [size, size, 3], RGB.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

Family = Callable[[np.random.Generator, int], np.ndarray]


def draw_texture(rng: np.random.Generator, families: Sequence[Family], size: int) -> np.ndarray:
    """Draws one picture, in four cases of ten a mixture of two families. uint8 [size, size, 3], RGB."""
    picture = _pick(rng, families)(rng, size)
    if rng.random() < 0.4:
        other = _pick(rng, families)(rng, size)
        mask = draw_noise(rng, size, int(rng.integers(2, 6)), 2)
        weight = np.clip((mask - 0.5) * rng.choice([1.0, 30.0]) + 0.5, 0, 1)[..., None]
        picture = (picture * weight + other * (1 - weight)).astype(np.uint8)
    return _grade(rng, picture)


def draw_noise(rng: np.random.Generator, size: int, cells: int, octaves: int, gain: float = 0.5) -> np.ndarray:
    """Value noise, from `cells` cells per side upwards in octaves. float32 [size, size], 0 to 1."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        side = min(cells * 2**octave, size)
        grid = rng.random((side + 1, side + 1), dtype=np.float32)
        total += gain**octave * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(total, None, 0, 1, cv2.NORM_MINMAX)


def _pick(rng: np.random.Generator, families: Sequence[Family]) -> Family:
    return families[int(rng.integers(len(families)))]


def _grade(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Random contrast, brightness and gamma, down to flat and dark pictures."""
    levels = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.6, 0.6))
    contrast = rng.uniform(0.25, 1.0)
    levels = contrast * levels + rng.uniform(0, 1 - contrast)
    return cv2.LUT(picture, (255 * levels).astype(np.uint8))


def _color(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
    return red, green, blue


def _paint(rng: np.random.Generator, field: np.ndarray) -> np.ndarray:
    """Colours a field of 0 to 1 with a random palette of four colours."""
    stops = rng.integers(0, 256, (4, 3))
    palette = np.stack([np.interp(np.arange(256), [0, 85, 170, 255], stops[:, c]) for c in range(3)], 1)
    return palette.astype(np.uint8)[(np.clip(field, 0, 1) * 255).astype(np.uint8)]


def _rotated_axes(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def clouds(rng: np.random.Generator, size: int) -> np.ndarray:
    """Fractal noise, from fog to gravel."""
    return _paint(rng, draw_noise(rng, size, int(rng.integers(3, 16)), 6, rng.uniform(0.35, 0.85)))


def blobs(rng: np.random.Generator, size: int) -> np.ndarray:
    """Soft discs on a faint ground."""
    picture = _paint(rng, 0.5 + 0.2 * draw_noise(rng, size, 4, 4))
    for _ in range(int(rng.integers(15, 120))):
        center = tuple(int(v) for v in rng.integers(0, size, 2))
        cv2.circle(picture, center, int(rng.integers(3, 30)), _color(rng), -1, cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.6, 4))


def stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    """Bent stripes; the bends and the grain tell motion along the stripes."""
    along, _ = _rotated_axes(rng, size)
    bend = rng.uniform(4, 12) * draw_noise(rng, size, int(rng.integers(3, 8)), 3)
    field = 0.5 + 0.5 * np.sin(along * 2 * np.pi / rng.uniform(14, 90) + bend)
    return _paint(rng, 0.75 * field + 0.25 * draw_noise(rng, size, 12, 4, 0.7))


def checkers(rng: np.random.Generator, size: int) -> np.ndarray:
    """A turned checkerboard under uneven light, so that no two fields are alike."""
    across, down = _rotated_axes(rng, size)
    pitch = rng.uniform(14, 70, 2)
    board = (np.floor(across / pitch[0]) + np.floor(down / pitch[1])) % 2
    weight = rng.uniform(0.3, 0.7)
    return _paint(rng, weight * board + (1 - weight) * draw_noise(rng, size, int(rng.integers(4, 14)), 4, 0.6))


def polygons(rng: np.random.Generator, size: int) -> np.ndarray:
    """Triangles to hexagons of one colour each, on clouds."""
    picture = clouds(rng, size)
    for _ in range(int(rng.integers(15, 80))):
        reach = rng.uniform(10, 90)
        corners = rng.uniform(0, size, 2) + rng.uniform(-reach, reach, (int(rng.integers(3, 7)), 2))
        cv2.fillPoly(picture, [corners.astype(np.int32)], _color(rng), cv2.LINE_AA)
    return picture


def glyphs(rng: np.random.Generator, size: int) -> np.ndarray:
    """Lines of random characters on paper."""
    picture = _paint(rng, 0.1 * draw_noise(rng, size, 5, 4))
    ink = _color(rng)
    scale = rng.uniform(0.5, 2.2)
    for y in range(10, size + 40, int(26 * scale + rng.integers(0, 20))):
        text = "".join(chr(c) for c in rng.integers(33, 127, int(rng.integers(5, 50))))
        origin = (int(rng.integers(-40, 60)), y)
        cv2.putText(picture, text, origin, int(rng.integers(0, 5)), scale, ink, int(rng.integers(1, 4)), cv2.LINE_AA)
    return picture


def leaves(rng: np.random.Generator, size: int) -> np.ndarray:
    """Dead leaves: ellipses of all sizes that hide one another, which have the statistics of photographs."""
    picture = clouds(rng, size)
    grain = draw_noise(rng, size, 40, 3, 0.8)[..., None]
    for radius in np.sort(4 * rng.random(220) ** -0.7)[::-1]:
        axes = (int(min(radius, 150)), int(min(radius, 150) * rng.uniform(0.4, 1)))
        center = tuple(int(v) for v in rng.integers(0, size, 2))
        cv2.ellipse(picture, center, axes, rng.uniform(0, 180), 0, 360, _color(rng), -1, cv2.LINE_AA)
    return np.clip(picture + rng.uniform(0, 60) * (grain - 0.5), 0, 255).astype(np.uint8)


def landscape(rng: np.random.Generator, size: int) -> np.ndarray:
    """A nearly empty sky over a ridge and rough ground."""
    height = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    sky = _paint(rng, 0.4 * height + rng.uniform(0.05, 0.3) * draw_noise(rng, size, 3, 5))
    ground = _paint(rng, draw_noise(rng, size, int(rng.integers(8, 30)), 5, 0.7))
    ridge = rng.uniform(0.3, 0.6) + 0.25 * (draw_noise(rng, size, 6, 5)[0] - 0.5)
    return np.where((height > ridge[None, :])[..., None], ground, sky)


def gradients(rng: np.random.Generator, size: int) -> np.ndarray:
    """Walls and fog: a wide gradient with a few faint marks."""
    along, _ = _rotated_axes(rng, size)
    field = cv2.normalize(along, None, 0, 1, cv2.NORM_MINMAX)
    picture = _paint(rng, 0.6 * field + rng.uniform(0.1, 0.4) * draw_noise(rng, size, int(rng.integers(3, 8)), 3))
    for _ in range(int(rng.integers(8, 25))):
        low = rng.integers(0, size, 2)
        high = low + rng.integers(8, 70, 2)
        cv2.rectangle(picture, low.tolist(), high.tolist(), _color(rng), int(rng.choice([-1, 2, 3])))
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.6, 2.5))


def voronoi(rng: np.random.Generator, size: int) -> np.ndarray:
    """Cells around random seeds, as in stained glass."""
    seeds = np.full((size, size), 255, np.uint8)
    seeds[tuple(rng.integers(0, size, (2, int(rng.integers(40, 400)))))] = 0
    _, cells = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    colors = rng.integers(0, 256, (int(cells.max()) + 1, 3), dtype=np.uint8)
    return cv2.GaussianBlur(colors[cells], (0, 0), rng.uniform(0.5, 1.5))


def bricks(rng: np.random.Generator, size: int) -> np.ndarray:
    """A wall of bricks that differ in shade, in staggered courses."""
    high = int(rng.integers(14, 44))
    wide = int(high * rng.uniform(1.5, 3))
    y, x = np.mgrid[0:size, 0:size]
    course = y // high
    shifted = x + course % 2 * (wide // 2)
    shade = rng.random((size // high + 1, 2 * size // wide + 2))[course, shifted // wide]
    mortar = (y % high < 3) | (shifted % wide < 3)
    return _paint(rng, np.where(mortar, 0.0, 0.3 + 0.5 * shade + 0.2 * draw_noise(rng, size, 30, 3)))


def labyrinth(rng: np.random.Generator, size: int) -> np.ndarray:
    """Band-passed noise cut at its middle, as on a zebra or in a maze."""
    grain = rng.standard_normal((size, size), dtype=np.float32)
    sigma = rng.uniform(3, 10)
    band = cv2.GaussianBlur(grain, (0, 0), sigma) - cv2.GaussianBlur(grain, (0, 0), 1.6 * sigma)
    return _paint(rng, 0.5 + 0.5 * np.tanh(band / band.std() * rng.uniform(1, 4)))


def scribbles(rng: np.random.Generator, size: int) -> np.ndarray:
    """Pen lines that wander over one ground colour."""
    picture = np.full((size, size, 3), _color(rng), np.uint8)
    for _ in range(int(rng.integers(15, 60))):
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.35, 60))
        line = rng.uniform(0, size, 2) + 8 * np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), 0)
        cv2.polylines(picture, [line.astype(np.int32)], False, _color(rng), int(rng.integers(1, 7)), cv2.LINE_AA)
    return picture


def facades(rng: np.random.Generator, size: int) -> np.ndarray:
    """House fronts with rows of windows, dark or lit, and empty gaps between them."""
    picture = _paint(rng, 0.3 * draw_noise(rng, size, 4, 3))
    left = 0
    while left < size:
        width, roof = int(rng.integers(50, 130)), int(rng.integers(0, size // 2))
        cv2.rectangle(picture, (left, roof), (left + width, size), _color(rng), -1)
        pane, lit, dark = rng.integers(8, 20, 2), _color(rng), _color(rng)
        for y in range(roof + 8, size, int(pane[1]) * 2):
            for x in range(left + 6, left + width - int(pane[0]), int(pane[0]) * 2):
                corner = (x + int(pane[0]), y + int(pane[1]))
                cv2.rectangle(picture, (x, y), corner, lit if rng.random() < 0.5 else dark, -1)
        left += width + int(rng.integers(0, 30))
    return picture


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
