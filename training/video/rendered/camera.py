"""The virtual camera: how it moves for each label, and what it sees.

The label is the motion of the CAMERA; what is seen moves the other way:
  pan right        the camera turns right, the content moves left
  tilt up          the camera turns up, the content moves down
  zoom in          the content grows
  roll clockwise   the camera rolls clockwise, the content turns counterclockwise on the screen
"static" is a camera on a tripod or held still by hand: it may shake and wander, but ends where it began.
"""

import cv2
import numpy as np

from training.video.rendered.projection import aim, project
from training.video.rendered.shake import draw_shake, draw_unsteadiness

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
_SLOWEST, _FASTEST = 0.005, np.array([0.08, 0.08, 0.035, 0.08])
_LONGEST = np.array([1.2, 1.2, 0.6, 1.2])
_CLEAR = 7  # times the unsteadiness: the least travel of a label
_STEPS_PER_S = 8.0


def draw_path(rng: np.random.Generator, label: str, times: np.ndarray, steps: float) -> np.ndarray:
    """Draws a path for `label`: its motion at a random speed, a little of every other motion, and a hand's shake.

    Args:
        times: moments to look at, 0 (start of the clip) to 1 (its end). [times]
        steps: length of the clip in sampled frames, eight a second; the edge of the view moves 0.5 % to 8 % of its
            width in each.

    Returns:
        float64 [times, 4]: right (view widths), down (view heights), log of the view's size, clockwise (radians).
    """
    drift = rng.uniform(-1, 1, 4) * rng.random()
    unsteadiness = draw_unsteadiness(rng)
    shake = draw_shake(rng, times, steps / _STEPS_PER_S, unsteadiness)
    if label == "static":
        return (0.01 * drift * _ease(rng, times)[:, None] + shake) * _EDGE
    axis, sign = _MOTIONS[label]
    slowest = max(_SLOWEST, _CLEAR * unsteadiness / steps)  # or the label could not be told from the shake
    speed = np.exp(rng.uniform(np.log(slowest), np.log(_FASTEST[axis])))
    travel = min(speed * steps, _LONGEST[axis])
    poses = 0.22 * travel * drift * _ease(rng, times)[:, None]
    poses[:, axis] = sign * travel * _ease(rng, times)
    return (poses + shake) * _EDGE


def _ease(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Progress from 0 to 1: steady, or gathering or losing speed, in part with a wait at either end."""
    begin, end = (rng.uniform(0, 0.3), rng.uniform(0.7, 1)) if rng.random() < 0.3 else (0.0, 1.0)
    t = np.clip((times - begin) / (end - begin), 0, 1)
    curve = (t, t**2, 1 - (1 - t) ** 2, t**2 * (3 - 2 * t))[int(rng.integers(4))]
    blend = rng.random()
    return blend * curve + (1 - blend) * t


def film(
    picture: np.ndarray,
    poses: np.ndarray,
    view: tuple[float, float],
    size: tuple[int, int],
    slant: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Looks at `picture` from each pose; the path's middle lies on the picture's, which mirrors beyond its edges.

    Args:
        picture: uint8 [height, width, 3].
        poses: as of `draw_path`; [frames, 4], or [frames, exposures, 2, 4]: moments while the shutter is open, each
            as the first and the last row see it.
        view: width and height of the view on the picture, in its pixels, halfway along the path.
        size: width and height of the frames; another aspect ratio than the view's squashes them.
        slant: how much nearer the scene's right and lower edge is than its middle, as of `look`.

    Returns:
        uint8 [frames, height, width, 3].
    """
    return look(picture, center_path(poses), view, size, slant)


def center_path(poses: np.ndarray) -> np.ndarray:
    """Moves a path [..., 4] so that its middle is the pose of nothing but zeros."""
    flat = poses.reshape(-1, 4)
    return poses - (flat.max(0) + flat.min(0)) / 2


def look(
    picture: np.ndarray,
    poses: np.ndarray,
    view: tuple[float, float],
    size: tuple[int, int],
    slant: tuple[float, float] = (0.0, 0.0),
    border: int = cv2.BORDER_REFLECT_101,
) -> np.ndarray:
    """As `film`, but from the very poses: zeros look at the picture's middle.

    Args:
        slant: what is half a view right of (below) the middle is by half of this nearer: it looks larger and
            moves faster than the middle does.
        border: what OpenCV shows beyond the picture.
    """
    poses = poses if poses.ndim == 4 else np.repeat(poses[:, None, None], 2, axis=2)
    middle = np.array([picture.shape[1], picture.shape[0]]) / 2
    shots = []
    for exposures in aim(middle, poses, view, size):
        seen = [project(picture, matrix, view, size, slant, border) for matrix in exposures]
        shots.append(seen[0] if len(seen) == 1 else np.mean(seen, axis=0, dtype=np.float32).round().astype(np.uint8))
    return np.stack(shots)
