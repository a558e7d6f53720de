"""Renders labelled clips as a real camera and codec would give them: blurred, noisy, repeated, compressed, squashed."""

from collections.abc import Sequence

import cv2
import numpy as np

from training.video.rendered.camera import LABELS, draw_path, film
from training.video.rendered.textures import Family, draw_texture
from training.video.shape import ClipShape

_PICTURE = 480  # side of the picture that the camera looks at, pixels
_SENSOR = 128  # side of the frames before they shrink to the model's size, pixels


def render_clip(rng: np.random.Generator, label: str, families: Sequence[Family], shape: ClipShape) -> np.ndarray:
    """Renders one clip of a camera that moves as `label` says. uint8 [frames, height, width, 3], RGB."""
    picture = draw_texture(rng, families, _PICTURE)
    # Low frame rates and short clips reach the model as repeated frames.
    distinct = shape.frames if rng.random() < 0.75 else int(rng.integers(shape.frames // 3, shape.frames))
    poses = draw_path(rng, label, np.linspace(0, 1, distinct), shape.frames - 1)
    frames = film(picture, poses, draw_view(rng), (_SENSOR, _SENSOR))
    frames = _spoil(rng, frames)
    small = np.stack([cv2.resize(f, (shape.width, shape.height), interpolation=cv2.INTER_AREA) for f in frames])
    small = _expose(rng, small)
    return small[np.linspace(0, distinct - 1, shape.frames).round().astype(int)]


def render_clips(
    seed: int, start: int, count: int, families: Sequence[Family], shape: ClipShape
) -> tuple[np.ndarray, np.ndarray]:
    """Renders clips start..start+count of a seed's endless row; the labels take turns.

    Returns:
        uint8 [count, frames, height, width, 3] RGB, and int64 [count] indices into LABELS.
    """
    labels = np.arange(start, start + count) % len(LABELS)
    clips = [
        render_clip(np.random.default_rng([seed, start + i]), LABELS[label], families, shape)
        for i, label in enumerate(labels)
    ]
    return np.stack(clips), labels


def draw_view(rng: np.random.Generator) -> tuple[float, float]:
    """Width and height of the view, in pixels of a picture of 480, at a usual aspect ratio, upright or not."""
    side, aspect = rng.uniform(130, 200), float(rng.choice([1, 4 / 3, 16 / 9, 9 / 16, 3 / 4]))
    return side * aspect**0.5, side / aspect**0.5


def _spoil(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """What happens at full size: objects that move, bars, defocus, compression."""
    if rng.random() < 0.3:
        for _ in range(int(rng.integers(1, 3))):
            _add_object(rng, frames)
    if rng.random() < 0.08:
        bar = int(rng.integers(6, 22))
        view = frames if rng.random() < 0.7 else frames.swapaxes(1, 2)
        view[:, :bar] = view[:, -bar:] = 0
    if rng.random() < 0.2:
        sigma = rng.uniform(0.8, 3)
        frames = np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in frames])
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 80))]
        encoded = [cv2.imencode(".jpg", f, quality)[1] for f in frames]
        frames = np.stack([np.asarray(cv2.imdecode(e, cv2.IMREAD_COLOR)) for e in encoded])
    return frames


def _add_object(rng: np.random.Generator, frames: np.ndarray) -> None:
    """Draws a two-coloured ellipse that crosses the view, or stays in it as a logo would."""
    start, speed = rng.uniform(0, _SENSOR, 2), rng.normal(0, 0.6 * _SENSOR, 2) * (rng.random() < 0.8)
    axes = rng.uniform(0.05, 0.2, 2) * _SENSOR
    angle, coat, patch = (
        rng.uniform(0, 180),
        rng.integers(0, 256, 3).tolist(),
        rng.integers(0, 256, 3).tolist(),
    )
    for frame, t in zip(frames, np.linspace(-0.5, 0.5, len(frames)), strict=True):
        center = (start + speed * t).astype(int).tolist()
        cv2.ellipse(frame, center, axes.astype(int).tolist(), angle, 0, 360, coat, -1, cv2.LINE_AA)
        cv2.ellipse(frame, center, (axes / 2).astype(int).tolist(), angle, 0, 360, patch, -1, cv2.LINE_AA)


def _expose(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Brightness drift and flicker, and sensor noise."""
    times = np.linspace(-0.5, 0.5, len(frames))
    gain = 1 + rng.normal(0, 0.1) * times + rng.choice([0, 0.01]) * rng.standard_normal(len(frames))
    noise = rng.standard_normal(frames.shape, dtype=np.float32) * np.float32(rng.choice([0.5, 2, 5]) * rng.random())
    return np.clip(frames * gain[:, None, None, None].astype(np.float32) + noise, 0, 255).astype(np.uint8)
