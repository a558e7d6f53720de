"""Which frames make a clip: the service's, random ones, several views, segments."""

from fractions import Fraction

import numpy as np
import pytest

from services.video.transforms import choose_frames
from training.video.sampling import choose_centre, choose_random, spatial_views, temporal_views
from training.video.shape import ClipShape

SHAPE = ClipShape(frames=16, height=32, width=32, fps=8.0)
SPAN_S = 15 / 8
LONG = np.arange(250) / 25
SHORT = np.arange(20) / 25


def irregular(seed: int, count: int) -> np.ndarray:
    """Times of frames in units of a millisecond, from 0."""
    steps = np.random.default_rng(seed).integers(1, 200, count)
    return np.cumsum(steps) - steps[0]


@pytest.mark.parametrize("count", [1, 2, 3, 15, 16, 40, 400])
@pytest.mark.parametrize("base", [Fraction(1, 1000), Fraction(1, 90_000), Fraction(1001, 30_000)])
def test_the_centre_is_what_the_service_takes(count, base):
    for seed in range(5):
        times = irregular(seed, count)
        served = choose_frames(times + 77, SHAPE.frames, SHAPE.fps, base)
        assert np.array_equal(choose_centre(times * float(base), SHAPE), served)


def test_random_clips_are_as_long_as_the_models_within_a_tenth_and_start_anywhere():
    rng = np.random.default_rng(0)
    chosen = np.stack([choose_random(rng, LONG, SHAPE) for _ in range(300)])
    spans = LONG[chosen[:, -1]] - LONG[chosen[:, 0]]
    assert chosen.shape == (300, 16)
    assert (np.diff(chosen) > 0).all()
    assert spans.min() > SPAN_S * 0.9 - 0.05 and spans.max() < SPAN_S * 1.1 + 0.05
    assert spans.std() > 0.05
    assert chosen[:, 0].min() < 10 and chosen[:, -1].max() > 239


def test_random_clips_of_a_short_video_cover_it():
    rng = np.random.default_rng(0)
    chosen = np.stack([choose_random(rng, SHORT, SHAPE) for _ in range(100)])
    assert (np.diff(chosen) >= 0).all()
    assert (chosen[:, 0] <= 2).all() and (chosen[:, -1] >= 17).all()
    assert len(np.unique(chosen, axis=0)) > 50
    assert set(np.unique(chosen)) == set(range(20))


def test_random_clips_depend_on_the_generator_alone():
    one, again = (choose_random(np.random.default_rng(3), LONG, SHAPE) for _ in range(2))
    assert np.array_equal(one, again)


def test_one_frame_is_repeated():
    only = np.zeros(1)
    assert choose_centre(only, SHAPE).tolist() == [0] * 16
    assert choose_random(np.random.default_rng(0), only, SHAPE).tolist() == [0] * 16
    assert [view.tolist() for view in temporal_views(only, SHAPE, 3)] == [[0] * 16] * 3


def test_temporal_views_go_from_the_beginning_to_the_end():
    assert np.array_equal(temporal_views(LONG, SHAPE, 1)[0], choose_centre(LONG, SHAPE))
    views = temporal_views(LONG, SHAPE, 10)
    assert len(views) == 10
    assert views[0][0] == 0 and views[-1][-1] == 249
    starts = [int(view[0]) for view in views]
    assert np.allclose(np.diff(starts), np.diff(starts).mean(), atol=1)
    assert all(len(view) == 16 for view in views)


def test_three_crops_lie_left_centre_and_right():
    frames = np.zeros((2, 32, 64, 3), np.uint8)
    frames[:, :, :8] = 255  # only the left crop has it
    left, centre, right = spatial_views(frames, 3)
    assert left.shape == centre.shape == right.shape == frames.shape
    assert left[:, :, 0].min() > 250 and right.max() == 0
    assert 0 < centre.mean() < left.mean()
    assert spatial_views(frames, 1)[0] is frames


def test_three_crops_of_upright_frames_lie_one_below_the_other():
    frames = np.zeros((2, 64, 32, 1), np.uint8)
    frames[:, :8] = 255
    top, _, bottom = spatial_views(frames, 3)
    assert top.shape == frames.shape
    assert top[:, 0].min() > 250 and bottom.max() == 0


def test_other_numbers_of_crops_are_refused():
    with pytest.raises(ValueError, match="crops must be 1 or 3, got 2"):
        spatial_views(np.zeros((1, 8, 8, 3), np.uint8), 2)
