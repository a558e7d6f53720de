"""What the light does: how long the shutter stays open, exposure that changes, noise of the sensor."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

_SPARE = 64  # pixels by which the sheet of noise is larger than a frame
_FAINTEST = 10.0  # deviation of a dark scene, levels: less than that, compression would take away
_NOISIEST = 0.6  # of the scene's deviation


@dataclass(frozen=True)
class Light:
    """How a scene is lit.

    Attributes:
        open: for which share of a frame's time the shutter is open.
        gain: brightness, 1 in daylight.
        noise: of the sensor in black, levels of 0 to 255.
        shot_noise: in white, beyond that.
    """

    open: float
    gain: float
    noise: float
    shot_noise: float


def draw_light(rng: np.random.Generator) -> Light:
    """Draws daylight, a room, or, in one case of seven, low light: dark, noisy and smeared."""
    kind = rng.random()
    if kind < 0.5:
        return Light(rng.uniform(0, 0.2), 1, rng.uniform(0, 2), 0)
    if kind < 0.86:
        return Light(rng.uniform(0.2, 0.7), rng.uniform(0.7, 1.1), rng.uniform(0, 5), rng.uniform(0, 5))
    return Light(rng.uniform(0.5, 1), rng.uniform(0.15, 0.5), rng.uniform(2, 8), rng.uniform(2, 10))


def suit_light(light: Light, frames: np.ndarray) -> Light:
    """Turns darkness and noise down as far as is needed to see what is on `frames`, uint8 [..., 3], by its green."""
    contrast = float(np.std(frames[::5, ::2, ::2, 1]))
    gain = max(light.gain, min(1.0, _FAINTEST / max(contrast, 1e-3)))
    quieter = min(1.0, _NOISIEST * gain * contrast / max(np.hypot(light.noise, light.shot_noise), 1e-3))
    return replace(light, gain=gain, noise=quieter * light.noise, shot_noise=quieter * light.shot_noise)


def expose(rng: np.random.Generator, frames: np.ndarray, times: np.ndarray, light: Light) -> np.ndarray:
    """Frames as `light` has them, with a drift of brightness, and at times flicker or an exposure that adapts.

    Args:
        frames: uint8 [frames, height, width, 3].
        times: of each frame, 0 to 1. [frames]
    """
    gain = light.gain * (1 + rng.normal(0, 0.1) * (times - 0.5))
    if rng.random() < 0.25:
        gain = gain * (1 + rng.uniform(0, 0.03) * rng.standard_normal(len(times)))
    if rng.random() < 0.12:
        gain = gain * np.exp(rng.uniform(-0.6, 0.6) / (1 + np.exp(-rng.uniform(8, 40) * (times - rng.random()))))
    sheet = _draw_sheet(rng, frames.shape[1:3])
    corners = rng.integers(0, _SPARE, (len(frames), 2))
    exposed = np.empty_like(frames)
    for frame, bright, (top, left), out in zip(frames, gain, corners, exposed, strict=True):
        lit = cv2.convertScaleAbs(frame, alpha=float(bright))
        noise = sheet[top : top + frame.shape[0], left : left + frame.shape[1]] * _deviation(lit, light)
        cv2.add(lit, cv2.merge([noise] * 3), dst=out, dtype=cv2.CV_8U)
    return exposed


def _draw_sheet(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Noise from which each frame cuts its own elsewhere, which costs little. float32 [height, width and more]"""
    return rng.standard_normal((size[0] + _SPARE, size[1] + _SPARE), dtype=np.float32)


def _deviation(frame: np.ndarray, light: Light) -> np.ndarray | np.float32:
    """Of the noise, levels: the same everywhere, or more where the frame is bright. float32 [height, width]"""
    if light.shot_noise == 0:
        return np.float32(light.noise)
    levels = np.sqrt(light.noise**2 + light.shot_noise**2 * np.linspace(0, 1, 256)).astype(np.float32)
    return cv2.LUT(np.ascontiguousarray(frame[..., 1]), levels)
