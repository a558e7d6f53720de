"""Video files as small frames and the times at which they are shown; frame for frame what the service decodes."""

from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from training.recipe.errors import DataError
from training.video.sampling import choose_centre
from training.video.shape import ClipShape

MAX_FRAMES = 36_000
_MAX_PIXELS = 4096 * 2304
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,avi,gif,matroska,webm,mpegts"  # playlists, which open other files, are not among them
)
_OPTIONS = {
    "format_whitelist": _FORMATS,
    "probesize": "1000000",
    "analyzeduration": "1000000",
    "max_pixels": str(_MAX_PIXELS),
}
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # the elements that a Matroska file begins with
_HEAD = 256  # bytes of a file that hold both
_ENOUGH = 0.9  # of the frames that a header promises; those of many AVI files count a few that are not there


def decode_centre(path: Path, shape: ClipShape) -> np.ndarray:
    """The clip around a video's middle, as the service samples it.

    Returns:
        uint8 [frames, height, width, 3], RGB.

    Raises:
        DataError: as of `decode_frames`.
    """
    frames, seconds = decode_frames(path, shape.height, shape.width)
    return frames[choose_centre(seconds, shape)]


def decode_frames(path: Path, height: int, width: int, max_frames: int = MAX_FRAMES) -> tuple[np.ndarray, np.ndarray]:
    """Decodes a whole video.

    Frames are turned as the file says they are to be shown; transparency is left out.

    Args:
        path: of the file.
        height: pixels; frames are squashed to it.
        width: pixels.
        max_frames: that the video may have.

    Returns:
        uint8 [frames, height, width, 3], RGB, and float64 [frames], seconds after the first frame, rising.

    Raises:
        DataError: not a video of a known format, empty, damaged, truncated, of frames with more than 4096 x 2304 pixels
            or of more than `max_frames`; names the file.
    """
    try:
        _refuse_cut(path)
        with av.open(str(path.absolute()), options=_OPTIONS) as container:
            return _decode(container, _open_stream(container), (height, width), max_frames)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (av.error.FFmpegError, OSError, ValueError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "unreadable"
        if isinstance(error, av.error.ArgumentError):
            reason += f", as for frames of more than {_MAX_PIXELS} pixels"
        raise DataError(f"{path}: not a video that can be decoded ({reason}); MP4, MOV, AVI, GIF, MKV, WebM") from error


def _refuse_cut(path: Path) -> None:
    """Raises DataError for an empty file, and for a Matroska or WebM file with fewer bytes than it says it has."""
    size = path.stat().st_size
    if not size:
        raise DataError("the file has 0 bytes")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    try:
        header, at = _read_size(head, len(_EBML))
        at += header
        segment, end = _read_size(head, at + len(_SEGMENT))
    except IndexError:
        return
    if head.startswith(_EBML) and head.startswith(_SEGMENT, at) and size < end + segment:
        raise DataError(f"truncated: {size} of {end + segment} bytes are there")


def _read_size(head: bytes, at: int) -> tuple[int, int]:
    """An EBML number, as of RFC 8794, 4.4, -1 if unknown, and the position after it."""
    length = 9 - head[at].bit_length()
    most = (1 << 7 * length) - 1
    size = int.from_bytes(head[at : at + length]) & most
    return -1 if size == most else size, at + length


def _open_stream(container: InputContainer) -> VideoStream:
    if not container.streams.video:
        raise DataError("the file has no video stream")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise DataError("the video is in a format that cannot be decoded")
    if stream.width * stream.height > _MAX_PIXELS:
        raise DataError(f"{stream.width}x{stream.height} pixels; at most {_MAX_PIXELS} per frame")
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(_MAX_PIXELS)}  # the size may not be known yet, or change
    return stream


def _decode(
    container: InputContainer, stream: VideoStream, size: tuple[int, int], max_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    # An edit list shortens the index of an MP4 or MOV, and leaves the header's number as it was.
    # FFmpeg counts the pictures of a GIF, which need not be frames.
    promised = len(stream.index_entries) if "mov" in container.format.name else stream.frames
    promised = 0 if container.format.name == "gif" else promised
    frames: list[np.ndarray] = []
    shown: list[int] = []
    decoded: list[int] = []  # times of decoding, which are all that AVI keeps
    packets, scaler = 0, VideoReformatter()
    for packet in container.demux(stream):
        time = packet.dts if packet.dts is not None else packet.pts
        if time is not None:
            packets += 1
            decoded.append(time)
        if packets > max_frames:
            raise DataError(f"more than {max_frames} frames; at most {max_frames}")
        for frame in packet.decode():
            if frame.is_corrupt:
                raise DataError(f"damaged: frame {len(frames) + 1} cannot be decoded")
            frames.append(_to_rgb(frame, scaler, *size))
            shown.append(frame.pts if frame.pts is not None else frame.dts or 0)
    if not frames:
        raise DataError("the video has 0 frames; at least 1")
    if packets < _ENOUGH * promised:
        raise DataError(f"truncated: {packets} of {promised} frames are there")
    if container.format.name == "avi" and stream.codec_context.has_b_frames:
        shown = sorted(decoded)[: len(frames)]
    times, rows = np.unique(np.array(shown, np.int64), return_index=True)
    return np.stack([frames[row] for row in rows]), (times - times[0]) * float(stream.time_base or 1)


def _to_rgb(frame: av.VideoFrame, scaler: VideoReformatter, height: int, width: int) -> np.ndarray:
    quarter_turns = frame.rotation // 90 % 4
    if quarter_turns % 2:
        height, width = width, height
    size = {"width": width, "height": height}
    # One thread: starting more takes longer than a frame does.
    small = scaler.reformat(frame, **size, format="rgb24", interpolation="AREA", threads=1)
    return np.rot90(small.to_ndarray(), quarter_turns)
