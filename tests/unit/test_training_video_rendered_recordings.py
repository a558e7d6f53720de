"""Recordings of real pictures and footage: their files, their sampling, what is put before what."""

import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from services.video import transforms
from training.recipe.errors import DataError
from training.video.rendered.families import leaves
from training.video.rendered.footage import film_footage, place_before
from training.video.rendered.recording import RATES, encode, record, sample_recording
from training.video.shape import ClipShape

SHAPE = ClipShape()


@pytest.mark.parametrize("rate", RATES)
def test_a_recording_plays_its_frames_at_its_rate(rate: Fraction) -> None:
    frames = [np.full((32, 48, 3), 10 * number, np.uint8) for number in range(24)]
    with av.open(io.BytesIO(encode(frames, rate, 10))) as container:
        stream = container.streams.video[0]
        decoded = [
            (float(frame.pts * stream.time_base), frame.to_ndarray(format="gray")) for frame in container.decode()
        ]
    np.testing.assert_allclose([second for second, _ in decoded], np.arange(24) / float(rate), atol=1e-3)
    assert all(abs(gray.mean() - 10 * number) < 12 for number, (_, gray) in enumerate(decoded))


@pytest.mark.parametrize("rate", RATES)
def test_a_recording_is_sampled_as_the_service_samples(rate: Fraction) -> None:
    options = transforms.ClipOptions(SHAPE.frames, SHAPE.height, SHAPE.width, SHAPE.fps)
    picture = leaves(np.random.default_rng(0), 480)
    encoded = encode([np.ascontiguousarray(picture[i : i + 96, i : i + 128]) for i in range(120)], rate, 20)
    sampled = sample_recording(encoded, SHAPE)
    assert np.array_equal(transforms.decode_clip(encoded, options, "clip"), sampled)
    assert all((before != after).any() for before, after in pairwise(sampled))


def test_recordings_show_motion_at_whatever_rate() -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        sampled = sample_recording(record(rng, [leaves(rng, 480)], 1.0, "zoom in", SHAPE.fps), SHAPE)
        assert sum((before != after).any() for before, after in pairwise(sampled)) >= 10


def test_footage_plays_while_the_camera_moves(tmp_path: Path) -> None:
    video = tmp_path / "still.mp4"
    ground = leaves(np.random.default_rng(0), 128)
    frames = [cv2.circle(ground.copy(), (8 + 5 * number, 64), 12, (255, 0, 0), -1) for number in range(24)]
    video.write_bytes(encode(frames, Fraction(10), 10))
    clips, labels = film_footage([video], 3, 9, SHAPE)
    again, _ = film_footage([video], 3, 2, SHAPE)
    assert clips.shape == (9, SHAPE.frames, SHAPE.height, SHAPE.width, 3) and clips.dtype == np.uint8
    assert labels.tolist() == list(range(9))
    assert np.array_equal(again, clips[:2])


def test_what_moves_is_put_before_another_ground() -> None:
    frames = [cv2.circle(np.full((64, 64, 3), 80, np.uint8), (8 + 4 * i, 32), 6, (255,) * 3, -1) for i in range(12)]
    placed = place_before(frames, np.full((480, 640, 3), 7, np.uint8))
    assert placed[0].shape == (480, 480, 3)
    assert placed[0][240, 60].tolist() == [255] * 3
    assert placed[0][20, 20].tolist() == [7] * 3 and placed[0][240, 300].tolist() == [7] * 3


def test_footage_needs_videos() -> None:
    with pytest.raises(DataError, match="videos: got 0 files"):
        film_footage([], 1, 9, SHAPE)
