"""Rendered clips: what each label looks like, and what may happen to it on the way to the model."""

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
import pytest

from training.video.rendered.camera import LABELS, draw_path, film
from training.video.rendered.clips import draw_view, render_clips
from training.video.rendered.codec import through_h264, through_jpeg
from training.video.rendered.dataset import render_dataset, render_luma, to_luma
from training.video.rendered.families import leaves
from training.video.rendered.foreground import LARGEST, Layer, cover, draw_layers
from training.video.rendered.light import Light, expose, suit_light
from training.video.rendered.moments import draw_moments
from training.video.rendered.shake import draw_shake, draw_unsteadiness
from training.video.rendered.textures import TRAIN_FAMILIES, UNSEEN_FAMILIES, Family, draw_texture
from training.video.shape import ClipShape

MOVING = LABELS[1:]
SHAPE = ClipShape()
MOMENTS = np.linspace(0, 1, 31)
# What the picture does on the screen: right, down, grows, turns clockwise.
EFFECTS = {
    "static": (0, 0, 0, 0),
    "pan left": (+1, 0, 0, 0),
    "pan right": (-1, 0, 0, 0),
    "tilt up": (0, +1, 0, 0),
    "tilt down": (0, -1, 0, 0),
    "zoom in": (0, 0, +1, 0),
    "zoom out": (0, 0, -1, 0),
    "roll clockwise": (0, 0, 0, -1),
    "roll counterclockwise": (0, 0, 0, +1),
}


def see_motion(frames: np.ndarray) -> np.ndarray:
    """Dense flow, summed over the clip, as right, down, growth and clockwise turn. [4], pixels at the edge."""
    luma, half = to_luma(frames), frames.shape[1] / 2
    down, right = (np.mgrid[: frames.shape[1], : frames.shape[2]] - half + 0.5) / half
    square = np.mean(right**2 + down**2)
    total = np.zeros(4)
    for before, after in pairwise(luma):
        x, y = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0).transpose(2, 0, 1)
        total += x.mean(), y.mean(), (right * x + down * y).mean() / square, (right * y - down * x).mean() / square
    return total


def film_leaves(label: str, seed: int) -> np.ndarray:
    """A clean clip of a camera that moves as `label` says."""
    poses = draw_path(np.random.default_rng(seed), label, MOMENTS, 15)
    return film(leaves(np.random.default_rng(1), 480), poses, (180, 180), (96, 96))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("label", LABELS)
def test_what_is_seen_moves_against_the_camera(label: str, seed: int) -> None:
    seen, effect = see_motion(film_leaves(label, seed)), np.array(EFFECTS[label])
    if label == "static":
        assert np.abs(seen).max() < 2.5
    else:
        assert seen @ effect > 2.5
        assert np.argmax(np.abs(seen)) == np.argmax(np.abs(effect))


@pytest.mark.parametrize("label", ["pan left", "pan right", "tilt up", "tilt down"])
def test_phase_correlation_finds_the_displacement_of_the_path(label: str) -> None:
    poses = draw_path(np.random.default_rng(1), label, MOMENTS, 15)
    frames = film(leaves(np.random.default_rng(1), 480), poses, (200, 200), (128, 128))
    window = cv2.createHanningWindow((128, 128), cv2.CV_32F)
    steps = [cv2.phaseCorrelate(a, b, window)[0] for a, b in pairwise(to_luma(frames).astype(np.float32))]
    np.testing.assert_allclose(np.sum(steps, axis=0), -128 * (poses[-1] - poses[0])[:2], atol=4)


@pytest.mark.parametrize("label", LABELS)
def test_a_path_goes_farther_where_its_label_says_than_anywhere_else(label: str) -> None:
    for seed in range(40):
        poses = draw_path(np.random.default_rng(seed), label, MOMENTS, 15) / (1, 1, 2, 2)
        travel = poses[-1] - poses[0]
        if label == "static":
            assert np.abs(travel).max() <= 0.0101
        else:
            toward = travel * -np.array(EFFECTS[label])
            assert toward.max() >= 0.07
            assert np.abs(travel).max() == toward.max()


def test_static_camera_ends_where_it_began_whatever_the_hand_does() -> None:
    for seed in range(40):
        poses = draw_path(np.random.default_rng(seed), "static", MOMENTS, 15)
        assert np.abs(poses[-1] - poses[0]).max() <= 0.021
        assert np.abs(poses - poses[0])[:, :2].max() < 0.08


def test_shake_begins_and_ends_at_nothing_and_is_as_large_as_asked() -> None:
    drawn = [draw_shake(np.random.default_rng(seed), MOMENTS, 2.0, 0.01) for seed in range(100)]
    assert np.abs([[moved[0], moved[-1]] for moved in drawn]).max() < 1e-12
    assert 0.005 < np.std(drawn, axis=(0, 1))[0] < 0.02
    assert np.abs(drawn).max() < 0.08


def test_a_tripod_does_not_shake() -> None:
    sizes = np.array([draw_unsteadiness(np.random.default_rng(seed)) for seed in range(200)])
    assert 0.2 < (sizes == 0).mean() < 0.5
    assert not draw_shake(np.random.default_rng(0), MOMENTS, 2.0, 0.0).any()


def test_foreground_leaves_the_scene_to_be_seen() -> None:
    shown = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        poses, view = draw_path(rng, LABELS[seed % 9], MOMENTS, 15), draw_view(rng)
        frames = np.zeros((len(poses), 64, 64, 3), np.uint8)
        for layer in draw_layers(rng, [white], poses, MOMENTS, view[0] / view[1]):
            frames = cover(frames, layer)
        shares = (frames.max(axis=-1) > 0).mean(axis=(1, 2))
        assert shares.max() <= LARGEST + 0.03  # rims
        shown += shares.max() > 0.02
    assert 10 < shown < 50


def white(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.full((size, size, 3), 255, np.uint8)


def test_what_is_printed_over_the_scene_stays_while_the_camera_moves() -> None:
    outline = np.zeros((128, 128), np.uint8)
    cv2.circle(outline, (64, 64), 20, 255, -1)
    layer = Layer(cv2.merge([outline] * 4), np.zeros((9, 4)), (128.0, 128.0))
    covered = cover(np.full((9, 64, 64, 3), 100, np.uint8), layer)
    assert (covered == covered[0]).all()
    assert covered[0, 32, 32].tolist() == [255] * 3 and covered[0, 2, 2].tolist() == [100] * 3


@pytest.mark.parametrize("seed", range(30))
def test_moments_rise_and_every_frame_shows_one(seed: int) -> None:
    moments = draw_moments(np.random.default_rng(seed), SHAPE.frames, SHAPE.fps)
    assert (np.diff(moments.times) > 0).all()
    assert moments.times[0] == 0 and moments.times[-1] < 1 + 1e-9
    assert len(moments.shown) == SHAPE.frames and (np.diff(moments.shown) >= 0).all()
    assert set(moments.shown) == set(range(len(moments.times)))
    assert 0.5 < moments.seconds <= (SHAPE.frames - 1) / SHAPE.fps


@pytest.mark.parametrize("compressed", [lambda f: through_h264(f, 8, 23, 12), lambda f: through_jpeg(f, 80)])
def test_a_codec_keeps_shape_order_and_most_of_the_picture(compressed: Callable[[np.ndarray], np.ndarray]) -> None:
    frames = film_leaves("pan left", 2)[::2]
    left = compressed(frames)
    assert left.shape == frames.shape and left.dtype == np.uint8
    assert not np.array_equal(left, frames)
    for before, after in zip(to_luma(frames), to_luma(left), strict=True):
        assert np.abs(before.astype(float) - after).mean() < 6


def test_light_keeps_what_there_is_to_see_above_the_noise() -> None:
    frames = film_leaves("static", 1)
    night = Light(open=0.5, gain=0.01, noise=50, shot_noise=50)
    seen = expose(np.random.default_rng(0), frames, np.linspace(0, 1, len(frames)), suit_light(night, frames))
    assert seen.shape == frames.shape and seen.dtype == np.uint8
    mean = seen.mean(axis=0)
    assert mean.std() > 8
    assert (seen - mean).std() < mean.std()


def test_rendering_gives_labelled_clips_of_the_asked_shape() -> None:
    clips, labels = render_clips(1, 5, 20, UNSEEN_FAMILIES, ClipShape(frames=6, height=32, width=48))
    assert clips.shape == (20, 6, 32, 48, 3) and clips.dtype == np.uint8
    assert labels.tolist() == [i % 9 for i in range(5, 25)]
    assert (to_luma(clips).reshape(20, -1).std(axis=1) > 3).all()


def test_rendering_depends_on_seed_and_number_alone() -> None:
    clips, labels = render_clips(8, 0, 66, TRAIN_FAMILIES, SHAPE)
    several, _ = render_dataset(8, 66, TRAIN_FAMILIES, SHAPE, 2)
    later, later_labels = render_clips(8, 61, 5, TRAIN_FAMILIES, SHAPE)
    luma, _ = render_luma(8, 61, 5, TRAIN_FAMILIES, SHAPE, 0)
    other, _ = render_clips(9, 0, 3, TRAIN_FAMILIES, SHAPE)
    assert np.array_equal(several, clips)
    assert np.array_equal(later, clips[61:]) and np.array_equal(later_labels, labels[61:])
    assert np.array_equal(luma[..., 0], to_luma(later))
    assert not np.array_equal(other, clips[:3])


def test_texture_families_of_training_and_evaluation_are_apart() -> None:
    assert not set(TRAIN_FAMILIES) & set(UNSEEN_FAMILIES)


@pytest.mark.parametrize("family", TRAIN_FAMILIES + UNSEEN_FAMILIES)
def test_every_texture_has_something_to_see(family: Family) -> None:
    for seed in range(3):
        picture = draw_texture(np.random.default_rng(seed), [family], 240)
        assert picture.shape == (240, 240, 3) and picture.dtype == np.uint8
        assert to_luma(picture).std() > 2
