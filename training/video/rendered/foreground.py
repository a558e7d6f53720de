"""What stands or moves before the scene: people, things, titles, and what is near and so moves faster."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from training.video.rendered.camera import center_path, look
from training.video.rendered.materials import draw_noise
from training.video.rendered.textures import Family, draw_texture

_SMALLEST, LARGEST = 0.02, 0.35  # of the view, all layers of a clip together
_CANVAS = 128  # side of a layer's picture, pixels
_SPARE = 64  # by which a texture is larger, so that things before one scene differ
_WIDEN = 2


@dataclass(frozen=True)
class Layer:
    """A picture with an outline, and from where the camera looks at it.

    Attributes:
        picture: uint8 [side, side, 4], RGB times alpha, alpha.
        poses: of `camera.look`, of which zeros look at its middle.
        view: width and height of the view on the picture, in its pixels.
        border: what OpenCV shows beyond the picture.
    """

    picture: np.ndarray
    poses: np.ndarray
    view: tuple[float, float]
    border: int = cv2.BORDER_CONSTANT


def draw_layers(
    rng: np.random.Generator, families: Sequence[Family], poses: np.ndarray, times: np.ndarray, aspect: float
) -> list[Layer]:
    """Draws what half of the clips have before the scene, none for the others.

    Args:
        poses: the camera's path. [..., 4]
        times: the moment of each pose, 0 to 1. [...]
        aspect: width by height of the view.
    """
    kind, share = rng.random(), _SMALLEST + (LARGEST - _SMALLEST) * rng.random() ** 1.5
    if kind < 0.1:
        return [_draw_near(rng, families, poses, share, aspect)]
    if kind > 0.5:
        return []
    count, texture = int(rng.integers(1, 4)), draw_texture(rng, families, _CANVAS + _SPARE)
    return [_draw_object(rng, texture, poses, times, share / count, aspect) for _ in range(count)]


def cover(frames: np.ndarray, layer: Layer) -> np.ndarray:
    """Puts the layer before frames, uint8 [frames, height, width, 3]; leaves it out if it would hide too much."""
    size = (frames.shape[2], frames.shape[1])
    seen = look(layer.picture, layer.poses, layer.view, size, border=layer.border)
    if max(cv2.countNonZero(before[..., 3]) for before in seen) > LARGEST * size[0] * size[1]:
        return frames
    covered = frames.copy()
    for before, out in zip(seen, covered, strict=True):
        left, top, width, height = cv2.boundingRect(before[..., 3])
        if not width:
            continue
        inside = (slice(top, top + height), slice(left, left + width))
        before = np.ascontiguousarray(before[inside])
        clear = cv2.merge([255 - before[..., 3]] * 3)
        behind = cv2.multiply(out[inside], clear, scale=1 / 255)
        out[inside] = cv2.add(behind, cv2.cvtColor(before, cv2.COLOR_RGBA2RGB))
    return covered


def _draw_near(
    rng: np.random.Generator, families: Sequence[Family], poses: np.ndarray, share: float, aspect: float
) -> Layer:
    """Leaves, posts or rails all over the view: nearer than the scene, they move 1.2 to 1.6 times as fast."""
    field = draw_noise(rng, 2 * _CANVAS, int(rng.integers(4, 14)), 3)
    outline = (field > np.quantile(field, 1 - share)).astype(np.uint8) * 255
    depth = rng.uniform(1.2, 1.6)
    side = rng.uniform(0.6, 1) * _CANVAS
    picture = _cut(draw_texture(rng, families, len(outline)), outline)
    return Layer(picture, center_path(poses) * (depth, depth, depth, 1), _view(side, aspect), cv2.BORDER_REFLECT_101)


def _draw_object(
    rng: np.random.Generator,
    texture: np.ndarray,
    poses: np.ndarray,
    times: np.ndarray,
    share: float,
    aspect: float,
) -> Layer:
    """Somebody or something that walks through the scene, that the camera follows, or that is printed over it."""
    attached, own = rng.random() < 0.5, np.zeros_like(poses)
    seen_from = center_path(poses) * (1.0 if attached else 0.0)
    pace = rng.normal(0, 0.5 if attached else 0.15, 2) * (rng.random() < 0.8)
    own[..., :2] = rng.uniform(-0.4, 0.4, 2) + pace * (times[..., None] - 0.5)
    bob = rng.uniform(0, 0.02) * (rng.random() < 0.5)
    own[..., 1] += bob * np.sin(2 * np.pi * (rng.uniform(2, 5) * times + rng.random()))
    outline = (_person, _heap, _disc)[int(rng.choice(3, p=(0.5, 0.3, 0.2)))](rng)
    # A zoom makes it larger: it is to stay below its share all along.
    grown = np.exp(-2 * seen_from[..., _WIDEN].min())
    side = np.sqrt((outline > 0).sum() * grown / share)
    left, top = rng.integers(0, _SPARE, 2)
    own_texture = texture[top : top + _CANVAS, left : left + _CANVAS]
    return Layer(_cut(own_texture, outline), seen_from - own, _view(side, aspect))


def _view(side: float, aspect: float) -> tuple[float, float]:
    return side * aspect**0.5, side / aspect**0.5


def _cut(texture: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """A texture within an outline uint8 [side, side], 0 or 255. uint8 [side, side, 4], RGB times alpha, alpha."""
    return np.dstack([cv2.bitwise_and(texture, texture, mask=outline), outline])


def _person(rng: np.random.Generator) -> np.ndarray:
    """Head, body, arms and legs, upright or nearly so. uint8 [side, side]"""
    outline, tall = np.zeros((_CANVAS, _CANVAS), np.uint8), 0.95 * _CANVAS
    stout, stride = rng.uniform(0.8, 1.3), rng.uniform(-14, 14)
    parts = [(0.0, -0.4, 0.08, 0.09, 0.0), (0.0, -0.12, 0.13 * stout, 0.21, 0.0)]
    parts += [(side * 0.06, 0.27, 0.055 * stout, 0.22, side * stride) for side in (-1, 1)]
    parts += [(side * 0.14 * stout, -0.1, 0.04, 0.19, side * rng.uniform(-25, 10)) for side in (-1, 1)]
    for right, down, width, height, angle in parts:
        center = (int(_CANVAS / 2 + right * tall), int(_CANVAS / 2 + down * tall))
        cv2.ellipse(outline, center, (int(width * tall), int(height * tall)), angle, 0, 360, 255, -1)
    return outline


def _heap(rng: np.random.Generator) -> np.ndarray:
    """An uneven polygon, as of a car, a box or an animal. uint8 [side, side]"""
    outline, corners = np.zeros((_CANVAS, _CANVAS), np.uint8), int(rng.integers(4, 10))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners)) + np.linspace(0, 1e-3, corners)
    reach = rng.uniform(0.4, 0.95, corners) * _CANVAS / 2
    points = _CANVAS / 2 + np.stack([reach * np.cos(angles), rng.uniform(0.4, 1) * reach * np.sin(angles)], axis=1)
    cv2.fillPoly(outline, [points.astype(np.int32)], 255)
    return outline


def _disc(rng: np.random.Generator) -> np.ndarray:
    outline = np.zeros((_CANVAS, _CANVAS), np.uint8)
    axes = (rng.uniform(0.2, 0.48, 2) * _CANVAS).astype(int).tolist()
    cv2.ellipse(outline, (_CANVAS // 2, _CANVAS // 2), axes, rng.uniform(0, 180), 0, 360, 255, -1)
    return outline
