"""The video recipe: conventions of the labels, rendering, and the model that it gives."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.recipe.config import override
from training.recipe.errors import ConfigError, PublicationError
from training.recipe.run import Run, start_run
from training.video.config import PRESETS, Config
from training.video.data import SYMMETRIES, augment_clips, render_dataset, sample_batches, to_luma
from training.video.rendered.camera import LABELS, draw_path, film
from training.video.rendered.clips import render_clips
from training.video.rendered.photographs import (
    PHOTOGRAPHS,
    decode_clip,
    encode_photograph,
    film_photographs,
    load_photograph,
)
from training.video.rendered.textures import TRAIN_FAMILIES, UNSEEN_FAMILIES, leaves
from training.video.shape import ClipShape

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
TINY = override(
    PRESETS["smoke"],
    [
        "clips=36",
        "valid_clips=9",
        "check_clips=18",
        "optimisation.epochs=3",
        "optimisation.batch_size=12",
        "channels=[4,8]",
        "pair_units=8",
        "units=4",
        "workers=0",
        'shape={"frames": 6, "height": 16, "width": 16}',
        "served_batches=[1]",
        "measure_rounds=1",
    ],
)


@pytest.fixture(scope="module")
def bundled(models_dir: Path) -> Path:
    return models_dir / "video" / "1"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An unbroken run."""
    from training.video.train import train

    run = start_run("video", TINY, None, tmp_path_factory.mktemp("runs"))
    train(TINY, None, run)
    return run


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

    options = transforms.ClipOptions(SHAPE.frames, SHAPE.height, SHAPE.width, SHAPE.fps)
    for seed, name in enumerate(PHOTOGRAPHS[:4]):
        encoded = encode_photograph(np.random.default_rng(seed), load_photograph(name), "zoom in", SHAPE.fps)
        served = transforms.decode_clip(encoded, options, "clip")
        assert np.array_equal(served, decode_clip(encoded, SHAPE))


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

    clips, classes = film_photographs(79, 117, SHAPE)
    assert (predict_all(load_predict(bundled), clips).argmax(axis=1) == classes).mean() >= 0.85


def test_a_run_becomes_a_version_unless_that_is_worse(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.video.evaluate import load_predict
    from training.video.export import export

    run = Run(shutil.copytree(finished.folder, tmp_path / "run"))
    folder = export(run, tmp_path)
    assert folder == tmp_path / "video" / "1"
    assert {p.name for p in folder.iterdir()} >= {
        "saved_model.pb",
        "manifest.json",
        "golden.npz",
        "model_card.md",
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["classify_output"] == "probabilities"
    assert {cell["length"] for cell in manifest["lattice"]["cells"]} == {0}
    assert manifest["metrics"]["top1"] == pytest.approx(run.metrics["metrics"]["top1"], abs=1e-6)
    assert "| latency_ms_batch1 |" in (folder / "model_card.md").read_text()
    probabilities = load_predict(folder)(np.zeros((2, 6, 16, 16, 3), np.uint8))
    assert probabilities.shape == (2, 9) and np.isfinite(probabilities).all()

    monkeypatch.setattr("training.video.export.export_model", lambda export, models_dir: models_dir / "2")
    assert export(run, tmp_path).name == "2"  # as good as itself
    run.record({"metrics": run.metrics["metrics"] | {"top1": -1.0}})
    with pytest.raises(PublicationError, match="worse than video version 1: top1 -1 against"):
        export(run, tmp_path)
    assert export(run, tmp_path, allow_worse=True).name == "2"


def test_a_version_of_another_frame_size_cannot_be_compared(finished: Run, models_dir: Path) -> None:
    from training.video.export import export

    with pytest.raises(PublicationError, match="measured on different test data"):
        export(finished, models_dir)


class Stopped(Exception):
    """Stands for whatever ends a run."""


def test_a_run_that_was_stopped_ends_as_an_unbroken_one(finished: Run, tmp_path: Path) -> None:
    import keras

    from training.video.train import fit_run, load_model

    def stop(batch: int, logs: object) -> None:
        if len(run.history.read_text().splitlines()) == 2 and batch == 1:  # in the second epoch
            raise Stopped

    run = start_run("video", TINY, None, tmp_path)
    with pytest.raises(Stopped):
        fit_run(TINY, None, run, [keras.callbacks.LambdaCallback(on_train_batch_end=stop)])
    assert not run.weights.exists()
    fit_run(TINY, None, run)
    assert run.history.read_text() == finished.history.read_text()
    assert len(run.history.read_text().splitlines()) == 1 + TINY.optimisation.epochs
    for one, other in zip(*(load_model(each, TINY).get_weights() for each in (run, finished)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    written = run.weights.stat().st_mtime_ns
    fit_run(TINY, None, run)  # it is finished
    assert run.weights.stat().st_mtime_ns == written


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    clips, labels = np.arange(36 * 6 * 4, dtype=np.uint8).reshape(36, 6, 2, 2), np.arange(36) % 9
    first, again, next_epoch = (list(sample_batches(TINY, clips, labels, epoch)) for epoch in (3, 3, 4))
    assert [len(batch) for batch, _ in first] == [12] * 3
    for (one, one_labels), (same, same_labels) in zip(first, again, strict=True):
        assert np.array_equal(one, same) and np.array_equal(one_labels, same_labels)
    assert not np.array_equal(first[0][0], next_epoch[0][0])


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("optimisation.precision=mixed_float16", 'must be "float32"'),
        ("clips=11", "a batch of 12, got 11"),
        ("dropout=1.5", "dropout"),
    ],
)
def test_what_the_recipe_cannot_do_is_refused(assignment: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        override(TINY, [assignment])


def test_a_configuration_survives_its_file(finished: Run) -> None:
    assert finished.read_config(Config) == TINY
    assert isinstance(finished.read_config(Config).shape, ClipShape)


def test_presets_name_smoke_and_bundled() -> None:
    assert {"smoke", "bundled"} <= set(PRESETS)
    assert PRESETS["smoke"].photograph_clips == 0
