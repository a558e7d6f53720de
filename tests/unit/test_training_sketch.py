"""The sketch recipe: reading drawings, altering them, the model, and the bundled artifact."""

import dataclasses
import json
import pickle
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.sketch.augmentation import augment
from training.sketch.config import PRESETS, Augmentation
from training.sketch.data import (
    draw_dataset,
    ink_from_stroke3,
    ink_from_strokes,
    load_dataset,
    pad_inks,
    thin,
)
from training.sketch.evaluate import Predict, class_f1, evaluate, load_predict, measure, predict_all
from training.sketch.model import BidirectionalGRU
from training.sketch.outside import load_outside
from training.sketch.sketchrnn import read_sketchrnn
from training.sketch.synthetic import SHAPES
from training.sketch.train import train


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


def write_npz(path: Path, payload: bytes) -> None:
    header = (
        b"\x93NUMPY\x01\x00\x46\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(69) + b"\n"
    )
    with zipfile.ZipFile(path, "w") as archive:
        for split in ("train", "valid", "test"):
            archive.writestr(f"{split}.npy", header + payload)


def test_reads_the_official_splits(shared_data: Path) -> None:
    dataset = load_dataset(shared_data / "sketch" / "sketchrnn_npz", max_points=256)
    assert len(dataset.labels) == 20
    assert "alarm clock" in dataset.labels
    assert {s: len(d.inks) for s, d in dataset.splits.items()} == {
        "train": 11200,
        "valid": 1400,
        "test": 1400,
    }
    assert np.bincount(dataset.splits["test"].classes).tolist() == [70] * 20
    ink = dataset.splits["test"].inks[0]
    assert ink.dtype == np.float32
    assert ink.shape[1] == 3
    assert ink[-1, 2] == 1
    assert ink[:, :2].min() >= -8
    assert ink[:, :2].max() <= 263


def test_reads_files_pickled_by_python_2(shared_data: Path) -> None:
    splits = read_sketchrnn(shared_data / "sketch" / "format_samples" / "omniglot.npz")
    assert {s: len(d) for s, d in splits.items()} == {"train": 30000, "valid": 1000, "test": 1000}


def test_reads_simplified_ndjson(shared_data: Path) -> None:
    folder = shared_data / "sketch" / "simplified_ndjson"
    dataset = load_dataset(folder, max_points=256, labels=["pig", "alarm clock"])
    assert dataset.labels == ("pig", "alarm clock")
    assert sum(len(d.inks) for d in dataset.splits.values()) == 50
    first = json.loads((folder / "pig.ndjson").read_text().splitlines()[0])
    points = sum(len(stroke[0]) for stroke in first["drawing"])
    every = [ink for d in dataset.splits.values() for ink in d.inks]
    assert any(len(ink) == points and ink[:, 2].sum() == len(first["drawing"]) for ink in every)


def test_a_file_that_asks_for_code_is_refused(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    write_npz(tmp_path / "bomb.npz", pickle.dumps(Bomb()))
    with pytest.raises(pickle.UnpicklingError):
        read_sketchrnn(tmp_path / "bomb.npz")
    assert not (tmp_path / "ran").exists()


def test_a_drawing_of_another_shape_is_refused(tmp_path: Path) -> None:
    drawings = np.empty(1, object)
    drawings[0] = np.zeros((4, 2), np.int16)
    np.savez(tmp_path / "odd.npz", train=drawings, valid=drawings, test=drawings)
    with pytest.raises(ValueError, match=r"\(4, 2\)"):
        read_sketchrnn(tmp_path / "odd.npz")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \.npz"):
        load_dataset(tmp_path, 256)


def test_both_layouts_give_the_same_ink() -> None:
    strokes = [[[0, 10, 10], [5, 5, 20]], [[3, 4], [7, 9]]]
    stroke3 = np.array([[0, 5, 0], [10, 0, 0], [0, 15, 1], [-7, -13, 0], [1, 2, 1]])
    expected = [[0, 5, 0], [10, 5, 0], [10, 20, 1], [3, 7, 0], [4, 9, 1]]
    assert ink_from_strokes(strokes).tolist() == expected
    assert ink_from_stroke3(stroke3).tolist() == expected


def test_thinning_keeps_ends_of_strokes() -> None:
    strokes = [[list(range(100)), [0] * 100], [list(range(50)), [1] * 50]]
    thinned = thin(ink_from_strokes(strokes), 30)
    assert len(thinned) == 30
    assert thinned[:, 2].sum() == 2
    assert thinned[0].tolist() == [0, 0, 0]
    assert thinned[-1].tolist() == [49, 1, 1]
    assert np.all(np.diff(thinned[:, 1])[thinned[:-1, 2] == 1] == 1)


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


def test_bidirectional_gru_equals_that_of_keras() -> None:
    ours, length = BidirectionalGRU(6), 9
    x = np.random.default_rng(0).normal(size=(2, length, 4)).astype(np.float32)
    ours(x, tf.constant([length, length]))
    theirs = keras.layers.Bidirectional(keras.layers.GRU(6, return_sequences=True))
    theirs(x)
    bias = np.random.default_rng(1).normal(size=(2, 1, 18))
    ours.bias.assign(bias)
    weights = []
    for way, (w, b) in enumerate(zip(np.split(ours.project.kernel.numpy(), 2, axis=1), bias, strict=True)):
        weights += [w, ours.kernel.numpy()[way], np.concatenate([np.zeros((1, 18)), b])]
    theirs.set_weights(weights)
    np.testing.assert_allclose(ours(x, tf.constant([length, length])), theirs(x), atol=1e-5)


def test_measures() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])
    measured = measure(probabilities, np.array([0, 0, 2, 2]))
    assert measured["top1"] == 0.5
    assert measured["top3"] == 1.0
    assert class_f1(probabilities, np.array([0, 0, 2, 2])) == pytest.approx([2 / 3, 0, 2 / 3])
    assert measured["ece"] == pytest.approx((0.2 + 0.6 + 0.5 + 0.3) / 4)


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
    assert manifest["options"] == {"max_points": 256, "box": 255, "simplify_tolerance": 2.0}
    lattice = manifest["lattice"]
    assert (lattice["padded_input"], lattice["lengths_input"]) == ("ink", "lengths")
    assert max(cell["length"] for cell in lattice["cells"]) == 256
    assert manifest["classify_output"] == "probabilities"
    assert "CC BY 4.0" in manifest["data"]
    assert sum(f.stat().st_size for f in bundled.rglob("*") if f.is_file()) <= 4_000_000


def test_the_bundled_model_reaches_its_promise(bundled: Path, shared_data: Path) -> None:
    metrics = evaluate(bundled, shared_data / "sketch" / "sketchrnn_npz")
    promised = json.loads((bundled / "manifest.json").read_text())["metrics"]
    assert metrics["top1"] >= 0.95
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
    assert top1 >= 0.70
    assert top1 == pytest.approx(manifest["metrics"]["outside_top1"], abs=0.01)
    assert f"{manifest['metrics']['outside_top1']:.3f}" in (bundled / "model_card.md").read_text()


def test_a_folder_without_neighbours_has_nothing_outside(tmp_path: Path) -> None:
    assert load_outside(tmp_path / "drawings", ["pig"], 256) is None


def test_the_recipe_runs_without_data(tmp_path: Path) -> None:
    config = dataclasses.replace(PRESETS["smoke"], epochs=2, synthetic_per_class=60, batch_size=32)
    folder = train(config, None, tmp_path / "runs", tmp_path / "models")
    assert folder == tmp_path / "models" / "sketch" / "1"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["labels"] == list(SHAPES)
    cells = manifest["lattice"]["cells"]
    assert {cell["batch"] for cell in cells} <= set(config.served_batches)
    assert max(cell["length"] for cell in cells) == config.max_points
    history = next((tmp_path / "runs").rglob("history.csv")).read_text().splitlines()
    assert len(history) == 1 + config.epochs
    assert evaluate(folder, None)["top1"] > 2 / len(SHAPES)
