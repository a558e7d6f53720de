"""A video file that may still be arriving -> windows to classify, one after the other, in bounded memory."""

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush

import av
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from services.runtime.errors import InvalidInput
from services.video.spool import ForwardReader, SeekingReader, Spool
from services.video.timeline import count_promised, count_promised_bytes
from services.video.transforms import OPEN_OPTIONS, ClipOptions, to_rgb
from services.video.windows import SlidingWindow, Window

BOX_HEAD = struct.Struct(">I4s")
LARGE_SIZE = struct.Struct(">Q")
PASSED_BOXES = {b"ftyp", b"free", b"skip", b"wide", b"uuid", b"pnot", b"styp", b"sidx"}
MAX_BOXES = 64
HEAD_BYTES = 4096  # a Matroska file says within them how large it is


@dataclass(frozen=True)
class StreamLimits:
    """What one video may cost.

    Attributes:
        max_bytes: size of the file, which is kept on disk while it is read.
        max_pixels: pixels per frame, known before one is decoded.
        max_seconds: length of the video.
        max_fps: frames per second, over the length of the model's clip.
        max_open: videos that a replica reads at the same time; each has a thread.
        max_waiting: windows of one video that are decoded before they are asked for.
    """

    max_bytes: int = 2**30
    max_pixels: int = 4096 * 2304
    max_seconds: float = 4 * 3600.0
    max_fps: float = 480.0
    max_open: int = 8
    max_waiting: int = 4


def decode_windows(
    spool: Spool, options: ClipOptions, step_s: float, field: str, limits: StreamLimits
) -> Generator[Window]:
    """Decodes a video as far as it is there, and waits for more.

    Args:
        spool: the file.
        options: how the model wants its clips.
        step_s: seconds from one window to the next.
        field: name of the video in the request, for errors.
        limits: what it may cost.

    Yields:
        Its windows, each as soon as its last frame is decoded.

    Raises:
        InvalidInput: not a video of a known format, empty, damaged, truncated, or over a limit.
    """
    if not spool.read_at(0, 1):
        raise InvalidInput("the video has 0 bytes; at least 1", field)
    reader = ForwardReader(spool) if reads_forward(spool) else SeekingReader(spool)
    try:
        with av.open(reader, options=OPEN_OPTIONS | {"max_pixels": str(limits.max_pixels)}) as container:
            yield from _read(container, spool, options, step_s, field, limits)
    except (av.error.FFmpegError, ValueError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "unreadable"
        formats = "MP4, MOV, AVI, GIF, MKV, WebM, MPEG-TS"
        raise InvalidInput(f"not a video that can be decoded ({reason}); {formats}", field) from error


def reads_forward(spool: Spool) -> bool:
    """Whether the file can be decoded from its first byte on: any but an MP4 whose index follows its frames."""
    offset = 0
    for _ in range(MAX_BOXES):
        head = _read_exactly(spool, offset, BOX_HEAD.size + LARGE_SIZE.size)
        if len(head) < BOX_HEAD.size:
            return True
        size, kind = BOX_HEAD.unpack_from(head)
        if kind == b"mdat":
            return False
        if size == 1 and len(head) == BOX_HEAD.size + LARGE_SIZE.size:
            (size,) = LARGE_SIZE.unpack_from(head, BOX_HEAD.size)
        if kind not in PASSED_BOXES or size < BOX_HEAD.size:
            return True
        offset += size
    return True


def _read_exactly(spool: Spool, offset: int, size: int) -> bytes:
    content = b""
    while part := spool.read_at(offset + len(content), size - len(content)):
        content += part
    return content


def _read(
    container: InputContainer, spool: Spool, options: ClipOptions, step_s: float, field: str, limits: StreamLimits
) -> Iterator[Window]:
    stream = _open_stream(container, field, limits)
    time_base = stream.time_base or Fraction(1)
    window = SlidingWindow(options, step_s, time_base, limits.max_fps, field)
    first = last = duration = 0
    is_empty = True
    scaler = VideoReformatter()
    for time, frame, is_spoiled in _decode(container, stream, spool, field):
        first, last, duration, is_empty = first if not is_empty else time, time, frame.duration or 0, False
        seconds = (last - first) * float(time_base)
        if seconds > limits.max_seconds:
            raise InvalidInput(f"the video is {seconds:.0f} s long or more; at most {limits.max_seconds:g}", field)
        yield from window.push(time, None if is_spoiled else to_rgb(frame, options, scaler))
    if is_empty:
        raise InvalidInput("the video has 0 frames; at least 1", field)
    yield from window.finish(max(duration, 0) * float(time_base))


def _decode(
    container: InputContainer, stream: VideoStream, spool: Spool, field: str
) -> Iterator[tuple[int, av.VideoFrame, bool]]:
    """Frames, when they are shown in units of the time base, and whether they are spoiled."""
    promised, packets = count_promised(container, stream), 0
    # AVI keeps no presentation times; where frames are decoded out of order, those that FFmpeg makes up may be wrong.
    is_counted = container.format.name == "avi" and stream.codec_context.has_b_frames
    coming: list[int] = []
    is_spoiled = False
    for packet in container.demux(stream):
        spool.check()
        shown = packet.pts if packet.pts is not None else packet.dts
        packets += shown is not None
        if is_counted and shown is not None and not packet.is_discard:
            heappush(coming, shown)
        for frame in packet.decode():
            time = heappop(coming) if coming else frame.pts if frame.pts is not None else frame.dts
            if time is None:
                continue
            is_spoiled = frame.is_corrupt or (is_spoiled and not frame.key_frame)  # frames are made from earlier ones
            yield time, frame, is_spoiled
    if packets < promised:
        raise InvalidInput(f"truncated: {packets} of {promised} frames are there", field)
    size, promised = spool.wait_for_size(), count_promised_bytes(spool.read_at(0, HEAD_BYTES))
    if size < promised:
        raise InvalidInput(f"truncated: {size} of {promised} bytes are there", field)


def _open_stream(container: InputContainer, field: str, limits: StreamLimits) -> VideoStream:
    if not container.streams.video:
        raise InvalidInput("the file has no video stream", field)
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise InvalidInput("the video is in a format that cannot be decoded", field)
    if stream.width * stream.height > limits.max_pixels:
        raise InvalidInput(f"{stream.width}x{stream.height} pixels; at most {limits.max_pixels} per frame", field)
    stream.codec_context.thread_count = 1
    return stream
