"""The virtual camera: how it moves for each label, and what it sees.

The label is the motion of the CAMERA; what is seen moves the other way:
  pan right        the camera turns right, the content moves left
  tilt up          the camera turns up, the content moves down
  zoom in          the content grows
  roll clockwise   the camera rolls clockwise, the content turns counterclockwise on the screen
"static" is a camera on a tripod or held still by hand: it may shake, but ends where it began.
"""

import cv2
import numpy as np

LABELS = (
    "static",
    "pan left",
    "pan right",
    "tilt up",
    "tilt down",
    "zoom in",
    "zoom out",
    "roll clockwise",
    "roll counterclockwise",
)
RIGHT, DOWN, WIDEN, CLOCKWISE = range(4)
_MOTIONS = {
    "pan left": (RIGHT, -1),
    "pan right": (RIGHT, +1),
    "tilt up": (DOWN, -1),
    "tilt down": (DOWN, +1),
    "zoom in": (WIDEN, -1),
    "zoom out": (WIDEN, +1),
    "roll clockwise": (CLOCKWISE, +1),
    "roll counterclockwise": (CLOCKWISE, -1),
}
# Pose units that move a point at the edge of the view by one view width: zoom and roll turn about the centre.
_EDGE = np.array([1.0, 1.0, 2.0, 2.0])
_SLOWEST, _FASTEST = 0.004, np.array([0.08, 0.08, 0.035, 0.08])
_LONGEST = np.array([1.2, 1.2, 0.6, 1.2])


def draw_path(rng: np.random.Generator, label: str, times: np.ndarray, steps: float) -> np.ndarray:
    """Draws a path for `label`: its motion at a random speed, a little of every other motion, and shake.

    Args:
        times: moments to look at, 0 (start of the clip) to 1 (its end). [frames]
        steps: length of the clip in sampled frames; the edge of the view moves 0.4 % to 8 % of its width in each.

    Returns:
        float64 [frames, 4]: right (view widths), down (view heights), log of the view's size, clockwise (radians).
    """
    drift = rng.uniform(-1, 1, 4) * rng.random()
    if label == "static":
        poses = 0.008 * drift * _ease(rng, times)[:, None]
        return (poses + _shake(rng, times, steps, rng.choice([0.0, 0.0015, 0.006]) * rng.random())) * _EDGE
    axis, sign = _MOTIONS[label]
    speed = np.exp(rng.uniform(np.log(_SLOWEST), np.log(_FASTEST[axis])))
    travel = min(speed * steps, _LONGEST[axis])
    poses = 0.2 * travel * drift * _ease(rng, times)[:, None]
    poses[:, axis] = sign * travel * _ease(rng, times)
    return (poses + _shake(rng, times, steps, min(0.006, 0.1 * travel) * rng.random())) * _EDGE


def _ease(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Progress from 0 to 1: steady, or gathering or losing speed, in part with a wait at either end."""
    begin, end = (rng.uniform(0, 0.3), rng.uniform(0.7, 1)) if rng.random() < 0.3 else (0.0, 1.0)
    t = np.clip((times - begin) / (end - begin), 0, 1)
    curve = (t, t**2, 1 - (1 - t) ** 2, t**2 * (3 - 2 * t))[int(rng.integers(4))]
    blend = rng.random()
    return blend * curve + (1 - blend) * t


def _shake(rng: np.random.Generator, times: np.ndarray, steps: float, size: float) -> np.ndarray:
    """Sway of one cycle per clip and faster, and tremor; about `size` view widths at the edge. [frames, 4]"""
    cycles = rng.uniform(1, max(2.0, steps / 3), (2, 1, 4))
    sway = np.sin(2 * np.pi * (cycles * times[None, :, None] + rng.random((2, 1, 4)))).sum(0)
    return size * (sway + 0.5 * rng.standard_normal((len(times), 4))) * (1, 1, 0.3, 0.5)


def film(picture: np.ndarray, poses: np.ndarray, view: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    """Looks at `picture` from each pose; the path's middle lies on the picture's, which mirrors beyond its edges.

    Args:
        picture: uint8 [height, width, 3].
        poses: as of `draw_path`. [frames, 4]
        view: width and height of the view on the picture, in its pixels, halfway along the path.
        size: width and height of the frames; another aspect ratio than the view's squashes them.

    Returns:
        uint8 [frames, height, width, 3].
    """
    poses = poses - (poses.max(0) + poses.min(0)) / 2
    middle = np.array([picture.shape[1], picture.shape[0]]) / 2
    return np.stack([_look(picture, middle, pose, view, size) for pose in poses])


def _look(
    picture: np.ndarray,
    middle: np.ndarray,
    pose: np.ndarray,
    view: tuple[float, float],
    size: tuple[int, int],
) -> np.ndarray:
    right, down, widen, clockwise = pose
    turn = np.array([[np.cos(clockwise), -np.sin(clockwise)], [np.sin(clockwise), np.cos(clockwise)]])
    pixel = np.exp(widen) * turn @ np.diag([view[0] / size[0], view[1] / size[1]])
    corner = middle + (right * view[0], down * view[1]) - pixel @ (np.array(size) / 2 - 0.5)
    matrix = np.column_stack([pixel, corner])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
