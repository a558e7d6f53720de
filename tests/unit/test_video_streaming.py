"""A long video, second by second: which frames a window has, how little is held, and what is refused."""

import asyncio
import io
import math
import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from seqserve.video.v1 import video_service_pb2 as pb

from services.runtime.errors import InvalidInput, Overloaded, PayloadTooLarge
from services.video.schema import read_step_s
from services.video.spool import Spool
from services.video.stream_decoder import StreamLimits, decode_windows, reads_forward
from services.video.streaming import VideoStreams, _Handover, split_options
from services.video.transforms import ClipOptions, choose_frames, decode_clip, to_rgb
from services.video.windows import SlidingWindow, Window

OPTIONS = ClipOptions(frames=16, height=32, width=24, fps=8.0)
SPAN_S = 15 / 8
LIMITS = StreamLimits()
MS = Fraction(1, 1000)
CONTAINERS = {
    "mp4": ("h264", {}),
    "mov": ("h264", {}),
    "fragmented mp4": ("h264", {"movflags": "frag_keyframe+empty_moov"}),
    "avi": ("mpeg4", {}),
    "matroska": ("h264", {}),
    "webm": ("vp9", {"cpu-used": "8"}),
    "mpegts": ("h264", {}),
    "gif": ("gif", {}),
}


def encode(frames, container="mp4", rate=25, times=None):
    """A video whose pictures all differ: a ramp that moves, and becomes lighter."""
    codec, options = CONTAINERS[container]
    target = io.BytesIO()
    with av.open(target, "w", format=container.rpartition(" ")[2], container_options=options) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8" if codec == "gif" else "yuv420p"
        if times:
            stream.time_base = stream.codec_context.time_base = MS
        ramp = np.arange(64)[None, :, None] + np.arange(48)[:, None, None] + np.zeros(3, int)
        for i in range(frames):
            picture = av.VideoFrame.from_ndarray(((ramp * 3 + i * 5) % 256).astype(np.uint8), format="rgb24")
            picture = picture.reformat(format=stream.pix_fmt)
            if times:
                picture.pts, picture.time_base = times[i], MS
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return target.getvalue()


def stream_whole(content, step_s=1.0, limits=LIMITS):
    with Spool(limits.max_bytes, "chunk") as spool:
        spool.append(content)
        spool.finish()
        return list(decode_windows(spool, OPTIONS, step_s, "chunk", limits))


def decode_all(content):
    """Every frame of a video, and when it is shown in seconds after the first one."""
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        shown = {frame.pts: to_rgb(frame, OPTIONS) for frame in container.decode(stream)}
        times, unit = sorted(shown), float(stream.time_base)
    return [(time - times[0]) * unit for time in times], [shown[time] for time in times]


def nearest(seconds, moment):
    """The later one of two that are equally near."""
    return min(range(len(seconds)), key=lambda i: (abs(seconds[i] - moment), -i))


def expected_steps(seconds, step_s):
    """Start of each step, and the frames of its clip, told from all frames at once."""
    last = seconds[-1]
    for index in range(math.floor(last / step_s + 1e-9) + 1):
        start = min(max((index + 0.5) * step_s - SPAN_S / 2, 0.0), last - SPAN_S)
        yield index * step_s, [nearest(seconds, start + moment) for moment in np.linspace(0, SPAN_S, 16)]


def slide(times, step_s=1.0, time_base=MS, last_frame_s=0.0, max_fps=480.0):
    """(start, end, frames of the clip) of each window of a video whose pictures are numbers, and the most held."""
    window = SlidingWindow(OPTIONS, step_s, time_base, max_fps, "chunk")
    found, held = [], 0
    for i, time in enumerate(times):
        found += window.push(int(time), np.array(i))
        held = max(held, window.held)
    found += window.finish(last_frame_s)
    return [(w.start_s, w.end_s, w.frames.tolist()) for w in found], held


def variable_times(seed, count=400):
    return np.cumsum(
        np.random.default_rng(seed).choice([1, 7, 33, 40, 41, 250, 1900], count, p=[0.1] * 4 + [0.4, 0.15, 0.05])
    )


@pytest.mark.parametrize("step_s", [0.1, 0.5, 1.0, 1.7, 10.0])
@pytest.mark.parametrize(
    "times",
    [
        np.arange(100) * 40,
        np.arange(101) * 40 - 80,
        np.arange(48) * 40,
        np.array([0, 1876]),
        np.array([0, 9_000, 9_040]),
        variable_times(1),
        variable_times(2),
    ],
    ids=["4 s", "begins below zero", "barely longer than a clip", "two frames", "a long pause", "variable", "other"],
)
def test_a_window_has_the_frames_nearest_to_its_moments(times, step_s):
    found, _ = slide(times, step_s)
    seconds = ((times - times[0]) * float(MS)).tolist()
    expected = list(expected_steps(seconds, step_s))
    assert [frames for _, _, frames in found] == [frames for _, frames in expected]
    assert [start for start, _, _ in found] == pytest.approx([start for start, _ in expected])


def test_steps_follow_each_other_to_the_end_of_the_video():
    found, _ = slide(np.arange(90) * 40, last_frame_s=0.04)  # 3.6 s
    assert [(start, end) for start, end, _ in found] == [(0, 1), (1, 2), (2, 3), (3, 3.6)]
    tenths, _ = slide(np.arange(50) * 40, 0.1)
    assert [start for start, _, _ in tenths] == pytest.approx(np.arange(20) / 10)


def test_a_window_comes_with_its_last_frame_and_not_before_the_video_is_longer_than_a_clip():
    window = SlidingWindow(OPTIONS, 1.0, MS, 480, "chunk")
    came = [(i, w.start_s) for i in range(120) for w in window.push(i * 125, np.array(i))]
    assert came[0] == (16, 0.0)  # at 1.875 s the video might have ended
    assert came[1:3] == [(20, 1.0), (28, 2.0)]  # 1.5 s and 2.5 s, and half a clip


@pytest.mark.parametrize("count", [1, 2, 10, 47])
def test_a_video_no_longer_than_a_clip_has_one_window_over_its_whole_length(count):
    times = np.arange(count) * 40
    found, _ = slide(times, 0.1, last_frame_s=0.04)
    assert found == [(0.0, pytest.approx(count * 0.04), choose_frames(times, 16, 8.0, MS).tolist())]


def test_an_hour_holds_no_more_than_a_clip():
    times = np.arange(3600 * 30) * 512  # 30 per second
    found, held = slide(times, time_base=Fraction(1, 15360))
    assert len(found) == 3600
    assert held <= math.ceil(SPAN_S * 30) + 2


def test_more_frames_than_may_be_held_are_refused():
    with pytest.raises(InvalidInput, match=r"more than 190 frames within 1.875 s; at most 190") as caught:
        slide(np.arange(300), max_fps=100)
    assert caught.value.field == "chunk"


def test_a_frame_that_cannot_be_decoded_matters_where_it_is_needed():
    window = SlidingWindow(OPTIONS, 1.0, MS, 480, "chunk")
    pictures = {i: None if i in (1, 30) else np.array(i) for i in range(70)}  # 1 is in no clip
    found = []
    with pytest.raises(InvalidInput, match=r"damaged: the frame at 1\.20 s cannot be decoded"):
        found += [w.start_s for i, picture in pictures.items() for w in window.push(i * 40, picture)]
    pictures[30] = np.array(30)
    window = SlidingWindow(OPTIONS, 1.0, MS, 480, "chunk")
    assert [w.start_s for i, picture in pictures.items() for w in window.push(i * 40, picture)] == [0.0, 1.0]


def test_frames_that_are_not_later_are_left_out():
    plain = slide(np.arange(100) * 40)[0]
    doubled = slide(np.repeat(np.arange(100) * 40, 2) - np.tile([0, 20], 100))[0]
    assert [[i // 2 for i in frames] for _, _, frames in doubled] == [frames for _, _, frames in plain]


@pytest.mark.parametrize("container", list(CONTAINERS))
def test_every_container_gives_the_clips_of_an_offline_decode(container):
    content = encode(120, container)
    found = stream_whole(content)
    seconds, pictures = decode_all(content)
    expected = list(expected_steps(seconds, 1.0))
    assert len(found) == len(expected) == 5
    for window, (start_s, frames) in zip(found, expected, strict=True):
        assert window.start_s == start_s
        assert window.frames.dtype == np.uint8
        assert np.array_equal(window.frames, np.stack([pictures[i] for i in frames]))
    assert found[-1].end_s == pytest.approx(4.8, abs=0.05)


@pytest.mark.parametrize("container", list(CONTAINERS))
def test_a_short_video_gives_the_clip_of_the_unary_call(container):
    content = encode(40, container)
    (window,) = stream_whole(content, 0.1)
    assert np.array_equal(window.frames, decode_clip(content, OPTIONS, "clip"))


def turned(content):
    """The same MP4, to be shown a quarter turned: the matrix of its track says so."""
    at = content.index(b"tkhd") + 4 + 40
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    return content[:at] + matrix + content[at + 36 :]


def test_rotation_and_variable_rate_are_those_of_the_unary_call():
    short = turned(encode(40))
    (window,) = stream_whole(short)
    assert np.array_equal(window.frames, decode_clip(short, OPTIONS, "clip"))
    assert not np.array_equal(window.frames, decode_clip(encode(40), OPTIONS, "clip"))
    uneven = encode(30, "matroska", times=variable_times(4, 30).tolist())
    seconds, pictures = decode_all(uneven)
    for window, (_, frames) in zip(stream_whole(uneven), expected_steps(seconds, 1.0), strict=True):
        assert np.array_equal(window.frames, np.stack([pictures[i] for i in frames]))


def test_only_an_mp4_with_its_index_at_the_end_has_to_be_whole():
    waits = {}
    for container in CONTAINERS:
        with Spool(2**30, "chunk") as spool:
            spool.append(encode(30, container))
            spool.finish()
            waits[container] = not reads_forward(spool)
    assert {container for container, wait in waits.items() if wait} == {"mp4", "mov"}


def sound_only():
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (lambda: b"", "the video has 0 bytes; at least 1"),
        (lambda: b"hello, world\n" * 1000, "not a video that can be decoded"),
        (lambda: bytes(3 * 2**20), "not a video that can be decoded"),
        (lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not a video that can be decoded"),
        (sound_only, "the file has no video stream"),
        (lambda: encode(0), ""),
        (lambda: encode(120)[:-900], "not a video that can be decoded"),
        (lambda: encode(120, "avi")[: len(encode(120, "avi")) // 2], "truncated: "),
        (lambda: encode(120, "webm")[:-1000], "truncated: "),
        (lambda: encode(3, "matroska", times=[0, 40, 20_000_000]), "the video is 20000 s long or more; at most 14400"),
    ],
    ids=[
        "empty",
        "text",
        "zeros",
        "playlist",
        "sound only",
        "no frames",
        "no index",
        "half an AVI",
        "cut WebM",
        "hours",
    ],
)
def test_what_is_no_video_is_refused(content, text):
    with pytest.raises(InvalidInput) as caught:
        stream_whole(content())
    assert text in caught.value.message
    assert caught.value.field == "chunk"


def test_frames_that_are_too_large_are_refused():
    with pytest.raises(InvalidInput, match=r"64x48 pixels; at most 3000|not a video that can be decoded"):
        stream_whole(encode(30), limits=StreamLimits(max_pixels=3000))


@pytest.mark.parametrize("step_s", [0.09, -1, 3601, math.nan, math.inf])
def test_steps_have_limits(step_s):
    with pytest.raises(InvalidInput, match=r"0\.1 to 3600, or 0 for 1") as caught:
        read_step_s(pb.StreamVideoOptions(step_s=step_s))
    assert caught.value.field == "options.step_s"


def chunk(content):
    return pb.StreamVideoRequest(chunk=content)


class Upload:
    """Messages that a test sends one by one."""

    def __init__(self, *messages, is_whole=True):
        self._queue = asyncio.Queue()
        self.send(*messages)
        if is_whole:
            self.end()

    def send(self, *messages):
        for message in messages:
            self._queue.put_nowait(message)

    def end(self):
        self._queue.put_nowait(None)

    def __aiter__(self):
        return self

    async def __anext__(self):
        message = await self._queue.get()
        if message is None:
            self.end()
            raise StopAsyncIteration
        return message


async def collect(streams, upload, found=None):
    """All windows, which also go into `found` as they come."""
    found = [] if found is None else found
    async with streams.open(upload, OPTIONS, 1.0) as batches:
        async for batch in batches:
            found += batch
    return found


async def test_answers_come_while_the_video_still_arrives():
    content = encode(600, "fragmented mp4")
    half = len(content) // 2
    upload = Upload(chunk(content[:half]), is_whole=False)
    async with VideoStreams().open(upload, OPTIONS, 1.0) as batches:
        early = await anext(batches)
        upload.send(chunk(content[half:]))
        upload.end()
        late = [window async for batch in batches for window in batch]
    assert [w.start_s for w in [*early, *late]] == list(range(24))


async def test_options_are_those_of_the_first_message():
    first = pb.StreamVideoRequest(options=pb.StreamVideoOptions(top_k=3, step_s=0.5))
    options, rest = await split_options(Upload(first, chunk(b"a")))
    assert (options.top_k, options.step_s, [m.chunk async for m in rest]) == (3, 0.5, [b"a"])
    options, rest = await split_options(Upload(chunk(b"a"), chunk(b"b")))
    assert (options.top_k, [m.chunk async for m in rest]) == (0, [b"a", b"b"])
    options, rest = await split_options(Upload())
    assert [m async for m in rest] == []


@pytest.mark.parametrize(
    ("messages", "error", "text"),
    [
        ([chunk(b"a"), pb.StreamVideoRequest(options=pb.StreamVideoOptions())], InvalidInput, "only the first message"),
        ([pb.StreamVideoRequest()], InvalidInput, "none is set; options or chunk"),
        ([chunk(bytes(60)), chunk(bytes(60))], PayloadTooLarge, "more than 100 bytes; at most that"),
        ([], InvalidInput, "0 bytes; at least 1"),
    ],
)
async def test_a_wrong_message_ends_the_stream(messages, error, text):
    with pytest.raises(error, match=text):
        await collect(VideoStreams(StreamLimits(max_bytes=100)), Upload(*messages))


async def test_an_error_comes_after_the_answers_that_were_before_it():
    content = encode(250, "avi")
    found = []
    with pytest.raises(InvalidInput, match="truncated: "):
        await collect(VideoStreams(), Upload(chunk(content[: len(content) * 3 // 4])), found)
    assert [w.start_s for w in found] == list(range(len(found)))
    assert len(found) >= 4


async def test_videos_are_bounded_in_number():
    streams = VideoStreams(StreamLimits(max_open=1))
    async with streams.open(Upload(is_whole=False), OPTIONS, 1.0):
        with pytest.raises(Overloaded, match="1 videos are read; at most 1"):
            await collect(streams, Upload(chunk(b"a")))
    assert len(await collect(streams, Upload(chunk(encode(30))))) == 1


def nameless_files():
    links = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return sum(str(link.readlink()).endswith("(deleted)") for link in links if link.is_symlink())


@pytest.mark.parametrize("container", ["fragmented mp4", "mp4"])
async def test_a_client_that_leaves_leaves_nothing_behind(container):
    content, streams = encode(500, container), VideoStreams(StreamLimits(max_open=1, max_waiting=1))
    before = nameless_files()
    for is_whole in (True, False):  # the decoder waits for its windows to be taken, or for more of the file
        part = content if is_whole else content[: len(content) // 2]
        async with streams.open(Upload(chunk(part), is_whole=is_whole), OPTIONS, 1.0) as batches:
            if is_whole or container != "mp4":
                await anext(batches)
            assert nameless_files() == before + 1
        assert nameless_files() == before
    assert len(await collect(streams, Upload(chunk(content)))) == 20


async def test_decoding_waits_for_who_takes_its_windows():
    made, taken, ahead = 0, 0, []

    def make():
        nonlocal made
        for i in range(200):
            made += 1
            ahead.append(made - taken)
            yield Window(float(i), i + 1.0, np.zeros(1))

    handover = _Handover(2)
    running = asyncio.get_running_loop().run_in_executor(None, handover.put_all, make())
    starts = []
    async for batch in handover.take_all():
        starts += [window.start_s for window in batch]
        taken = len(starts)
    await running
    assert starts == list(range(200))
    assert max(ahead) <= 2 + 1 + 2  # that wait, that is being made, and that were just taken
