"""The formats that only TensorFlow writes: files made here as its tutorial and TFDS make them."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from training.recipe.config import override_values
from training.recipe.errors import ConfigError, DataError
from training.recipe.run import start_run
from training.sketch.config import PRESETS
from training.sketch.data import draw_dataset, load_dataset
from training.sketch.evaluate import load_predict, predict_all
from training.sketch.export import export
from training.sketch.formats.bitmap import load_bitmaps
from training.sketch.ink import ink_from_strokes, pad_inks
from training.sketch.models.raster import render
from training.sketch.synthetic import SHAPES
from training.sketch.train import train

CLASSES = ("pig", "alarm clock")


def ints(*values: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def record(**features: tf.train.Feature) -> bytes:
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def tutorial_record(ink: np.ndarray, number: int) -> bytes:
    """What create_dataset.py makes of a drawing: each axis scaled to 1, steps, without the first point."""
    low, high = ink[:, :2].min(axis=0), ink[:, :2].max(axis=0)
    unit = (ink[:, :2] - low) / np.where(high > low, high - low, 1)
    steps = np.column_stack([np.diff(unit, axis=0), ink[1:, 2]]).astype(np.float32)
    floats = tf.train.FloatList(value=steps.ravel())
    return record(ink=tf.train.Feature(float_list=floats), shape=ints(*steps.shape), class_index=ints(number))


def write(path: Path, records: Iterable[bytes]) -> Path:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in records:
            writer.write(content)
    return path


@pytest.fixture(scope="module")
def inks(shared_data: Path) -> list[tuple[int, np.ndarray]]:
    """Real drawings of both classes by turns, and one that is a dot."""
    folder = shared_data / "sketch" / "simplified_ndjson"
    lines = [(folder / f"{name}.ndjson").read_text().splitlines() for name in CLASSES]
    pairs = [
        (c, ink_from_strokes(json.loads(text)["drawing"]))
        for row in zip(*lines, strict=True)
        for c, text in enumerate(row)
    ]
    return [*pairs, (1, np.array([[5, 5, 1]], np.float32))]


@pytest.fixture(scope="module")
def tutorial(inks: list[tuple[int, np.ndarray]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tutorial")
    records = [tutorial_record(ink, c) for c, ink in inks]
    for name, part in {"training": records[:40], "eval": records[40:]}.items():
        for shard in range(2):
            write(folder / f"{name}.tfrecord-{shard:05}-of-00002", part[shard::2])
        (folder / f"{name}.tfrecord.classes").write_text("".join(f"{c}\n" for c in CLASSES))
    return folder


def unit(ink: np.ndarray) -> np.ndarray:
    low, high = ink[:, :2].min(axis=0), ink[:, :2].max(axis=0)
    return 255 * (ink[:, :2] - low) / np.where(high > low, high - low, 1)


def test_reads_the_tutorials_records(tutorial: Path, inks: list[tuple[int, np.ndarray]]) -> None:
    dataset = load_dataset(tutorial, max_points=1000)
    assert dataset.labels == CLASSES
    counts = {split: len(d.inks) for split, d in dataset.splits.items()}
    assert counts["train"] + counts["valid"] == 40
    assert 0 < counts["valid"] < 12
    assert counts["test"] == 11
    expected = [*inks[40::2], *inks[41::2]]  # the shards one after the other
    test = dataset.splits["test"]
    assert test.classes.tolist() == [c for c, _ in expected]
    assert test.inks.points.dtype == np.int16
    for ours, (_, ink) in zip(test.inks, expected, strict=True):
        np.testing.assert_allclose(ours[:, :2], unit(ink), atol=0.51)
        np.testing.assert_array_equal(ours[1:, 2], ink[1:, 2])


def test_reads_some_classes_in_the_order_asked_for_and_some_drawings(tutorial: Path) -> None:
    dataset = load_dataset(tutorial, 16, labels=["alarm clock"], per_class=5)
    assert dataset.labels == ("alarm clock",)
    assert len(dataset.splits["train"].inks) == 5
    assert len(dataset.splits["test"].inks) == 6
    assert dataset.splits["test"].inks.lengths.max() == 16
    assert not dataset.splits["test"].classes.any()
    turned = load_dataset(tutorial, 256, labels=CLASSES[::-1]).splits["test"]
    assert turned.classes.tolist() == (1 - load_dataset(tutorial, 256).splits["test"].classes).tolist()
    with pytest.raises(FileNotFoundError, match="no drawing of the class 'cat'"):
        load_dataset(tutorial, 256, labels=["cat"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (record(class_index=ints(0)), "training.tfrecord-00000-of-00001: .*expected examples"),
        (b"cat", "Could not parse example"),
        (record(ink=tf.train.Feature(), shape=ints(1, 3), class_index=ints(0)), "shape and number of values differ"),
        (tutorial_record(np.zeros((2, 3)), 2), "a class_index of 2; the list has 2"),
        (tutorial_record(np.array([[0, 0, 0], [np.nan, 0, 0]]), 0), "beyond ±1 or not finite"),
    ],
)
def test_records_that_are_no_drawings_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path / "training.tfrecord-00000-of-00001", [content])
    with pytest.raises(DataError, match=r"training\.tfrecord\.classes is missing"):
        load_dataset(tmp_path, 256)
    (tmp_path / "training.tfrecord.classes").write_text("pig\nalarm clock\n")
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path, 256)


def test_a_file_cut_off_is_refused(tutorial: Path, tmp_path: Path) -> None:
    (tmp_path / "training.tfrecord.classes").write_text("pig\nalarm clock\n")
    path, whole = tmp_path / "training.tfrecord-00000-of-00001", tutorial / "training.tfrecord-00000-of-00002"
    path.write_bytes(whole.read_bytes()[:-7])
    with pytest.raises(DataError, match=r"00000-of-00001: truncated record"):
        load_dataset(tmp_path, 256)


def picture_record(picture: np.ndarray, label: int) -> bytes:
    png = tf.train.BytesList(value=[tf.io.encode_png(picture[..., None]).numpy()])
    return record(image=tf.train.Feature(bytes_list=png), label=ints(label))


@pytest.fixture
def bitmaps(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A folder as TFDS prepares it, and its pictures; they are of the classes 0, 1, 2, 0, 1, 2, …"""
    pictures = np.random.default_rng(0).integers(0, 256, (60, 28, 28), np.uint8)
    for shard in range(2):
        rows = range(shard * 30, shard * 30 + 30)
        path = tmp_path / f"quickdraw_bitmap-train.tfrecord-{shard:05}-of-00002"
        write(path, [picture_record(pictures[i], i % 3) for i in rows])
    (tmp_path / "label.labels.txt").write_text("cat\nalarm clock\npig\n")
    return tmp_path, pictures


def test_reads_tfds_bitmaps(bitmaps: tuple[Path, np.ndarray]) -> None:
    folder, pictures = bitmaps
    dataset = load_bitmaps(folder)
    assert dataset.labels == ("cat", "alarm clock", "pig")
    images = np.concatenate([part.images for part in dataset.splits.values()])
    classes = np.concatenate([part.classes for part in dataset.splits.values()])
    assert images.shape == (60, 28, 28)
    assert {split: len(part.images) for split, part in dataset.splits.items()} == {"train": 54, "valid": 5, "test": 1}
    for image, label in zip(images, classes, strict=True):
        place = np.flatnonzero((pictures == image).all(axis=(1, 2)))
        assert place % 3 == label


def test_reads_some_bitmaps(bitmaps: tuple[Path, np.ndarray]) -> None:
    dataset = load_bitmaps(bitmaps[0], labels=["pig", "cat"], per_class=4)
    assert dataset.labels == ("pig", "cat")
    classes = np.concatenate([part.classes for part in dataset.splits.values()])
    assert np.bincount(classes).tolist() == [4, 4]
    with pytest.raises(FileNotFoundError, match="no class 'dog'"):
        load_bitmaps(bitmaps[0], labels=["dog"])
    with pytest.raises(FileNotFoundError, match=r"no quickdraw_bitmap-train\.tfrecord"):
        load_bitmaps(bitmaps[0] / "elsewhere")


def test_other_pictures_are_refused(bitmaps: tuple[Path, np.ndarray]) -> None:
    path = bitmaps[0] / "quickdraw_bitmap-train.tfrecord-00001-of-00002"
    for content in (picture_record(np.zeros((5, 5), np.uint8), 0), record(label=ints(1))):
        write(path, [content])
        with pytest.raises(DataError, match=r"00001-of-00002: .*expected PNG pictures of 28 x 28 px"):
            load_bitmaps(bitmaps[0])
    write(path, [picture_record(np.zeros((28, 28), np.uint8), 3)])
    with pytest.raises(DataError, match=r"a label of 3; label\.labels\.txt has 3"):
        load_bitmaps(bitmaps[0])


@pytest.fixture(scope="module")
def pictured_shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of the recipe's own shapes, in a folder as TFDS prepares it."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "label.labels.txt").write_text("".join(f"{shape}\n" for shape in SHAPES))
    train = draw_dataset(100, 64, seed=1).splits["train"]
    pictures = np.asarray(render(*pad_inks(train.inks), side=28) * 255).round().astype(np.uint8)
    records = [picture_record(p, int(c)) for p, c in zip(pictures, train.classes, strict=True)]
    write(folder / "quickdraw_bitmap-train.tfrecord-00000-of-00001", records)
    return folder


def test_a_model_that_learned_from_pictures_is_served_on_strokes(pictured_shapes: Path, tmp_path: Path) -> None:
    changes = {"optimisation.epochs": 6, "optimisation.batch_size": 32, "model.channels": [8, 16, 32]}
    changes |= {"max_points": 64, "served_batches": [1], "measure_rounds": 1, "max_padding": 0.8}
    config = override_values(PRESETS["raster"], changes | {"optimisation.ema_momentum": 0.9})
    run = start_run("sketch", config, pictured_shapes, tmp_path / "runs")
    train(config, pictured_shapes, run)
    assert run.metrics["metrics"]["top1"] > 0.6
    version = export(run, tmp_path / "models")
    strokes = draw_dataset(120, 64, seed=2).splits["test"]
    answers = predict_all(load_predict(version), strokes)
    assert (answers.argmax(axis=1) == strokes.classes).mean() > 0.6


def test_only_a_raster_model_learns_from_pictures(pictured_shapes: Path, tmp_path: Path) -> None:
    run = start_run("sketch", PRESETS["lstm"], pictured_shapes, tmp_path)
    with pytest.raises(ConfigError, match="only a raster model"):
        train(PRESETS["lstm"], pictured_shapes, run)
