"""Real footage under the virtual camera: what moves in it goes on moving while the camera turns; for evaluation."""

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from training.recipe.errors import DataError
from training.video.rendered.camera import LABELS
from training.video.rendered.recording import record, sample_recording
from training.video.shape import ClipShape

_SIDE = 480  # short side of the pictures that the camera looks at, pixels
_LONGEST = 90  # frames of a video that are used
_USUAL_FPS = 25.0  # of a file that does not tell
_NEAR, _FAR = 12.0, 40.0  # levels that footage differs from its median: of what is ground, of what is not


def film_footage(
    videos: Sequence[Path], seed: int, count: int, shape: ClipShape, grounds: Sequence[np.ndarray] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Moves the camera over videos while they play, encodes to H.264, decodes and samples; labels take turns.

    Args:
        videos: files of one shot each, taken by a camera that stood still; drawn at random.
        seed: of all randomness.
        count: of clips.
        shape: of a clip.
        grounds: pictures uint8 [height, width, 3], RGB, 480 on the short side, to put what moves before, where the
            footage has no ground of its own, as thermal footage; none keeps the footage as it is.

    Returns:
        uint8 [count, frames, height, width, 3] RGB, and int64 [count] indices into LABELS.

    Raises:
        DataError: there are no videos, or one has no frames.
    """
    if not videos:
        raise DataError("videos: got 0 files; at least 1")
    labels, clips = np.arange(count) % len(LABELS), []
    for i, label in enumerate(labels):
        rng = np.random.default_rng([seed, i])
        frames, fps = load_footage(videos[int(rng.integers(len(videos)))])
        if grounds:
            scene = place_before(frames, grounds[int(rng.integers(len(grounds)))])
        else:
            scene = [_fit(frame) for frame in frames]
        clips.append(sample_recording(record(rng, scene, fps, LABELS[label], shape.fps), shape))
    return np.stack(clips), labels


def load_footage(video: Path) -> tuple[list[np.ndarray], float]:
    """The first frames of a video, uint8 [height, width, 3] RGB, and how many a second."""
    frames: list[np.ndarray] = []
    with av.open(str(video)) as container:
        if not container.streams.video:
            raise DataError(f"{video}: has no video stream")
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            frames.append(frame.to_ndarray(format="rgb24", threads=1))
            if len(frames) == _LONGEST:
                break
        fps = float(stream.average_rate or _USUAL_FPS)
    if not frames:
        raise DataError(f"{video}: has 0 frames; at least 1")
    return frames, fps


def place_before(frames: Sequence[np.ndarray], ground: np.ndarray) -> list[np.ndarray]:
    """Puts what differs from the footage's median before the middle of another picture.

    Args:
        frames: uint8 [height, width, 3] each, of one size.
        ground: uint8 [height, width, 3].

    Returns:
        uint8 [480, 480, 3] each.
    """
    top, left = (ground.shape[0] - _SIDE) // 2, (ground.shape[1] - _SIDE) // 2
    behind = np.ascontiguousarray(ground[top : top + _SIDE, left : left + _SIDE])
    still = np.median(frames[:: max(1, len(frames) // 15)], axis=0).astype(np.float32)
    placed = []
    for frame in frames:
        differs = np.abs(frame - still).max(axis=-1)
        weight = np.clip((cv2.resize(differs, (_SIDE, _SIDE)) - _NEAR) / (_FAR - _NEAR), 0, 1)
        large = cv2.resize(frame, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
        placed.append(cv2.blendLinear(large, behind, weight, 1 - weight))
    return placed


def _fit(frame: np.ndarray) -> np.ndarray:
    """Scales a frame to 480 on its short side."""
    scale = _SIDE / min(frame.shape[:2])
    return cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
