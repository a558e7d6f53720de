"""The video recipe: conventions of the labels, rendering, and the model that it gives."""

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.video.camera import LABELS, draw_path, film
from training.video.clips import ClipShape, render_clips
from training.video.config import FPS, PRESETS, Config
from training.video.data import SYMMETRIES, augment_clips, render_dataset, to_luma
from training.video.photographs import (
    PHOTOGRAPHS,
    decode_clip,
    encode_photograph,
    film_photographs,
    load_photograph,
)
from training.video.textures import TRAIN_FAMILIES, UNSEEN_FAMILIES, leaves

MOVING = LABELS[1:]
EFFECTS = {
    "pan left": ("right", +1),
    "pan right": ("right", -1),
    "tilt up": ("down", +1),
    "tilt down": ("down", -1),
    "zoom in": ("growth", +1),
    "zoom out": ("growth", -1),
    "roll clockwise": ("clockwise", -1),
    "roll counterclockwise": ("clockwise", +1),
}
SHAPE = ClipShape()


@pytest.fixture(scope="module")
def bundled(models_dir: Path) -> Path:
    return models_dir / "video" / "1"


def film_discs(label: str, seed: int) -> np.ndarray:
    """A red disc in the middle and a green one to its right, seen by a camera that moves as `label` says."""
    picture = np.zeros((480, 480, 3), np.uint8)
    cv2.circle(picture, (240, 240), 12, (255, 0, 0), -1)
    cv2.circle(picture, (300, 240), 12, (0, 255, 0), -1)
    poses = draw_path(np.random.default_rng(seed), label, np.linspace(0, 1, 61), 15)
    return film(picture, poses, (300, 300), (128, 128))


def seen_motion(frames: np.ndarray) -> dict[str, float]:
    """What the discs do between the first and the last frame that show both whole."""
    centers = []
    for frame in frames:
        found = [np.argwhere(frame[..., channel] > 128) for channel in (0, 1)]
        if all(len(f) and f.min() > 0 and f.max() < 127 for f in found):
            centers.append([f.mean(0)[::-1] for f in found])
    (red, green), (red_end, green_end) = centers[0], centers[-1]
    arm, arm_end = green - red, green_end - red_end
    turn = np.arctan2(arm_end[1], arm_end[0]) - np.arctan2(arm[1], arm[0])
    return {
        "right": red_end[0] - red[0],
        "down": red_end[1] - red[1],
        "growth": np.log(np.linalg.norm(arm_end) / np.linalg.norm(arm)),
        "clockwise": (turn + np.pi) % (2 * np.pi) - np.pi,
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("label", MOVING)
def test_content_moves_against_the_camera(label: str, seed: int) -> None:
    effect, sign = EFFECTS[label]
    assert sign * seen_motion(film_discs(label, seed))[effect] > 0.03


@pytest.mark.parametrize("label", ["pan left", "pan right", "tilt up", "tilt down"])
def test_phase_correlation_finds_the_displacement_of_the_path(label: str) -> None:
    rng = np.random.default_rng(1)
    picture = leaves(rng, 480)
    poses = draw_path(rng, label, np.linspace(0, 1, 61), 15)
    seen = to_luma(film(picture, poses, (200, 200), (128, 128))).astype(np.float32)
    window = cv2.createHanningWindow((128, 128), cv2.CV_32F)
    content = np.sum([cv2.phaseCorrelate(a, b, window)[0] for a, b in pairwise(seen)], axis=0)
    camera = 128 * (poses[-1] - poses[0])[:2]
    np.testing.assert_allclose(content, -camera, atol=4)
    effect, sign = EFFECTS[label]
    assert sign * dict(zip(("right", "down"), content, strict=True))[effect] > 10


def test_static_camera_ends_where_it_began() -> None:
    for seed in range(20):
        poses = draw_path(np.random.default_rng(seed), "static", np.linspace(0, 1, 61), 15)
        assert np.abs(poses[-5:].mean(0) - poses[:5].mean(0))[:2].max() < 0.04


@pytest.mark.parametrize("label", MOVING)
def test_symmetries_turn_the_label_with_the_clip(label: str) -> None:
    frames = film_discs(label, 5)
    for apply, swapped in SYMMETRIES:
        effect, sign = EFFECTS[LABELS[swapped[LABELS.index(label)]]]
        turned = np.stack([apply(frames[..., channel]) for channel in range(3)], axis=-1)
        assert sign * seen_motion(turned)[effect] > 0.03


def test_augmentation_keeps_shape_and_leaves_its_input_alone() -> None:
    clips, labels = render_clips(3, 0, 9, TRAIN_FAMILIES, SHAPE)
    luma = to_luma(clips)
    before = luma.copy()
    augmented, turned = augment_clips(np.random.default_rng(0), luma, labels)
    assert augmented.shape == luma.shape and augmented.dtype == np.uint8
    assert np.array_equal(luma, before)
    assert turned[0] == LABELS.index("static")
    assert not np.array_equal(augmented, luma)


def test_rendering_gives_labelled_clips_of_the_asked_shape() -> None:
    clips, labels = render_clips(1, 5, 20, UNSEEN_FAMILIES, ClipShape(frames=6, height=32, width=48))
    assert clips.shape == (20, 6, 32, 48, 3) and clips.dtype == np.uint8
    assert labels.tolist() == [i % 9 for i in range(5, 25)]
    assert (clips.reshape(20, -1).std(axis=1) > 0.5).all()


def test_rendering_depends_on_the_seed_alone() -> None:
    one, labels = render_dataset(8, 66, TRAIN_FAMILIES, SHAPE, 2)
    again, _ = render_clips(8, 0, 66, TRAIN_FAMILIES, SHAPE)
    other, _ = render_clips(9, 0, 3, TRAIN_FAMILIES, SHAPE)
    assert np.array_equal(one, again)
    assert len(labels) == 66
    assert not np.array_equal(one[:3], other)


def test_texture_families_of_training_and_evaluation_are_apart() -> None:
    assert not set(TRAIN_FAMILIES) & set(UNSEEN_FAMILIES)


def test_photographs_are_sampled_as_the_service_samples() -> None:
    from services.video import transforms

    options = transforms.ClipOptions(SHAPE.frames, SHAPE.height, SHAPE.width, FPS)
    for seed, name in enumerate(PHOTOGRAPHS[:4]):
        encoded = encode_photograph(np.random.default_rng(seed), load_photograph(name), "zoom in", FPS)
        served = transforms.decode_clip(encoded, options, "clip")
        assert np.array_equal(served, decode_clip(encoded, SHAPE, FPS))


def test_bundled_manifest_holds_what_the_service_needs(bundled: Path) -> None:
    manifest = json.loads((bundled / "manifest.json").read_text())
    frames = manifest["signature"]["inputs"]["frames"]
    assert tuple(manifest["labels"]) == LABELS
    assert manifest["options"] == {"frames": 16, "height": 64, "width": 64, "fps": 8.0}
    assert frames == {"dtype": "uint8", "shape": [None, 16, 64, 64, 3]}


def test_bundled_model_answers_alike_alone_and_in_a_batch(bundled: Path) -> None:
    from training.video.evaluate import load_predict

    predict = load_predict(bundled)
    clips, _ = render_clips(77, 0, 9, UNSEEN_FAMILIES, SHAPE)
    together = predict(clips)
    alone = np.concatenate([predict(clip[None]) for clip in clips])
    assert together.shape == (9, 9) and together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)


def test_bundled_model_knows_motion_over_unseen_textures(bundled: Path) -> None:
    from training.video.evaluate import load_predict, predict_all

    clips, classes = render_clips(78, 0, 270, UNSEEN_FAMILIES, SHAPE)
    assert (predict_all(load_predict(bundled), clips).argmax(axis=1) == classes).mean() >= 0.90


def test_bundled_model_knows_motion_over_photographs(bundled: Path) -> None:
    from training.video.evaluate import load_predict, predict_all

    clips, classes = film_photographs(79, 117, SHAPE, FPS)
    assert (predict_all(load_predict(bundled), clips).argmax(axis=1) == classes).mean() >= 0.85


def test_recipe_runs_from_rendering_to_export(tmp_path: Path) -> None:
    from training.video.evaluate import load_predict
    from training.video.train import train

    config = Config(
        clips=36,
        check_clips=9,
        photograph_clips=0,
        epochs=1,
        batch_size=12,
        channels=(4, 8),
        pair_units=8,
        units=4,
        shape=ClipShape(frames=6, height=16, width=16),
        served_batches=(1, 2),
        measure_rounds=1,
    )
    folder = train(config, None, tmp_path / "runs", tmp_path / "models")
    assert folder == tmp_path / "models" / "video" / "1"
    assert {p.name for p in folder.iterdir()} >= {
        "saved_model.pb",
        "manifest.json",
        "golden.npz",
        "model_card.md",
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["classify_output"] == "probabilities"
    assert {cell["length"] for cell in manifest["lattice"]["cells"]} == {0}
    (run,) = (tmp_path / "runs" / "video").iterdir()
    assert "loss" in (run / "history.csv").read_text()
    assert "top1" in json.loads((run / "metrics.json").read_text())
    probabilities = load_predict(folder)(np.zeros((2, 6, 16, 16, 3), np.uint8))
    assert probabilities.shape == (2, 9) and np.isfinite(probabilities).all()


def test_presets_name_smoke_and_bundled() -> None:
    assert {"smoke", "bundled"} <= set(PRESETS)
    assert PRESETS["smoke"].photograph_clips == 0
