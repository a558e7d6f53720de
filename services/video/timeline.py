"""When a file's frames are shown and where decoding can begin, told without decoding one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # the elements that a Matroska file begins with
UNKNOWN_SIZE = -1


@dataclass(frozen=True)
class Timeline:
    """What a file says about its frames.

    Attributes:
        times: presentation times in units of the stream's time base, rising. int64 [frames]
        entries: of each frame at which decoding can begin, its presentation time and what to seek for.
        counted: the times are of no frames in particular: frames have to be counted.
        packets: how many there are; more than frames where an edit list leaves some out.
    """

    times: np.ndarray
    entries: list[tuple[int, int]]
    counted: bool
    packets: int


def count_promised(container: InputContainer, stream: VideoStream) -> int:
    """Packets that the file's index or header says there are, 0 if it says nothing; ask before anything is read."""
    if container.format.name == "gif":  # FFmpeg counts its pictures, which need not be frames
        return 0
    if "mov" in container.format.name:  # an edit list shortens the index, and leaves the header's number as it was
        return len(stream.index_entries)
    return stream.frames


def count_promised_bytes(content: bytes) -> int:
    """Size that a Matroska or WebM file says it has, 0 if it says nothing or the file is another.

    Nothing else tells that its end is missing: it has no number of frames.
    """
    try:
        header_size, at = _read_size(content, len(EBML))
        at += header_size
        size, end = _read_size(content, at + len(SEGMENT))
    except IndexError:
        return 0
    whole = content.startswith(EBML) and content.startswith(SEGMENT, at)
    return end + size if whole and size != UNKNOWN_SIZE else 0


def _read_size(content: bytes, at: int) -> tuple[int, int]:
    """An EBML number, as of RFC 8794, 4.4, and the position after it."""
    length = 9 - content[at].bit_length()
    size = int.from_bytes(content[at : at + length]) & (1 << 7 * length) - 1
    return UNKNOWN_SIZE if size == (1 << 7 * length) - 1 else size, at + length


def read_timeline(container: InputContainer, stream: VideoStream, check: Callable[[int], None]) -> Timeline:
    """Reads all packets of a video.

    Args:
        container: a file from whose beginning nothing has been read.
        stream: of it.
        check: is called with the number of packets after each; raises where they are too many.
    """
    # AVI keeps no presentation times; where frames are decoded out of order, those that FFmpeg makes up may be wrong.
    counted = container.format.name == "avi" and stream.codec_context.has_b_frames
    times: list[int] = []
    entries: list[tuple[int, int]] = []
    count = 0
    for packet in container.demux(stream):
        shown = packet.dts if counted or packet.pts is None else packet.pts
        count += shown is not None
        check(count)
        if shown is None:  # the last one, which has nothing in it
            continue
        if packet.is_keyframe:
            entries.append((shown, packet.dts if packet.dts is not None else shown))
        if not packet.is_discard:
            times.append(shown)
    return Timeline(np.unique(np.array(times, np.int64)), entries, counted, count)


def decode_from(
    container: InputContainer, stream: VideoStream, timeline: Timeline, first: int
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decodes from the last possible beginning before the time `first`: frames and when they are shown."""
    before = [seek for shown, seek in timeline.entries if shown <= first and not timeline.counted]
    beginning = timeline.entries[0][1] if timeline.entries else int(timeline.times[0])
    container.seek(before[-1] if before else beginning, stream=stream)
    if timeline.counted:
        yield from zip(timeline.times.tolist(), container.decode(stream), strict=False)
        return
    for frame in container.decode(stream):
        yield frame.pts if frame.pts is not None else frame.dts or 0, frame
