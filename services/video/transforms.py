"""Encoded clip -> frames tensor -> class probabilities, as functions of bytes and arrays."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from services.runtime.errors import InvalidInput

# Playlists, which open other files, are not among them.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,avi,gif,matroska,webm,mpegts"
MAX_PIXELS = 4096 * 2304
MAX_FRAMES = 36_000  # ten minutes at 60 fps


@dataclass(frozen=True)
class ClipOptions:
    """How the model wants its clips; the manifest's `options`.

    Attributes:
        frames: frames per clip.
        height: rows per frame.
        width: columns per frame.
        fps: frames per second that are sampled.
    """

    frames: int
    height: int
    width: int
    fps: float

    @classmethod
    def from_manifest(cls, options: Mapping[str, Any]) -> "ClipOptions":
        """Reads a manifest's `options`."""
        return cls(options["frames"], options["height"], options["width"], options["fps"])


def decode_clip(content: bytes, options: ClipOptions, field: str) -> np.ndarray:
    """Decodes an encoded clip and samples it at `fps` around its middle.

    A clip shorter than `frames / fps` seconds is sampled evenly over its whole length.

    Returns:
        uint8 [frames, height, width, 3], RGB.

    Raises:
        InvalidInput: not a video of a known format, empty, damaged, truncated, or over a limit.
    """
    if not content:
        raise InvalidInput("the clip has 0 bytes", field)
    try:
        with av.open(io.BytesIO(content), options={"format_whitelist": FORMATS}) as container:
            return _sample(container, options, field)
    except (av.error.FFmpegError, ValueError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "unreadable"
        raise InvalidInput(
            f"not a video that can be decoded ({reason}); MP4, MOV, AVI, GIF, MKV, WebM", field
        ) from error


def _sample(container: InputContainer, options: ClipOptions, field: str) -> np.ndarray:
    if not container.streams.video:
        raise InvalidInput("the file has no video stream", field)
    stream = container.streams.video[0]
    if stream.width * stream.height > MAX_PIXELS:
        raise InvalidInput(f"{stream.width}x{stream.height} pixels; at most {MAX_PIXELS} per frame", field)
    times = _frame_times(container, stream, field)
    wanted = choose_frames(times, options.frames, options.fps, stream.time_base or Fraction(1))
    stream.codec_context.thread_count = 1
    container.seek(int(times[wanted[0]]), stream=stream)
    frames: dict[int, np.ndarray] = {}
    targets = {int(times[i]) for i in wanted}
    for frame in container.decode(stream):
        if frame.pts in targets:
            frames[frame.pts] = _to_rgb(frame, options)
        if len(frames) == len(targets):
            break
    if len(frames) < len(targets):
        raise InvalidInput(f"damaged: {len(targets) - len(frames)} of {len(targets)} frames cannot be decoded", field)
    return np.stack([frames[int(times[i])] for i in wanted])


def _frame_times(container: InputContainer, stream: VideoStream, field: str) -> np.ndarray:
    """Presentation times of all frames in units of the stream's time base, sorted, without decoding."""
    times: list[int] = []
    for packet in container.demux(stream):
        if packet.pts is not None:
            times.append(packet.pts)
        if len(times) > MAX_FRAMES:
            raise InvalidInput(f"more than {MAX_FRAMES} frames; at most {MAX_FRAMES}", field)
    if not times:
        raise InvalidInput("the clip has 0 frames; at least 1", field)
    if len(times) < stream.frames:
        raise InvalidInput(f"truncated: {len(times)} of {stream.frames} frames are there", field)
    return np.unique(np.array(times, np.int64))


def choose_frames(times: np.ndarray, frames: int, fps: float, time_base: Fraction) -> np.ndarray:
    """Indices of `frames` frames, `1/fps` seconds apart around the middle of the clip.

    Args:
        times: presentation times in units of `time_base` seconds, rising. [all frames]

    Returns:
        Indices into `times`; a frame repeats where the clip has too few. [frames]
    """
    seconds = (times - times[0]) * float(time_base)
    span = min((frames - 1) / fps, seconds[-1])
    wanted = (seconds[-1] - span) / 2 + np.linspace(0, span, frames)
    after = np.clip(np.searchsorted(seconds, wanted), 1, max(len(seconds) - 1, 1))
    if len(seconds) == 1:
        return np.zeros(frames, int)
    before_is_nearer = wanted - seconds[after - 1] < seconds[after] - wanted
    return np.where(before_is_nearer, after - 1, after)


def _to_rgb(frame: av.VideoFrame, options: ClipOptions) -> np.ndarray:
    quarter_turns = frame.rotation // 90 % 4
    height, width = (options.width, options.height) if quarter_turns % 2 else (options.height, options.width)
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    return np.rot90(small.to_ndarray(), quarter_turns)


def rank_classes(probabilities: np.ndarray, labels: Sequence[str], top_k: int) -> list[list[tuple[str, float]]]:
    """The `top_k` most probable labels of each row, most probable first: [batch, classes] -> pairs."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    return [[(labels[c], float(row[c])) for c in columns] for row, columns in zip(probabilities, order, strict=True)]
