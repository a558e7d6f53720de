"""What textures are made of: noise, colours, palettes, directions."""

import cv2
import numpy as np


def draw_noise(rng: np.random.Generator, size: int, cells: int, octaves: int, gain: float = 0.5) -> np.ndarray:
    """Value noise, from `cells` cells per side upwards in octaves. float32 [size, size], 0 to 1."""
    total = np.zeros((1, 1), np.float32)
    for octave in range(octaves):
        side = min(cells * 2**octave, size)
        grid = rng.random((side + 1, side + 1), dtype=np.float32)
        # Octave by octave at its own size: only the last one is as large as the picture.
        total = cv2.resize(total, grid.shape, interpolation=cv2.INTER_CUBIC) + np.float32(gain**octave) * grid
    total = cv2.resize(total, (size, size), interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(total, None, 0, 1, cv2.NORM_MINMAX)


def draw_color(rng: np.random.Generator) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255."""
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue


def paint(rng: np.random.Generator, field: np.ndarray) -> np.ndarray:
    """Colours a field of 0 to 1 with a random palette of four colours. [size, size] -> uint8 [size, size, 3]"""
    stops = rng.integers(0, 256, (4, 3))
    palette = np.stack([np.interp(np.arange(256), [0, 85, 170, 255], stops[:, c]) for c in range(3)], 1)
    levels = (np.clip(field, 0, 1) * 255).astype(np.uint8)
    return cv2.LUT(cv2.merge([levels] * 3), palette.astype(np.uint8)[None])


def draw_axes(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances along and across a random direction, pixels. float32 [size, size], both."""
    angle, steps = rng.uniform(0, np.pi), np.arange(size, dtype=np.float32)
    cosine, sine = steps * np.float32(np.cos(angle)), steps * np.float32(np.sin(angle))
    return cosine[None] + sine[:, None], cosine[:, None] - sine[None]
