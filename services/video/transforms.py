"""Encoded clip -> frames tensor -> class probabilities, as functions of bytes and arrays."""

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from services.runtime.errors import InvalidInput
from services.video.timeline import Timeline, count_promised, count_promised_bytes, decode_from, read_timeline

# Playlists, which open other files, are not among them.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,avi,gif,matroska,webm,mpegts"
# How much is read to find out what there is; FFmpeg would decode five seconds for it.
OPEN_OPTIONS = {"format_whitelist": FORMATS, "probesize": "1000000", "analyzeduration": "1000000"}


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


@dataclass(frozen=True)
class DecodeLimits:
    """What one clip may cost.

    Attributes:
        max_pixels: pixels per frame, known before one is decoded.
        max_frames: frames in all; the default is ten minutes at 60 per second.
        max_seconds: length of the clip.
        max_cpu_s: processor time of reading and decoding it.
    """

    max_pixels: int = 4096 * 2304
    max_frames: int = 36_000
    max_seconds: float = 3600.0
    max_cpu_s: float = 10.0


@dataclass(frozen=True)
class _Budget:
    limits: DecodeLimits
    field: str
    started_s: float

    def check(self) -> None:
        """Is called after each packet and each frame, which cost little by themselves."""
        if time.thread_time() - self.started_s > self.limits.max_cpu_s:
            raise InvalidInput(f"takes more than {self.limits.max_cpu_s:g} s to decode; at most that", self.field)


def decode_clip(content: bytes, options: ClipOptions, field: str, limits: DecodeLimits = DecodeLimits()) -> np.ndarray:
    """Decodes an encoded clip and samples it at `fps` around its middle.

    A clip shorter than `frames / fps` seconds is sampled evenly over its whole length. Frames are turned as the file
    says they are to be shown; transparency is left out.

    Args:
        content: the file.
        options: how the model wants it.
        field: its name in the request, for errors.
        limits: what it may cost.

    Returns:
        uint8 [frames, height, width, 3], RGB.

    Raises:
        InvalidInput: not a video of a known format, empty, damaged, truncated, or over a limit.
    """
    if not content:
        raise InvalidInput("the clip has 0 bytes", field)
    if len(content) < (promised := count_promised_bytes(content)):
        raise InvalidInput(f"truncated: {len(content)} of {promised} bytes are there", field)
    try:
        with av.open(io.BytesIO(content), options=OPEN_OPTIONS | {"max_pixels": str(limits.max_pixels)}) as container:
            return _sample(container, options, _Budget(limits, field, time.thread_time()))
    except (av.error.FFmpegError, ValueError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "unreadable"
        if isinstance(error, av.error.ArgumentError):
            reason += f", as for frames of more than {limits.max_pixels} pixels"
        raise InvalidInput(
            f"not a video that can be decoded ({reason}); MP4, MOV, AVI, GIF, MKV, WebM", field
        ) from error


def open_stream(container: InputContainer, max_pixels: int, field: str) -> VideoStream:
    """The video stream of a file, ready to be decoded by one thread.

    Raises:
        InvalidInput: there is none, it cannot be decoded, or its frames have more than `max_pixels`.
    """
    if not container.streams.video:
        raise InvalidInput("the file has no video stream", field)
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise InvalidInput("the video is in a format that cannot be decoded", field)
    if stream.width * stream.height > max_pixels:
        raise InvalidInput(f"{stream.width}x{stream.height} pixels; at most {max_pixels} per frame", field)
    stream.codec_context.thread_count = 1
    # The size may not be known yet, or change on the way.
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    return stream


def _sample(container: InputContainer, options: ClipOptions, budget: _Budget) -> np.ndarray:
    field = budget.field
    stream = open_stream(container, budget.limits.max_pixels, field)
    timeline = _read_timeline(container, stream, budget)
    times = timeline.times
    wanted = times[choose_frames(times, options.frames, options.fps, stream.time_base or Fraction(1))].tolist()
    frames: dict[int, np.ndarray] = {}
    scaler, missing, spoiled = VideoReformatter(), set(wanted), False
    for shown, frame in decode_from(container, stream, timeline, wanted[0]):
        budget.check()
        spoiled = frame.is_corrupt or (spoiled and not frame.key_frame)  # frames are made from those before them
        if shown in missing and not spoiled:
            frames[shown] = to_rgb(frame, options, scaler)
            missing.remove(shown)
        if not missing:
            return np.stack([frames[time] for time in wanted])
    raise InvalidInput(f"damaged: {len(missing)} of {len(set(wanted))} frames cannot be decoded", field)


def _read_timeline(container: InputContainer, stream: VideoStream, budget: _Budget) -> Timeline:
    field, limits = budget.field, budget.limits

    def check(count: int) -> None:
        budget.check()
        if count > limits.max_frames:
            raise InvalidInput(f"more than {limits.max_frames} frames; at most {limits.max_frames}", field)

    promised = count_promised(container, stream)
    timeline = read_timeline(container, stream, check)
    if not len(timeline.times):
        raise InvalidInput("the clip has 0 frames; at least 1", field)
    if timeline.packets < promised:
        raise InvalidInput(f"truncated: {timeline.packets} of {promised} frames are there", field)
    seconds = int(timeline.times[-1] - timeline.times[0]) * float(stream.time_base or 1)
    if seconds > limits.max_seconds:
        raise InvalidInput(f"the clip is {seconds:.0f} s long; at most {limits.max_seconds:g}", field)
    return timeline


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
    return find_nearest(seconds, wanted)


def find_nearest(seconds: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Indices of the frames nearest to moments, the later one of two that are equally near.

    Args:
        seconds: when the frames are shown, rising. [all frames]
        wanted: moments. [frames]

    Returns:
        Indices into `seconds`. [frames]
    """
    if len(seconds) == 1:
        return np.zeros(len(wanted), int)
    after = np.clip(np.searchsorted(seconds, wanted), 1, len(seconds) - 1)
    return np.where(wanted - seconds[after - 1] < seconds[after] - wanted, after - 1, after)


def to_rgb(frame: av.VideoFrame, options: ClipOptions, scaler: VideoReformatter | None = None) -> np.ndarray:
    """uint8 [height, width, 3]; a scaler that is given for many frames is set up once."""
    quarter_turns = frame.rotation // 90 % 4
    height, width = (options.width, options.height) if quarter_turns % 2 else (options.height, options.width)
    size = {"width": width, "height": height}
    # One thread: starting more takes longer than a frame does.
    small = (scaler or VideoReformatter()).reformat(frame, **size, format="rgb24", interpolation="AREA", threads=1)
    return np.rot90(small.to_ndarray(), quarter_turns)


def rank_classes(probabilities: np.ndarray, labels: Sequence[str], top_k: int) -> list[list[tuple[str, float]]]:
    """The `top_k` most probable labels of each row, most probable first: [batch, classes] -> pairs."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    return [[(labels[c], float(row[c])) for c in columns] for row, columns in zip(probabilities, order, strict=True)]
