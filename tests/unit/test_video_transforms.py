from fractions import Fraction

import numpy as np
import pytest

from services.runtime.errors import InvalidInput
from services.video.transforms import ClipOptions, choose_frames, decode_clip

OPTIONS = ClipOptions(frames=16, height=64, width=48, fps=8.0)


@pytest.mark.parametrize("container", ["mp4", "avi", "gif", "matroska", "mov"])
def test_clips_are_decoded_to_the_models_size(photo_clip, container):
    frames = decode_clip(photo_clip("pan right", container), OPTIONS, "clip")
    assert frames.shape == (16, 64, 48, 3)
    assert frames.dtype == np.uint8
    moved = np.abs(frames[0].astype(int) - frames[-1]).mean()
    assert moved > 10


def test_one_frame_makes_a_clip_of_equal_frames(photo_clip):
    frames = decode_clip(photo_clip("static", frames=1), OPTIONS, "clip")
    assert (frames == frames[0]).all()


def test_frames_are_taken_at_the_wanted_rate_around_the_middle():
    times = np.arange(100) * 512  # 25 fps in a time base of 1/12800
    chosen = choose_frames(times, 16, 8.0, Fraction(1, 12800))
    assert np.allclose(np.diff(chosen), 25 / 8, atol=1)
    assert abs(chosen.mean() - 49.5) <= 1


def test_a_short_clip_is_sampled_over_its_whole_length():
    chosen = choose_frames(np.arange(10), 16, 8.0, Fraction(1, 25))
    assert chosen[0] == 0 and chosen[-1] == 9
    assert (np.diff(chosen) >= 0).all()


def bad_clips(photo_clip):
    clip = photo_clip("pan right")
    return {
        "empty": (b"", "0 bytes"),
        "text": (b"hello, world\n" * 100, "not a video"),
        "cut before its index": (clip[: len(clip) // 2], "not a video"),
        "playlist that names a file": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not a video"),
        "concat script": (b"ffconcat version 1.0\nfile /etc/passwd\n", "not a video"),
        "picture": (b"\x89PNG\r\n\x1a\n" + bytes(200), "not a video"),
        "sound only": (sound_only(), "no video stream"),
        "no frames": (photo_clip("static", frames=0), ""),
        "damaged picture data": (damage(clip), ""),
    }


def sound_only():
    import io

    import av

    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=16000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target.getvalue()


def damage(clip):
    start = clip.index(b"mdat") + 8
    rng = np.random.default_rng(0)
    return clip[:start] + rng.bytes(1500) + clip[start + 1500 :]


def test_what_is_not_a_clip_is_refused(photo_clip):
    for name, (content, said) in bad_clips(photo_clip).items():
        with pytest.raises(InvalidInput) as caught:
            decode_clip(content, OPTIONS, "clips[0].content")
        assert said in caught.value.message, name
        assert caught.value.field == "clips[0].content"


def test_a_clip_truncated_behind_its_index_is_refused(photo_clip):
    clip = photo_clip("pan right", "avi")
    with pytest.raises(InvalidInput, match=r"truncated|not a video|damaged"):
        decode_clip(clip[: len(clip) // 2], OPTIONS, "clip")
