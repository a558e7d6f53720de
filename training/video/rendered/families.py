"""Families of textures to learn from; each is a function (rng, size) -> uint8 [size, size, 3], RGB."""

import cv2
import numpy as np

from training.video.rendered.materials import draw_axes, draw_color, draw_noise, paint


def clouds(rng: np.random.Generator, size: int) -> np.ndarray:
    """Fractal noise, from fog to gravel."""
    return paint(rng, draw_noise(rng, size, int(rng.integers(3, 16)), 6, rng.uniform(0.35, 0.85)))


def blobs(rng: np.random.Generator, size: int) -> np.ndarray:
    """Soft discs on a faint ground."""
    picture = paint(rng, 0.5 + 0.2 * draw_noise(rng, size, 4, 4))
    for _ in range(int(rng.integers(15, 120))):
        center = tuple(int(v) for v in rng.integers(0, size, 2))
        cv2.circle(picture, center, int(rng.integers(3, 30)), draw_color(rng), -1, cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.6, 4))


def stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    """Bent stripes; the bends and the grain tell motion along the stripes."""
    along, _ = draw_axes(rng, size)
    bend = rng.uniform(4, 12) * draw_noise(rng, size, int(rng.integers(3, 8)), 3)
    field = 0.5 + 0.5 * np.sin(along * 2 * np.pi / rng.uniform(14, 90) + bend)
    return paint(rng, 0.75 * field + 0.25 * draw_noise(rng, size, 12, 4, 0.7))


def checkers(rng: np.random.Generator, size: int) -> np.ndarray:
    """A turned checkerboard under uneven light, so that no two fields are alike."""
    across, down = draw_axes(rng, size)
    pitch = rng.uniform(14, 70, 2).astype(np.float32)
    board = (np.floor(across / pitch[0]) + np.floor(down / pitch[1])) % 2
    weight = rng.uniform(0.3, 0.7)
    return paint(rng, weight * board + (1 - weight) * draw_noise(rng, size, int(rng.integers(4, 14)), 4, 0.6))


def polygons(rng: np.random.Generator, size: int) -> np.ndarray:
    """Triangles to hexagons of one colour each, on clouds."""
    picture = clouds(rng, size)
    for _ in range(int(rng.integers(15, 80))):
        reach = rng.uniform(10, 90)
        corners = rng.uniform(0, size, 2) + rng.uniform(-reach, reach, (int(rng.integers(3, 7)), 2))
        cv2.fillPoly(picture, [corners.astype(np.int32)], draw_color(rng), cv2.LINE_AA)
    return picture


def glyphs(rng: np.random.Generator, size: int) -> np.ndarray:
    """Lines of random characters on paper."""
    picture = paint(rng, 0.1 * draw_noise(rng, size, 5, 4))
    ink = draw_color(rng)
    scale = rng.uniform(0.5, 2.2)
    for y in range(10, size + 40, int(26 * scale + rng.integers(0, 20))):
        text = "".join(chr(c) for c in rng.integers(33, 127, int(rng.integers(5, 50))))
        origin = (int(rng.integers(-40, 60)), y)
        cv2.putText(picture, text, origin, int(rng.integers(0, 5)), scale, ink, int(rng.integers(1, 4)), cv2.LINE_AA)
    return picture


def leaves(rng: np.random.Generator, size: int) -> np.ndarray:
    """Dead leaves: ellipses of all sizes that hide one another, which have the statistics of photographs."""
    picture = clouds(rng, size)
    grain = draw_noise(rng, size, 40, 3, 0.8)
    for radius in np.sort(4 * rng.random(220) ** -0.7)[::-1]:
        axes = (int(min(radius, 150)), int(min(radius, 150) * rng.uniform(0.4, 1)))
        center = tuple(int(v) for v in rng.integers(0, size, 2))
        cv2.ellipse(picture, center, axes, rng.uniform(0, 180), 0, 360, draw_color(rng), -1, cv2.LINE_AA)
    return cv2.add(picture, cv2.merge([rng.uniform(0, 60) * (grain - 0.5)] * 3), dtype=cv2.CV_8U)


def landscape(rng: np.random.Generator, size: int) -> np.ndarray:
    """A nearly empty sky over a ridge and rough ground."""
    height = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    sky = paint(rng, 0.4 * height + rng.uniform(0.05, 0.3) * draw_noise(rng, size, 3, 5))
    ground = paint(rng, draw_noise(rng, size, int(rng.integers(8, 30)), 5, 0.7))
    ridge = rng.uniform(0.3, 0.6) + 0.25 * (draw_noise(rng, size, 6, 5)[0] - 0.5)
    return np.where((height > ridge[None, :])[..., None], ground, sky)


def gradients(rng: np.random.Generator, size: int) -> np.ndarray:
    """Walls and fog: a wide gradient with a few faint marks."""
    along, _ = draw_axes(rng, size)
    field = cv2.normalize(along, None, 0, 1, cv2.NORM_MINMAX)
    picture = paint(rng, 0.6 * field + rng.uniform(0.1, 0.4) * draw_noise(rng, size, int(rng.integers(3, 8)), 3))
    for _ in range(int(rng.integers(8, 25))):
        low = rng.integers(0, size, 2)
        high = low + rng.integers(8, 70, 2)
        cv2.rectangle(picture, low.tolist(), high.tolist(), draw_color(rng), int(rng.choice([-1, 2, 3])))
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.6, 2.5))
