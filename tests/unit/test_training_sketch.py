"""The sketch recipe: altering drawings, the model, and the bundled artifact."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from training.recipe.config import override_values
from training.recipe.errors import PublicationError
from training.recipe.report.calibration import apply_temperature, fit_temperature
from training.recipe.report.measures import measure
from training.recipe.run import Run, read_history, start_run
from training.sketch.augmentation import augment
from training.sketch.config import PRESETS, Augmentation, Config
from training.sketch.data import draw_dataset
from training.sketch.evaluate import Predict, evaluate, load_predict, predict_all
from training.sketch.export import export
from training.sketch.ink import pad_inks
from training.sketch.judgement import read_answers
from training.sketch.outside import load_outside
from training.sketch.synthetic import SHAPES
from training.sketch.train import open_dataset, train


@pytest.fixture(scope="module")
def bundled(models_dir: Path) -> Path:
    return models_dir / "sketch" / "1"


@pytest.fixture(scope="module")
def predict(bundled: Path) -> Predict:
    return load_predict(bundled)


@pytest.fixture(scope="module")
def inks(bundled: Path) -> list[np.ndarray]:
    golden = np.load(bundled / "golden.npz")
    return [ink[:n] for ink, n in zip(golden["in.ink"], golden["in.lengths"], strict=True)]


def test_augmentation_keeps_the_layout() -> None:
    ink, lengths = pad_inks(draw_dataset(40, 256, seed=0).splits["train"].inks)
    rng = np.random.default_rng(0)
    changed, kept = augment(ink, lengths, Augmentation(drop_stroke=1.0, cut_tail=1.0), rng)
    assert changed.shape == ink.shape
    assert changed.dtype == np.float32
    assert np.all((kept >= 1) & (kept <= lengths))
    assert kept.sum() < 0.9 * lengths.sum()
    for row, n in zip(changed, kept, strict=True):
        assert row[n - 1, 2] == 1
        assert not row[n:].any()
    assert set(np.unique(changed[..., 2])) == {0, 1}


def test_augmentation_of_nothing_changes_nothing() -> None:
    ink, lengths = pad_inks(draw_dataset(10, 256, seed=0).splits["train"].inks)
    nothing = Augmentation(0, 0, 0, 0, 0, 0)
    same, kept = augment(ink, lengths, nothing, np.random.default_rng(0))
    assert np.array_equal(kept, lengths)
    np.testing.assert_allclose(same, ink, atol=1e-4)


def test_padding_changes_nothing(predict: Predict, inks: list[np.ndarray]) -> None:
    together = predict(*pad_inks(inks, points=300))
    alone = np.concatenate([predict(*pad_inks([ink])) for ink in inks])
    odd = np.concatenate([predict(*pad_inks([ink], points=len(ink) + 1)) for ink in inks])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(odd, alone, atol=1e-5)


def test_what_lies_behind_the_end_is_not_read(predict: Predict, inks: list[np.ndarray]) -> None:
    ink, lengths = pad_inks(inks, points=256)
    clean = predict(ink, lengths)
    for row, n in zip(ink, lengths, strict=True):
        row[n:] = 1e3
    np.testing.assert_allclose(predict(ink, lengths), clean, atol=1e-5)


def test_place_and_size_do_not_matter(predict: Predict, inks: list[np.ndarray]) -> None:
    moved = [ink * [7, 7, 1] + [400, -90, 0] for ink in inks]
    small = [ink * [0.01, 0.01, 1] for ink in inks]
    expected = predict(*pad_inks(inks))
    np.testing.assert_allclose(predict(*pad_inks(moved)), expected, atol=2e-4)
    np.testing.assert_allclose(predict(*pad_inks(small)), expected, atol=2e-4)


def test_odd_drawings_have_an_answer(predict: Predict) -> None:
    dot = np.array([[5, 5, 1]], np.float32)
    line = np.array([[0, 0, 0], [255, 0, 1]], np.float32)
    probabilities = predict(*pad_inks([dot, line, np.zeros((0, 3), np.float32)]))
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_bundled_model_keeps_its_contract(bundled: Path) -> None:
    manifest = json.loads((bundled / "manifest.json").read_text())
    assert manifest["name"] == "sketch"
    assert len(manifest["labels"]) == 20
    assert manifest["signature"]["inputs"] == {
        "ink": {"dtype": "float32", "shape": [None, None, 3]},
        "lengths": {"dtype": "int32", "shape": [None]},
    }
    assert list(manifest["signature"]["outputs"]) == ["probabilities"]
    served = {"max_points": 256, "box": 255, "simplify_tolerance": 2.0}
    assert manifest["options"] == {**served, "temperature": manifest["options"]["temperature"]}
    assert 0.3 < manifest["options"]["temperature"] < 1.5
    lattice = manifest["lattice"]
    assert (lattice["padded_input"], lattice["lengths_input"]) == ("ink", "lengths")
    assert max(cell["length"] for cell in lattice["cells"]) == 256
    assert manifest["classify_output"] == "probabilities"
    assert "CC BY 4.0" in manifest["data"]
    assert sum(f.stat().st_size for f in bundled.rglob("*") if f.is_file()) <= 4_000_000


def test_the_bundled_model_reaches_its_promise(bundled: Path, shared_data: Path) -> None:
    metrics = evaluate(bundled, shared_data / "sketch" / "sketchrnn_npz")
    promised = json.loads((bundled / "manifest.json").read_text())["metrics"]
    assert metrics["top1"] >= 0.97
    assert metrics["ece"] <= 0.03
    assert metrics["top1"] == pytest.approx(promised["top1"], abs=0.003)
    assert metrics["top1"] <= metrics["top3"] <= metrics["top5"] <= 1


def test_the_bundled_model_tells_how_it_does_outside_of_its_pack(bundled: Path, shared_data: Path) -> None:
    manifest = json.loads((bundled / "manifest.json").read_text())
    outside = load_outside(shared_data / "sketch" / "sketchrnn_npz", manifest["labels"], max_points=256)
    assert outside is not None
    drawings, share = outside
    assert len(drawings.inks) == 225
    assert share == pytest.approx(0.45)
    top1 = measure(predict_all(load_predict(bundled), drawings), drawings.classes)["top1"]
    assert top1 >= 0.75
    assert top1 == pytest.approx(manifest["metrics"]["outside_top1"], abs=0.01)
    assert f"{manifest['metrics']['outside_top1']:.3f}" in (bundled / "model_card.md").read_text()


def test_a_folder_without_neighbours_has_nothing_outside(tmp_path: Path) -> None:
    assert load_outside(tmp_path / "drawings", ["pig"], 256) is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on few shapes, trained for four epochs."""
    config = override_values(PRESETS["smoke"], {"optimisation.epochs": 4, "synthetic_per_class": 60})
    run = start_run("sketch", config, None, tmp_path_factory.mktemp("runs"))
    train(config, None, run)
    return run


@pytest.fixture(scope="module")
def exported(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(trained, tmp_path_factory.mktemp("models"))


def test_a_run_leaves_its_record(trained: Run) -> None:
    history = read_history(trained.history)
    assert history["epoch"].tolist() == [0, 1, 2, 3]
    assert history["val_loss"][3] < history["val_loss"][0]
    assert trained.metrics["labels"] == list(SHAPES)
    assert trained.metrics["metrics"]["top1"] > 2 / len(SHAPES)
    assert not trained.backup.exists()
    figures = json.loads((trained.report / "report.json").read_text())
    assert figures["metrics"]["top1"] == trained.metrics["metrics"]["top1"]
    assert [row["fraction"] for row in figures["fractions"]] == [0.1, 0.25, 0.5, 0.75, 1.0]
    assert "Worst mistakes" in (trained.report / "report.html").read_text()
    assert any(trained.tensorboard.rglob("events.*"))


def test_a_run_that_is_done_is_not_trained_again(trained: Run) -> None:
    before = trained.weights.stat().st_mtime_ns, trained.history.read_text()
    train(trained.read_config(Config), None, trained)
    assert (trained.weights.stat().st_mtime_ns, trained.history.read_text()) == before


def test_an_export_answers_as_the_model_that_was_judged(trained: Run, exported: Path) -> None:
    dataset = open_dataset(trained.read_config(Config), None)
    manifest = json.loads((exported / "manifest.json").read_text())
    answers = read_answers(trained)
    temperature = fit_temperature(answers["valid"], dataset.splits["valid"].classes)
    assert manifest["options"]["temperature"] == pytest.approx(temperature)
    served = predict_all(load_predict(exported), dataset.splits["test"])
    np.testing.assert_allclose(served, apply_temperature(answers["test"], temperature), atol=1e-5)
    assert evaluate(exported, None)["top1"] > 2 / len(SHAPES)


def test_an_export_has_what_the_services_need(trained: Run, exported: Path) -> None:
    config, manifest = trained.read_config(Config), json.loads((exported / "manifest.json").read_text())
    assert exported.name == "1"
    assert manifest["labels"] == list(SHAPES)
    cells = manifest["lattice"]["cells"]
    assert {cell["batch"] for cell in cells} <= set(config.served_batches)
    assert max(cell["length"] for cell in cells) == config.max_points
    latency = manifest["metrics"]["latency_ms_batch1"]
    assert latency in {cell[f"{cell['graph']}_ms"] for cell in cells if cell["batch"] == 1}
    card = (exported / "model_card.md").read_text()
    assert f"| top1 | {manifest['metrics']['top1']:.4g} |" in card
    assert "latency_ms_batch1" in (trained.report / "report.json").read_text()


def test_a_worse_version_is_not_published(trained: Run, exported: Path, tmp_path: Path) -> None:
    spoiled = Run(Path(shutil.copytree(trained.folder, tmp_path / "run")))
    spoiled.record(trained.metrics | {"metrics": trained.metrics["metrics"] | {"top1": 0.01}})
    home = exported.parent.parent
    with pytest.raises(PublicationError, match=r"top1 0\.01 against .*--allow-worse"):
        export(spoiled, home)
    assert [p.name for p in (home / "sketch").iterdir()] == ["1"]


def test_an_export_that_answers_differently_is_not_published(trained: Run, tmp_path: Path) -> None:
    spoiled = Run(Path(shutil.copytree(trained.folder, tmp_path / "run")))
    answers = read_answers(trained)
    np.savez(spoiled.answers, **(answers | {"test": np.roll(answers["test"], 1, axis=1)}))
    with pytest.raises(PublicationError, match="answers differently"):
        export(spoiled, tmp_path / "models")
    assert not list((tmp_path / "models" / "sketch").iterdir())
