"""What the camera sees from a pose: the map from the frame to the picture."""

import cv2
import numpy as np

_FLAGS = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def aim(middle: np.ndarray, poses: np.ndarray, view: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    """The affine maps from frames, whose rows are read while the camera moves, to the picture.

    Args:
        middle: what a pose of zeros looks at, pixels of the picture. [2]
        poses: as of `camera.look`: of each frame's first and last row. [..., 2, 4]
        view: width and height of the view on the picture, in its pixels.
        size: width and height of the frames.

    Returns:
        float64 [..., 2, 3]: a map that agrees with both poses on their rows; a rolling shutter shears and stretches.
    """
    placed = _place(middle, poses, view, size)
    half, rows = (size[0] - 1) / 2, size[1] - 1
    high, low = placed[..., 0, :, :] @ (half, 0, 1), placed[..., 1, :, :] @ (half, rows, 1)
    across, down = placed[..., 0].mean(axis=-2), (low - high) / rows
    return np.stack([across, down, high - across * half], axis=-1)


def project(
    picture: np.ndarray,
    matrix: np.ndarray,
    view: tuple[float, float],
    size: tuple[int, int],
    slant: tuple[float, float],
    border: int,
) -> np.ndarray:
    """One frame; `matrix` is of `aim`, the others as of `camera.look`. uint8 [height, width, channels]"""
    if slant == (0.0, 0.0):
        return cv2.warpAffine(picture, matrix, size, flags=_FLAGS, borderMode=border)
    there = matrix @ ((size[0] - 1) / 2, (size[1] - 1) / 2, 1)  # what the middle of the frame looks at
    moved, lean, back = np.eye(3), np.eye(3), np.eye(3)
    moved[:2] = matrix
    moved[:2, 2] -= there
    lean[2, :2] = slant[0] / view[0], slant[1] / view[1]
    back[:2, 2] = there
    return cv2.warpPerspective(picture, back @ lean @ moved, size, flags=_FLAGS, borderMode=border)


def _place(middle: np.ndarray, poses: np.ndarray, view: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    """As `aim`, of one pose for all rows: [..., 4] -> [..., 2, 3]."""
    cosine, sine = np.cos(poses[..., 3]), np.sin(poses[..., 3])
    turn = np.stack([np.stack([cosine, -sine], axis=-1), np.stack([sine, cosine], axis=-1)], axis=-2)
    pixel = np.exp(poses[..., 2, None, None]) * turn * np.divide(view, size)
    corner = middle + poses[..., :2] * view - pixel @ (np.array(size) / 2 - 0.5)
    return np.concatenate([pixel, corner[..., None]], axis=-1)
