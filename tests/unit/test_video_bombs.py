"""Clips made to cost much: each is refused soon, and takes little memory."""

import io
import multiprocessing
import resource
import struct
import time
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest

from services.runtime.errors import InvalidInput, ServiceError
from services.video.transforms import ClipOptions, DecodeLimits, decode_clip

OPTIONS = ClipOptions(frames=16, height=64, width=64, fps=8.0)
MAX_CPU_S = 4.0
MAX_MEMORY_BYTES = 300 * 2**20


def gif(width, height):
    screen = struct.pack("<HH", width, height) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    image = b"," + struct.pack("<HHHH", 0, 0, width, height) + b"\0" + b"\x02\x02\x4c\x01\0"
    return b"GIF89a" + screen + image * 50 + b";"


def encode(width, height, frames, rate=25, codec="mpeg4", container="mp4", times=None):
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, rate)
        picture = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8), format="rgb24")
        picture = picture.reformat(format="yuv420p")
        for i in range(frames):
            picture.pts = times(i) if times else i
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return target.getvalue()


def lying_header():
    clip = bytearray(encode(64, 48, 5))
    at = clip.index(b"mp4v") + 4 + 24  # width and height of the sample entry
    clip[at : at + 4] = struct.pack(">HH", 65535, 65535)
    return bytes(clip)


BOMBS = {
    "gif of 60000 x 60000": lambda: gif(60_000, 60_000),
    "header that lies": lying_header,
    "a hundred thousand frames": lambda: encode(16, 16, 100_000, rate=1000),
    "large and long": lambda: encode(3840, 2160, 500),
    "days between frames": lambda: encode(64, 48, 20, times=lambda i: i * 25 * 3600 * 24),
    "zeros": lambda: bytes(8 * 2**20),
    "compressed zeros": lambda: zlib.compress(bytes(64 * 2**20)),
}


def measure(content, connection):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    try:
        decode_clip(content, OPTIONS, "clip", DecodeLimits(max_cpu_s=2.0))
        outcome = "decoded"
    except InvalidInput as error:
        outcome = str(error)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    connection.send((outcome, time.process_time() - started, used * 1024))


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_bomb_costs_little(name):
    content = BOMBS[name]()
    mine, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=measure, args=(content, theirs))
    process.start()
    assert mine.poll(60), "it did not end"
    outcome, cpu_s, memory = mine.recv()
    process.join()
    print(f"{name}: {len(content) >> 10} KiB, {outcome}; {cpu_s:.2f} s, {memory >> 20} MiB")
    assert cpu_s < MAX_CPU_S
    assert memory < MAX_MEMORY_BYTES
    if name not in ("large and long", "header that lies"):  # sampled around its middle; decoded as what it is
        assert outcome != "decoded"


def test_a_clip_that_takes_too_long_is_given_up():
    with pytest.raises(InvalidInput, match=r"takes more than 0.05 s to decode"):
        decode_clip(encode(1920, 1080, 60), OPTIONS, "clip", DecodeLimits(max_cpu_s=0.05))


@pytest.mark.parametrize("container", ["mp4", "gif", "matroska", "avi"])
def test_damage_anywhere_is_bad_input_or_a_clip(photo_clip, container):
    rng = np.random.default_rng(1)
    clip = photo_clip("pan right", container)
    for _ in range(60):
        data = bytearray(clip)
        for at in rng.integers(0, len(data), rng.integers(1, 12)):
            data[at] = rng.integers(0, 256)
        if rng.random() < 0.3:
            del data[rng.integers(1, len(data)) :]
        try:
            frames = decode_clip(bytes(data), OPTIONS, "clip")
        except ServiceError:
            continue
        assert frames.shape == (16, 64, 64, 3)
