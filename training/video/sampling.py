"""Which frames of a video make a clip, and which part of each frame."""

import cv2
import numpy as np

from training.video.shape import ClipShape

_SPEEDS = (0.9, 1.1)
_CROP = 7 / 8  # of a frame's height and width


def choose_centre(seconds: np.ndarray, shape: ClipShape) -> np.ndarray:
    """The frames that the service takes: `1/fps` seconds apart around the middle, or evenly over a shorter video.

    Args:
        seconds: when each frame is shown, rising from 0. float64 [all frames]
        shape: of the clip.

    Returns:
        Indices into `seconds`; a frame repeats where there are too few. int64 [frames]
    """
    span = _span(seconds, shape)
    return _find_nearest(seconds, (seconds[-1] - span) / 2 + np.linspace(0, span, shape.frames))


def choose_random(rng: np.random.Generator, seconds: np.ndarray, shape: ClipShape) -> np.ndarray:
    """Frames for training: from a random start, up to a tenth faster or slower than `fps`.

    Of a video that is no longer than the clip: one at random from each of `frames` parts of equal length.

    Args, returns: as of `choose_centre`.
    """
    span = (shape.frames - 1) / shape.fps * rng.uniform(*_SPEEDS)
    if seconds[-1] <= span:
        wanted = (np.arange(shape.frames) + rng.random(shape.frames)) / shape.frames * seconds[-1]
    else:
        wanted = rng.uniform(0, seconds[-1] - span) + np.linspace(0, span, shape.frames)
    return _find_nearest(seconds, wanted)


def temporal_views(seconds: np.ndarray, shape: ClipShape, views: int) -> list[np.ndarray]:
    """Frames of several clips, evenly from the video's beginning to its end; one view is `choose_centre`."""
    if views == 1:
        return [choose_centre(seconds, shape)]
    span = _span(seconds, shape)
    starts = np.linspace(0, seconds[-1] - span, views)
    return [_find_nearest(seconds, start + np.linspace(0, span, shape.frames)) for start in starts]


def spatial_views(frames: np.ndarray, crops: int) -> list[np.ndarray]:
    """Cuts a clip's frames, and brings what it cuts back to their size.

    Args:
        frames: uint8 [frames, height, width, channels].
        crops: 1 for the whole frame; 3 for seven eighths of its height and width at the left, the centre and the right,
            or the top, the centre and the bottom where it is higher than wide.

    Returns:
        `crops` times uint8 [frames, height, width, channels].

    Raises:
        ValueError: another number of crops.
    """
    if crops == 1:
        return [frames]
    if crops != 3:
        raise ValueError(f"crops must be 1 or 3, got {crops}")
    height, width = frames.shape[1:3]
    rows, columns = round(height * _CROP), round(width * _CROP)
    shares = [(share, 0.5) if height > width else (0.5, share) for share in (0.0, 0.5, 1.0)]
    corners = [(round(down * (height - rows)), round(right * (width - columns))) for down, right in shares]
    return [_resize(frames[:, y : y + rows, x : x + columns], height, width) for y, x in corners]


def _span(seconds: np.ndarray, shape: ClipShape) -> float:
    return float(min((shape.frames - 1) / shape.fps, seconds[-1]))


def _find_nearest(seconds: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Indices of the frames that are nearest in time; of two the later."""
    if len(seconds) == 1:
        return np.zeros(len(wanted), np.int64)
    after = np.clip(np.searchsorted(seconds, wanted), 1, len(seconds) - 1)
    return np.where(wanted - seconds[after - 1] < seconds[after] - wanted, after - 1, after)


def _resize(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    resized = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in frames]
    return np.stack(resized).reshape(len(frames), height, width, frames.shape[3])
