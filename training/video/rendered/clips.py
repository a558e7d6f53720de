"""Renders labelled clips as a camera and a codec would give them.

Scene and foreground, seen through a lens that may blur, by a sensor that reads row by row while the shutter is open;
light and noise; bars; compression; and at last the frames that a clip of the model's shape has.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from training.video.rendered.camera import LABELS, draw_path, film
from training.video.rendered.codec import compress
from training.video.rendered.foreground import cover, draw_layers
from training.video.rendered.light import Light, draw_light, expose, suit_light
from training.video.rendered.moments import Moments, draw_moments
from training.video.rendered.textures import Family, draw_texture
from training.video.shape import ClipShape

_PICTURE = 480  # side of the picture that the camera looks at, pixels
_SHARED = 2  # clips in a row that look at one picture, for it takes as long to draw as the rest
_SENSOR = 128  # side of the frames before they shrink to the model's size, pixels
_EXPOSURES = 6  # at most, to average where the picture smears
_SMEAR = 1.5  # pixels of the sensor between two of them


def render_clip(
    rng: np.random.Generator, label: str, picture: np.ndarray, families: Sequence[Family], shape: ClipShape
) -> np.ndarray:
    """Renders one clip of a camera that moves over `picture` as `label` says.

    Args:
        picture: uint8 [480, 480, 3], RGB.
        families: of the textures of what stands before it.

    Returns:
        uint8 [frames, height, width, 3], RGB.
    """
    moments, light, view = draw_moments(rng, shape.frames, shape.fps), draw_light(rng), draw_view(rng)
    times = draw_exposures(rng, moments, light)
    poses = draw_path(rng, label, times.ravel(), shape.frames - 1).reshape(*times.shape, 4)
    kept = thin_exposures(poses)
    times, poses = times[:, kept], poses[:, kept]
    frames = film(picture, poses, view, (_SENSOR, _SENSOR), _draw_slant(rng))
    light = suit_light(light, frames)
    for layer in draw_layers(rng, families, poses, times, view[0] / view[1]):
        frames = cover(frames, layer)
    if rng.random() < 0.2:
        sigma = rng.uniform(0.8, 3)
        frames = np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])
    frames = expose(rng, frames, moments.times, light)
    if rng.random() < 0.1:
        frames = _add_bars(rng, frames)
    frames = compress(rng, frames, shape.fps)
    small = np.stack([cv2.resize(f, (shape.width, shape.height), interpolation=cv2.INTER_AREA) for f in frames])
    return small[moments.shown]


def render_clips(
    seed: int, start: int, count: int, families: Sequence[Family], shape: ClipShape
) -> tuple[np.ndarray, np.ndarray]:
    """Renders clips start..start+count of a seed's endless row; the labels take turns.

    Returns:
        uint8 [count, frames, height, width, 3] RGB, and int64 [count] indices into LABELS.
    """
    labels = np.arange(start, start + count) % len(LABELS)
    clips: list[np.ndarray] = []
    for index, label in enumerate(labels, start):
        if not clips or index % _SHARED == 0:
            picture = draw_texture(np.random.default_rng([seed, index // _SHARED, 1]), families, _PICTURE)
        clips.append(render_clip(np.random.default_rng([seed, index]), LABELS[label], picture, families, shape))
    return np.stack(clips), labels


def draw_view(rng: np.random.Generator) -> tuple[float, float]:
    """Width and height of the view, in pixels of a picture of 480, at a usual aspect ratio, upright or not."""
    side = rng.uniform(130, 200)
    aspect = float(rng.choice([1, 4 / 3, 3 / 2, 16 / 9, 2.39, 9 / 16, 3 / 4]))
    return side * aspect**0.5, side / aspect**0.5


def draw_exposures(rng: np.random.Generator, moments: Moments, light: Light) -> np.ndarray:
    """When each frame's first and last rows are exposed, 0 to 1 over the clip. float64 [frames, exposures, 2]

    Half of the cameras read their sensor row by row, in 8 to 30 ms; the others, all rows at once.
    """
    reading_s = min(rng.uniform(0.008, 0.03), moments.interval_s) * (rng.random() < 0.5)
    opened = np.linspace(-0.5, 0.5, _EXPOSURES) * light.open * moments.interval_s
    read = np.array([-0.5, 0.5]) * reading_s
    return moments.times[:, None, None] + (opened[:, None] + read) / moments.seconds


def thin_exposures(poses: np.ndarray) -> np.ndarray:
    """Which exposures of a path [frames, exposures, 2, 4] are enough: one, where nothing smears."""
    moved = np.abs(poses[:, -1] - poses[:, 0]).max((0, 1)) * (1, 1, 0.5, 0.5)
    count = int(np.clip(np.ceil(moved.max() * _SENSOR / _SMEAR), 1, _EXPOSURES))
    return np.linspace(0, _EXPOSURES - 1, count).round().astype(int) if count > 1 else np.array([_EXPOSURES // 2])


def _draw_slant(rng: np.random.Generator) -> tuple[float, float]:
    """A scene that is nearer on one side than on the other, for a quarter of the clips."""
    if rng.random() > 0.25:
        return 0.0, 0.0
    size, angle = rng.uniform(0, 0.5), rng.uniform(0, 2 * np.pi)
    return size * np.cos(angle), size * np.sin(angle)


def _add_bars(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Squeezes frames between bars at two sides: black, or as phones have it, of the same frame, large and blurred."""
    bar, blurred, upright = int(rng.integers(6, 29)), rng.random() < 0.3, rng.random() < 0.5
    framed = np.zeros_like(frames)
    for frame, out in zip(frames, framed, strict=True):
        inner = (_SENSOR, _SENSOR - 2 * bar) if upright else (_SENSOR - 2 * bar, _SENSOR)
        window = (slice(bar, -bar), slice(None)) if upright else (slice(None), slice(bar, -bar))
        if blurred:
            edge = _SENSOR // 4
            soft = cv2.GaussianBlur(cv2.resize(frame[edge:-edge, edge:-edge], (edge, edge)), (0, 0), 2)
            out[:] = cv2.resize(soft, (_SENSOR, _SENSOR))
        out[window] = cv2.resize(frame, inner, interpolation=cv2.INTER_AREA)
    return framed
