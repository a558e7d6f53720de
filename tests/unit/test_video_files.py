"""Odd and broken video files, as the service and the training read them: the right frames, or a clear refusal."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from services.runtime.errors import InvalidInput
from services.video.transforms import ClipOptions, decode_clip
from training.recipe.errors import DataError
from training.video.decoding import decode_centre, decode_frames
from training.video.shape import ClipShape

SHAPE = ClipShape(frames=8, height=32, width=48, fps=8.0)
OPTIONS = ClipOptions(SHAPE.frames, SHAPE.height, SHAPE.width, SHAPE.fps)
RED, GREEN, BLUE, WHITE = (230, 20, 20), (20, 200, 20), (20, 20, 230), (240, 240, 240)
QUADRANTS = [[RED, GREEN], [BLUE, WHITE]]
LEVELS = range(0, 240, 6)  # a grey for each of 40 frames


def encode(pictures, container, codec, pixels, rate=10, times=None, b_frames=None, options=None):
    """Encodes pictures, uint8 [height, width, 3 or 4]; times are in milliseconds."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.options, stream.bit_rate = pixels, options or {}, 8_000_000
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i, picture in enumerate(pictures):
            source = "rgba" if picture.shape[2] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(picture, format=source).reformat(format=pixels)
            if times is not None:
                frame.pts, frame.time_base = int(times[i]), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target.getvalue()


def greys(levels=LEVELS, height=64, width=80):
    return [np.full((height, width, 3), level, np.uint8) for level in levels]


def quadrants(height, width, alpha=None):
    picture = np.zeros((height, width, 3), np.uint8)
    for row, down in zip(QUADRANTS, (slice(0, height // 2), slice(height // 2, None)), strict=True):
        for colour, right in zip(row, (slice(0, width // 2), slice(width // 2, None)), strict=True):
            picture[down, right] = colour
    return picture if alpha is None else np.dstack([picture, np.full((height, width), alpha, np.uint8)])


def colours(frame):
    """The colours in the middle of each quarter. [2, 2, 3]"""
    height, width = frame.shape[:2]
    return frame[[[height // 4], [3 * height // 4]], [width // 4, 3 * width // 4]].astype(int)


def levels(frames):
    return frames.mean(axis=(1, 2, 3))


@pytest.fixture
def read_both(tmp_path):
    """What the service samples, once it is known that the training samples the same."""

    def read(content):
        path = tmp_path / "clip"
        path.write_bytes(content)
        served = decode_clip(content, OPTIONS, "clip")
        assert np.array_equal(decode_centre(path, SHAPE), served)
        assert served.shape == (8, 32, 48, 3) and served.dtype == np.uint8
        return served

    return read


@pytest.fixture
def refuse_both(tmp_path):
    """Both refuse the file and say why; the service names the field, the training the file."""

    def refuse(content, reason):
        path = tmp_path / "clip.mp4"
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=reason) as served:
            decode_clip(content, OPTIONS, "clips[3].content")
        assert served.value.field == "clips[3].content"
        with pytest.raises(DataError, match=reason) as trained:
            decode_frames(path, 32, 48)
        assert str(path) in str(trained.value)

    return refuse


def turn(content, degrees):
    """Tells an MP4's player to show its frames turned clockwise; ISO/IEC 14496-12, 6.2.2 has the matrix."""
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    at = content.index(b"tkhd") + 44
    matrix = struct.pack(">9i", cos << 16, sin << 16, 0, -sin * 2**16, cos << 16, 0, 0, 0, 1 << 30)
    return content[:at] + matrix + content[at + 36 :]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_footage_is_shown_upright(read_both, degrees):
    content = turn(encode([quadrants(96, 128)] * 12, "mp4", "libx264", "yuv420p"), degrees)
    upright = np.rot90(np.array(QUADRANTS), -degrees // 90)
    assert np.abs(colours(read_both(content)[0]) - upright).max() < 12


@pytest.mark.parametrize(
    ("container", "codec", "pixels"),
    [
        ("matroska", "ffv1", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("avi", "mpeg4", "yuv420p"),
        ("mov", "png", "rgb24"),
        ("gif", "gif", "rgb8"),
    ],
)
def test_odd_sizes(read_both, container, codec, pixels):
    frames = read_both(encode([quadrants(63, 127)] * 12, container, codec, pixels))
    assert np.abs(colours(frames[-1]) - QUADRANTS).max() < (40 if codec == "gif" else 12)


def test_one_pixel_is_a_picture(read_both):
    frames = read_both(encode([np.full((1, 1, 3), RED, np.uint8)] * 3, "mov", "png", "rgb24"))
    assert (frames == RED).all()


@pytest.mark.parametrize(
    ("container", "codec", "pixels"),
    [("matroska", "ffv1", "gray"), ("mov", "png", "gray"), ("mov", "mjpeg", "yuvj420p")],
)
def test_grey_levels_are_kept(read_both, container, codec, pixels):
    frames = read_both(encode(greys(), container, codec, pixels, rate=8))
    assert np.abs(levels(frames) - list(LEVELS)[16:24]).max() <= 3
    assert np.ptp(frames.astype(int), axis=-1).max() <= 4


@pytest.mark.parametrize("alpha", [255, 90])
@pytest.mark.parametrize(
    ("container", "codec", "pixels"),
    [("mov", "qtrle", "argb"), ("mov", "png", "rgba"), ("webm", "libvpx-vp9", "yuva420p")],
)
def test_transparency_is_left_out(read_both, container, codec, pixels, alpha):
    frames = read_both(encode([quadrants(64, 96, alpha)] * 12, container, codec, pixels))
    assert np.abs(colours(frames[0]) - QUADRANTS).max() < 12


def test_transparent_parts_of_a_gif_show_what_was_there_before(read_both):
    first, change = Image.new("RGBA", (64, 64), (*BLUE, 255)), Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    change.paste((*RED, 255), (0, 0, 32, 32))
    target = io.BytesIO()
    first.save(target, "gif", save_all=True, append_images=[change], duration=1000, disposal=1, optimize=False)
    frames = read_both(target.getvalue())
    assert np.abs(colours(frames[0]) - [[BLUE, BLUE], [BLUE, BLUE]]).max() < 12
    assert np.abs(colours(frames[-1]) - [[RED, BLUE], [BLUE, BLUE]]).max() < 12


@pytest.mark.parametrize(("container", "codec"), [("matroska", "ffv1"), ("mov", "png"), ("mp4", "libx264")])
def test_a_variable_frame_rate(read_both, tmp_path, container, codec):
    steps = np.random.default_rng(5).choice([15, 40, 150, 400], len(LEVELS))
    times = np.cumsum(steps) - steps[0]
    content = encode(greys(), container, codec, "rgb24" if codec == "png" else "yuv420p", rate=1000, times=times)
    wanted = times[-1] / 2 + (np.arange(8) - 3.5) * 125
    expected = [LEVELS[np.abs(times - moment).argmin()] for moment in wanted]
    assert np.abs(levels(read_both(content)) - expected).max() <= 3
    assert len(set(expected)) > 3  # so that frames of an even rate would be others
    path = tmp_path / "clip"
    frames, seconds = decode_frames(path, 32, 48)
    assert np.allclose(seconds * 1000, times, atol=1)
    assert np.abs(levels(frames) - list(LEVELS)).max() <= 3


@pytest.mark.parametrize(
    ("container", "codec"),
    [("avi", "libx264"), ("avi", "mpeg4"), ("mpegts", "libx264"), ("mpegts", "mpeg2video"), ("mp4", "libx264")],
)
def test_frames_that_are_stored_out_of_order(read_both, tmp_path, container, codec):
    content = encode(greys(), container, codec, "yuv420p", rate=25, b_frames=2, options={"g": "12"})
    moments = 39 / 2 / 25 + (np.arange(8) - 3.5) / 8
    expected = [LEVELS[i] for i in np.floor(moments * 25 + 0.5).astype(int)]
    found = levels(read_both(content))
    assert np.abs(found - expected).max() <= 4
    frames, _ = decode_frames(tmp_path / "clip", 32, 48)
    assert np.abs(levels(frames) - list(LEVELS)).max() <= 4


def trim(content, start, frames, rate):
    """Writes an edit list, as phones do: the MP4 has all frames, but shows only some."""
    at = content.index(b"elst") + 12
    units = 1024 * 10 // rate  # PyAV's track time base here is 1/10240
    _, offset = struct.unpack_from(">Ii", content, at)
    edit = struct.pack(">Ii", frames * 1000 // rate, offset + start * units)
    return content[:at] + edit + content[at + 8 :]


def test_an_mp4_that_was_trimmed_without_encoding_it_again(read_both, tmp_path):
    content = encode(greys(), "mp4", "libx264", "yuv420p", rate=10, b_frames=2, options={"g": "10"})
    frames = read_both(trim(content, 15, 20, 10))
    middle = 15 + 19 / 2
    expected = [LEVELS[i] for i in np.floor(middle + (np.arange(8) - 3.5) / 8 * 10 + 0.5).astype(int)]
    assert np.abs(levels(frames) - expected).max() <= 3
    shown, _ = decode_frames(tmp_path / "clip", 32, 48)
    assert np.abs(levels(shown) - list(LEVELS)[15:35]).max() <= 3


def moving(count=40):
    noise = np.random.default_rng(0).integers(0, 255, (90, 200, 3), np.uint8)
    return [np.ascontiguousarray(noise[:, i * 2 : i * 2 + 112]) for i in range(count)]


def overwrite(content, at, count):
    return content[:at] + np.random.default_rng(at).bytes(count) + content[at + count :]


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("avi", "mpeg4")])
@pytest.mark.parametrize("where", [0.3, 0.5, 0.7])
def test_damaged_frames_are_refused(refuse_both, container, codec, where):
    content = encode(moving(), container, codec, "yuv420p")
    refuse_both(overwrite(content, int(len(content) * where), 3000), r"damaged|truncated|can be decoded")


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("avi", "mpeg4"), ("matroska", "libx264")])
def test_a_damaged_header_is_refused(refuse_both, container, codec):
    content = encode(moving(), container, codec, "yuv420p")
    refuse_both(overwrite(content, 0, 64), r"not a video that can be decoded \(.+\); MP4")


def test_a_damaged_end_takes_an_avi_some_frames(refuse_both):
    content = encode(moving(), "avi", "mpeg4", "yuv420p")
    refuse_both(overwrite(content, content.rindex(b"idx1") + 8, 100), r"truncated: \d+ of 40 frames|damaged")


def test_a_damaged_end_takes_an_mp4_its_index(refuse_both):
    content = encode(moving(), "mp4", "libx264", "yuv420p")
    refuse_both(overwrite(content, content.rindex(b"moov") - 4, 64), "not a video that can be decoded")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.8])
@pytest.mark.parametrize("container", ["mp4", "avi", "mov", "matroska", "webm"])
def test_truncated_files_are_refused(refuse_both, container, share):
    codec = {"avi": "mpeg4", "mov": "mjpeg", "webm": "libvpx-vp9"}.get(container, "libx264")
    content = encode(moving(), container, codec, "yuvj420p" if codec == "mjpeg" else "yuv420p")
    refuse_both(content[: int(len(content) * share)], r"truncated|can be decoded|0 frames")


def test_a_file_whose_index_comes_first_is_refused_if_truncated(refuse_both, tmp_path):
    path = tmp_path / "whole.mp4"
    with (
        av.open(io.BytesIO(encode(moving(), "mp4", "libx264", "yuv420p"))) as source,
        av.open(str(path), "w", options={"movflags": "faststart"}) as output,
    ):
        copy = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                output.mux(packet)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    refuse_both(content[: len(content) * 2 // 3], r"truncated: \d+ of 40 frames are there|can be decoded")


def gif(width, height, frames):
    screen = struct.pack("<HH", width, height) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    image = b"!\xf9\x04\0\x0a\0\0\0," + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0" + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + screen + image * frames + b";"


def test_huge_frames_are_refused(refuse_both):
    refuse_both(gif(8192, 8192, 2), r"frames of more than 9437184 pixels")


def test_more_than_36_000_frames_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="more than 36000 frames; at most 36000"):
        decode_clip(gif(1, 1, 36_001), OPTIONS, "clip")
    path = tmp_path / "many.gif"
    path.write_bytes(gif(1, 1, 51))
    with pytest.raises(DataError, match=r"many\.gif: more than 50 frames; at most 50"):
        decode_frames(path, 32, 48, 50)
    assert len(decode_frames(path, 32, 48, 51)[0]) == 51


def test_two_hours_are_refused_by_the_service_and_read_by_the_training(tmp_path):
    path = tmp_path / "long.mkv"
    path.write_bytes(encode(greys([0, 120, 240]), "matroska", "ffv1", "gray", times=[0, 3_600_000, 7_200_000]))
    with pytest.raises(InvalidInput, match="the clip is 7200 s long; at most 3600"):
        decode_clip(path.read_bytes(), OPTIONS, "clip")
    assert decode_frames(path, 32, 48)[1].tolist() == [0, 3600, 7200]


def sound():
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target.getvalue()


def picture(kind):
    target = io.BytesIO()
    Image.fromarray(quadrants(64, 64)).save(target, kind)
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(lambda: b"", "0 bytes", id="empty"),
        pytest.param(lambda: encode_nothing(), "0 frames|not a video", id="no frames"),
        pytest.param(sound, "no video stream", id="sound"),
        pytest.param(lambda: b"path,label\nrun/1.mp4,run\n" * 50, "not a video", id="text"),
        pytest.param(lambda: picture("png"), "not a video", id="PNG"),
        pytest.param(lambda: picture("jpeg"), "not a video", id="JPEG"),
    ],
)
def test_what_is_no_video_is_refused(refuse_both, content, reason):
    refuse_both(content(), reason)


def encode_nothing():
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as output:
        stream = output.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 80, "yuv420p"
        output.start_encoding()
    return target.getvalue()
