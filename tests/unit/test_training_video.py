"""The video recipe: its data, its augmentation, and the model that it gives."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from training.recipe.config import from_dict, override, to_dict
from training.recipe.errors import ConfigError, DataError, PublicationError
from training.recipe.run import Run, start_run
from training.video.augmentation import make_augmenter
from training.video.clips import FilmedClips, RenderedClips
from training.video.config import CAMERA, FAMILIES, PRESETS, Augmentation, Config, Symmetry
from training.video.rendered.camera import LABELS
from training.video.rendered.clips import render_clips
from training.video.rendered.footage import film_footage
from training.video.rendered.photographs import PHOTOGRAPHS, film_photographs, load_photograph
from training.video.rendered.textures import UNSEEN_FAMILIES
from training.video.shape import ClipShape

SHAPE = ClipShape()
TINY = override(
    PRESETS["smoke"],
    [
        'rendered={"clips": 36, "valid_clips": 9, "check_clips": 18, "photograph_clips": 3}',
        "optimisation.epochs=3",
        "optimisation.batch_size=12",
        "model.channels=[4,8]",
        "model.pair_units=8",
        "model.units=4",
        "workers=0",
        'shape={"frames": 6, "height": 16, "width": 16}',
        "served_batches=[1]",
        "measure_rounds=1",
    ],
)
FILMED = override(
    FAMILIES["tsm"],
    [
        'shape={"frames": 4, "height": 16, "width": 16, "fps": 5}',
        "optimisation.epochs=24",
        "optimisation.batch_size=6",
        "optimisation.ema_momentum=0",
        "model.channels=[8]",
        "workers=0",
        "views=[2,3]",
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


def test_symmetries_swap_labels_as_they_say() -> None:
    augmentation = Augmentation(symmetries=(Symmetry("reverse", (("sit", "stand"),), ("fall",)),))
    augmenter = make_augmenter(augmentation, ("fall", "sit", "stand", "walk"))
    clip = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    seen = {(i, altered.ravel().tolist()[0], label) for i in range(4) for altered, label in _alter(augmenter, clip, i)}
    assert seen == {(0, 0, 0), (1, 0, 1), (1, 3, 2), (2, 0, 2), (2, 3, 1), (3, 0, 3), (3, 3, 3)}


def _alter(augmenter, clip, label):
    return [augmenter.alter(np.random.default_rng(seed), clip, label) for seed in range(20)]


def test_shifted_clips_repeat_their_edge_and_keep_their_frames_together() -> None:
    augmenter = make_augmenter(Augmentation(shift=0.25), LABELS)
    clip = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1).repeat(3, axis=0)
    for altered, label in _alter(augmenter, clip, 4):
        assert label == 4 and altered.shape == clip.shape and (altered == altered[:1]).all()
        assert set(altered.ravel()) <= set(clip.ravel())
    assert len({altered.tobytes() for altered, _ in _alter(augmenter, clip, 4)}) > 5


def test_erased_boxes_stay_within_a_quarter_and_leave_the_clip_itself_alone() -> None:
    augmenter = make_augmenter(Augmentation(erase=1.0), LABELS)
    clip = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), np.uint8)
    before = clip.copy()
    for altered, _ in _alter(augmenter, clip, 4):
        assert 0 < (altered != clip).any(axis=(0, 3)).sum() <= 64
    assert np.array_equal(clip, before)


@pytest.mark.parametrize(
    ("symmetry", "said"),
    [
        (Symmetry("mirror", (("pan left", "pan rihgt"),)), 'names the label "pan rihgt"; there are static'),
        (Symmetry("mirror", (("pan left", "pan right"),), ("pan left",)), 'names the label "pan left" twice'),
    ],
)
def test_symmetries_of_labels_that_there_are_not_are_refused(symmetry: Symmetry, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_augmenter(Augmentation(symmetries=(symmetry,)), LABELS)


def test_the_cameras_labels_turn_in_pairs() -> None:
    turns = make_augmenter(CAMERA, LABELS).turns
    for turn in turns:
        assert np.array_equal(turn[turn], np.arange(len(LABELS))) and turn[0] == 0
    assert [(turn != np.arange(9)).sum() for turn in turns] == [4, 4, 6, 8]


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    from training.video.batches import sample_batches

    frames = np.random.default_rng(0).integers(0, 256, (36, 6, 4, 4, 1), np.uint8)
    clips, augmenter = RenderedClips(frames, np.arange(36) % 9), make_augmenter(CAMERA, LABELS)
    first, again, after = (list(sample_batches(clips, 9, TINY, augmenter, epoch)) for epoch in (3, 3, 4))
    assert [len(classes) for _, classes in first] == [12] * 3
    for (one, classes), (same, same_classes) in zip(first, again, strict=True):
        assert np.array_equal(one["frames"], same["frames"]) and np.array_equal(classes, same_classes)
    assert not np.array_equal(first[0][0]["frames"], after[0][0]["frames"])


def test_a_filmed_clip_is_cut_anew_for_training_and_the_same_for_judging() -> None:
    frames = np.arange(41, dtype=np.uint8).reshape(41, 1, 1, 1).repeat(8, 1).repeat(8, 2)
    clips = FilmedClips(lambda row: (frames, np.arange(41) / 10), np.zeros(1, np.int64), ClipShape(4, 8, 8, 5.0))
    assert clips.take(0)[:, 0, 0, 0].tolist() == [17, 19, 21, 23]
    drawn = {tuple(clips.draw(np.random.default_rng(seed), 0)[:, 0, 0, 0]) for seed in range(20)}
    assert len(drawn) > 10
    views = clips.view(0, 3, 3)
    assert len(views) == 9 and all(view.shape == (4, 8, 8, 1) for view in views)
    assert [int(view[0, 0, 0, 0]) for view in views[::3]] == [0, 17, 34]


def test_videos_in_files_are_learnt_judged_and_served(video_squares: Path, tmp_path: Path) -> None:
    from training.video.evaluate import evaluate, load_predict
    from training.video.export import export
    from training.video.train import train

    run = start_run("video", FILMED, video_squares, tmp_path)
    train(FILMED, video_squares, run)
    metrics = run.metrics
    assert metrics["labels"] == ["left", "right"]
    assert metrics["metrics"]["top1"] >= 0.75 and "views_top1" in metrics["metrics"]
    assert (run.report / "report.html").is_file()
    folder = export(run, tmp_path / "models")
    assert evaluate(folder, video_squares)["top1"] == pytest.approx(metrics["metrics"]["top1"])
    card = (folder / "model_card.md").read_text()
    assert "left, right" in card and "camera" not in card
    assert load_predict(folder)({"frames": np.zeros((2, 4, 16, 16, 3), np.uint8)}).shape == (2, 2)
    with pytest.raises(ValueError, match="give the folder of its videos"):
        evaluate(folder, None)


def test_a_two_stream_model_is_judged_by_its_streams_and_not_served(video_squares: Path, tmp_path: Path) -> None:
    from training.video.export import export
    from training.video.train import train

    config = override(
        FAMILIES["two-stream"],
        [f"{name}={json.dumps(value)}" for name, value in to_dict(FILMED).items() if name not in ("model",)],
    )
    config = override(config, ["model.channels=[4]", "optimisation.epochs=1"])
    run = start_run("video", config, video_squares, tmp_path)
    train(config, video_squares, run)
    assert {"appearance_top1", "motion_top1", "top1"} <= set(run.metrics["metrics"])
    with pytest.raises(ConfigError, match="optical flow"):
        export(run, tmp_path / "models")


def test_too_few_clips_are_refused(video_squares: Path, tmp_path: Path) -> None:
    from training.video.train import train

    config = override(FILMED, ["optimisation.batch_size=64"])
    with pytest.raises(DataError, match=r"24 clips to train on, fewer than optimisation\.batch_size, 64"):
        train(config, video_squares, start_run("video", config, video_squares, tmp_path))


def test_bundled_manifest_holds_what_the_service_needs(bundled: Path) -> None:
    manifest = json.loads((bundled / "manifest.json").read_text())
    frames = manifest["signature"]["inputs"]["frames"]
    assert tuple(manifest["labels"]) == LABELS
    assert {"frames": 16, "height": 64, "width": 64, "fps": 8.0}.items() <= manifest["options"].items()
    assert frames == {"dtype": "uint8", "shape": [None, 16, 64, 64, 3]}


def test_bundled_model_answers_alike_alone_and_in_a_batch(bundled: Path) -> None:
    from training.video.evaluate import load_predict

    predict = load_predict(bundled)
    clips, _ = render_clips(77, 0, 9, UNSEEN_FAMILIES, SHAPE)
    together = predict({"frames": clips})
    alone = np.concatenate([predict({"frames": clip[None]}) for clip in clips])
    assert together.shape == (9, 9) and together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)


def test_bundled_model_knows_motion_over_unseen_textures(bundled: Path) -> None:
    from training.video.evaluate import load_predict, measure_top1, predict_all

    clips = RenderedClips(*render_clips(78, 0, 135, UNSEEN_FAMILIES, SHAPE))
    assert measure_top1(predict_all(load_predict(bundled), clips, PRESETS["bundled"]), clips.classes) >= 0.94


def test_bundled_model_knows_motion_over_photographs(bundled: Path) -> None:
    from training.video.evaluate import load_predict, measure_top1, predict_all

    clips = RenderedClips(*film_photographs(79, 54, SHAPE))
    assert measure_top1(predict_all(load_predict(bundled), clips, PRESETS["bundled"]), clips.classes) >= 0.87


def test_bundled_model_knows_motion_behind_people_who_move(bundled: Path, shared_data: Path) -> None:
    from training.video.evaluate import load_predict, measure_top1, predict_all

    videos = sorted((shared_data / "video" / "fir_actions").glob("*/*.mp4"))[::7]
    grounds = [load_photograph(name) for name in PHOTOGRAPHS]
    clips = RenderedClips(*film_footage(videos, 80, 36, SHAPE, grounds))
    assert measure_top1(predict_all(load_predict(bundled), clips, PRESETS["bundled"]), clips.classes) >= 0.8


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
    probabilities = load_predict(folder)({"frames": np.zeros((2, 6, 16, 16, 3), np.uint8)})
    assert probabilities.shape == (2, 9) and np.isfinite(probabilities).all()

    monkeypatch.setattr("training.video.export.report", lambda run, *_: None)
    monkeypatch.setattr("training.video.export.export_model", lambda export, models_dir: models_dir / "2")
    assert export(run, tmp_path).name == "2"  # as good as itself
    run.record(run.metrics | {"metrics": run.metrics["metrics"] | {"top1": -1.0}})
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
    for one, other in zip(*(load_model(each, TINY, 9).get_weights() for each in (run, finished)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    written = run.weights.stat().st_mtime_ns
    fit_run(TINY, None, run)  # it is finished
    assert run.weights.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("optimisation.precision=mixed_float16", 'must be "float32"'),
        ("model.dropout=1.5", "dropout"),
        ("normalization=loud", "normalization"),
        ("shape.width=20", "needs square frames, got 20x16"),
        ('model={"family": "tsn", "segments": 4}', "2 for each of 4 segments, got 6"),
        ('model={"family": "i3d", "temporal_kernel": 2}', "must be odd, got 2"),
        ('model={"family": "transformer", "width": 90, "heads": 4}', "multiple of heads 4"),
        ('model={"family": "i3d", "backbone": {"weights": "x.h5"}}', "weights are those of a backbone.application"),
        ('model={"family": "i3d", "backbone": {"application": "ResNet50"}}', 'must be "range" for a backbone'),
    ],
)
def test_what_the_recipe_cannot_do_is_refused(assignment: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        override(TINY, [assignment])


def test_a_configuration_survives_its_file(finished: Run) -> None:
    assert finished.read_config(Config) == TINY
    assert isinstance(finished.read_config(Config).shape, ClipShape)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_their_file(name: str) -> None:
    assert from_dict(Config, json.loads(json.dumps(to_dict(PRESETS[name])))) == PRESETS[name]
