"""The families of the sketch recipe: blind for padding, and every switch of theirs does what it says."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image, ImageDraw

from training.recipe.config import override
from training.recipe.run import Run, seed_everything, start_run
from training.sketch import train as recipe
from training.sketch.batches import Batches
from training.sketch.config import FAMILIES, PRESETS, Config
from training.sketch.data import draw_dataset
from training.sketch.drawings import Dataset
from training.sketch.ink import pad_inks
from training.sketch.model_config import RecurrentModel
from training.sketch.models.classifier import SketchClassifier, build_model
from training.sketch.models.raster import render
from training.sketch.models.recurrent import AttentionPooling, RecurrentEncoder
from training.sketch.models.strokes import ConvolutionStem, StrokeFeatures, box_place

SMALL = {
    "recurrent": ["model.units=8", "model.dropout=0.5"],
    "transformer": ["model.width=16", "model.layers=2", "model.dropout=0.5"],
    "raster": ["model.channels=[4,8]", "model.dropout=0.5"],
    "fusion": ["model.sequence.units=8", "model.raster.channels=[4,8]", "model.dropout=0.5"],
}
TINY = override(
    PRESETS["smoke"],
    [
        "model.channels=[8]",
        "model.units=8",
        "optimisation.epochs=2",
        "optimisation.batch_size=24",
        "synthetic_per_class=12",
        "max_points=64",
    ],
)
CARRYING = ["model.truncation=stateful", "model.bidirectional=false", "model.channels=[]", "model.pooling=last"]


def shrink(config: Config) -> Config:
    return override(config, SMALL[config.model.family])


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return draw_dataset(12, 64, seed=5)


@pytest.fixture(scope="module")
def drawings(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Ink and lengths of some drawings, a dot among them."""
    inks = dataset.splits["train"].inks
    return pad_inks([np.array([[7, 9, 1]], np.float32), *(inks[i] for i in range(0, len(inks), 17))])


def make_model(config: Config, seed: int = 0) -> SketchClassifier:
    """Every weight is drawn, as after some training."""
    seed_everything(seed)
    model = build_model(config, 5)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.path.endswith("moving_variance"):
            weight.assign(rng.uniform(0.5, 2, weight.shape))
        elif "seed" not in weight.path and "unit" not in weight.path.rpartition("/")[2]:
            weight.assign(weight + rng.normal(0, 0.2, weight.shape))
    return model


def ask(model: keras.Model, ink: np.ndarray, lengths: np.ndarray, training: bool = False) -> np.ndarray:
    return np.asarray(ops.softmax(model({"ink": ink, "lengths": lengths}, training=training)))


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_cannot_change_an_answer(family: str, drawings: tuple[np.ndarray, np.ndarray]) -> None:
    ink, lengths = drawings
    model = make_model(shrink(FAMILIES[family]))
    answers = ask(model, ink, lengths)
    assert np.ptp(answers, axis=0).max() > 0.01, "all drawings have one answer"
    junk = np.random.default_rng(0).normal(0, 1e3, ink.shape).astype(np.float32)
    dirty = np.where(np.arange(ink.shape[1])[None, :, None] < lengths[:, None, None], ink, junk)
    np.testing.assert_allclose(ask(model, dirty, lengths), answers, atol=1e-5)
    longer = np.pad(dirty, ((0, 0), (0, 37), (0, 0)), constant_values=-400)
    np.testing.assert_allclose(ask(model, longer, lengths), answers, atol=1e-5)
    for row in (0, 3):
        alone = ask(model, ink[row : row + 1, : lengths[row]], lengths[row : row + 1])
        np.testing.assert_allclose(alone[0], answers[row], atol=1e-5)


@pytest.mark.parametrize("family", ["gru", "transformer", "raster", "fusion"])
def test_dropout_is_for_training_only(family: str, drawings: tuple[np.ndarray, np.ndarray]) -> None:
    model = make_model(shrink(FAMILIES[family]))
    np.testing.assert_array_equal(ask(model, *drawings), ask(model, *drawings))
    first, second = (ask(model, *drawings, training=True) for _ in range(2))
    assert np.abs(first - second).max() > 0.01
    none = make_model(override(FAMILIES[family], [*SMALL[FAMILIES[family].model.family][:-1], *no_dropout(family)]))
    np.testing.assert_array_equal(*(ask(none, *drawings, training=True) for _ in range(2)))


def no_dropout(family: str) -> list[str]:
    parts = ("model.", "model.sequence.", "model.raster.") if family == "fusion" else ("model.",)
    return [f"{part}dropout=0" for part in parts]


def test_dropout_reaches_the_recurrent_layers(drawings: tuple[np.ndarray, np.ndarray]) -> None:
    encoder = RecurrentEncoder(RecurrentModel(channels=(), units=8, dropout=0.0, recurrent_dropout=0.5))
    still = RecurrentEncoder(RecurrentModel(channels=(), units=8, dropout=0.0))
    for layer, same in ((encoder, False), (still, True)):
        first, second = (np.asarray(layer(*drawings, training=True)) for _ in range(2))
        assert np.array_equal(first, second) == same
        np.testing.assert_array_equal(layer(*drawings), layer(*drawings))


def test_input_normalised_by_its_box(drawings: tuple[np.ndarray, np.ndarray]) -> None:
    ink, lengths = drawings
    features = StrokeFeatures("box")
    expected = np.asarray(features(ink, lengths))
    moved = ink * np.array([3, 3, 1], np.float32) + np.array([500, -90, 0], np.float32)
    np.testing.assert_allclose(features(moved, lengths), expected, atol=1e-3)
    for row, n in enumerate(lengths):
        place = expected[row, :n, :2]
        assert np.ptp(place, axis=0).max() == pytest.approx(2 if n > 1 else 0, abs=1e-5)
        np.testing.assert_allclose(place.min(axis=0) + place.max(axis=0), 0, atol=1e-5)
        assert not expected[row, n:].any()


def test_input_normalised_by_the_spread_of_the_training_set(dataset: Dataset) -> None:
    inks = dataset.splits["train"].inks
    model = build_model(override(TINY, ["model.input_normalization=standard"]), 5)
    model.adapt(inks)
    ink, lengths = pad_inks(inks)
    features = np.asarray(model.encoders[0].features(ink, lengths))
    within = (np.arange(ink.shape[1]) < lengths[:, None]) & (features[..., 8] == 0)  # no step to a new stroke
    assert features[..., 2:4][within].std() == pytest.approx(1, abs=1e-3)
    assert not features[:, 0, :2].any()
    moved = ink + np.array([500, -90, 0], np.float32)
    np.testing.assert_allclose(model.encoders[0].features(moved, lengths), features, atol=1e-3)
    larger = np.asarray(model.encoders[0].features(ink * np.array([3, 3, 1], np.float32), lengths))
    np.testing.assert_allclose(larger[..., 2:4], 3 * features[..., 2:4], atol=1e-3)


def test_input_left_as_it_is(drawings: tuple[np.ndarray, np.ndarray]) -> None:
    ink, lengths = drawings
    features = np.asarray(StrokeFeatures("none")(ink, lengths))
    np.testing.assert_allclose(features[..., :2], ink[..., :2] / 255, atol=1e-6)
    np.testing.assert_array_equal(features[..., 7], ink[..., 2])


def test_attention_weighs_the_real_steps_and_sums_to_one() -> None:
    pool = AttentionPooling()
    lengths = np.array([6, 2, 1], np.int32)
    real = (np.arange(6) < lengths[:, None])[..., None]
    pool(np.zeros((3, 6, 4), np.float32), lengths)
    rng = np.random.default_rng(0)
    for weight in pool.weights:
        weight.assign(rng.normal(0, 2, weight.shape))
    same = np.where(real, np.float32([1, -2, 3, 0.5]), np.float32(1e3))
    np.testing.assert_allclose(pool(same, lengths), np.tile([1, -2, 3, 0.5], (3, 1)), rtol=1e-5)
    x = np.where(real, rng.normal(size=(3, 6, 4)), 0).astype(np.float32)
    score = np.tanh(x[0] @ np.asarray(pool.project.kernel) + np.asarray(pool.project.bias))
    score = (score @ np.asarray(pool.score.kernel))[:, 0]
    weights = np.exp(score) / np.exp(score).sum()
    assert weights.max() > 2 / 6, "a plain mean"
    np.testing.assert_allclose(pool(x, lengths)[0], weights @ x[0], rtol=1e-4)


def test_convolutions_halve_the_steps_and_see_no_padding() -> None:
    stem = ConvolutionStem((3, 4))
    x = np.random.default_rng(0).normal(size=(4, 9, 2)).astype(np.float32)
    lengths = np.array([9, 8, 5, 1], np.int32)
    x[np.arange(9) >= lengths[:, None]] = 0
    outputs, shorter = stem(x, lengths)
    assert outputs.shape == (4, 3, 4)
    assert np.asarray(shorter).tolist() == [3, 2, 2, 1]
    kernel, norm = np.asarray(stem.convolutions[0].kernel), stem.norms[0]
    padded = np.pad(x[0], ((2, 2), (0, 0)))
    first = np.array([np.tensordot(padded[2 * i : 2 * i + 5], kernel, 2) for i in range(5)])
    once = ConvolutionStem((3,))
    once(x, lengths)
    once.convolutions[0].kernel.assign(kernel)
    np.testing.assert_allclose(once(x, lengths)[0][0], ops.gelu(norm(first)), atol=1e-5)
    for row, n in enumerate(lengths):
        alone, _ = stem(x[row : row + 1, :n], lengths[row : row + 1])
        np.testing.assert_allclose(alone[0], outputs[row, : len(alone[0])], atol=1e-6)
        assert not np.asarray(outputs[row, len(alone[0]) :]).any()


def test_render_draws_what_a_fine_pen_draws(dataset: Dataset) -> None:
    """Against lines with round ends on a canvas of 16 times as many pixels: within 0.012 on the mean, 0.1 along a
    line, and 0.45 at single pixels where lines meet, since the nearest one alone tells the brightness there."""
    line = np.array([[10, 20, 0], [250, 140, 1]], np.float32)
    two = np.array([[10, 20, 0], [250, 140, 1], [20, 200, 0], [100, 190, 1]], np.float32)
    inks = [line, two, *(dataset.splits["test"].inks[i] for i in range(0, 24, 3))]
    ink, lengths = pad_inks(inks)
    for side in (28, 48):
        pictures = np.asarray(render(ink, lengths, side))
        place = np.asarray(box_place(ops.convert_to_tensor(ink[..., :2]), lengths))
        for row, n in enumerate(lengths):
            expected = draw_finely(place[row, :n], ink[row, :n, 2], side, fine=16)
            error = np.abs(pictures[row] - expected)
            assert expected.max() > 0.9
            assert error.mean() < 0.012, (side, row, error.mean())
            assert error.max() < (0.1 if row < 2 else 0.45), (side, row, error.max())


def draw_finely(place: np.ndarray, pen: np.ndarray, side: int, fine: int) -> np.ndarray:
    scale = side * fine / 304
    points, radius = (place * 255 / 2 + 152) * scale, 8 * scale
    picture = Image.new("L", (side * fine, side * fine))
    pencil = ImageDraw.Draw(picture)
    starts = np.r_[True, pen[:-1] > 0]
    for i, (x, y) in enumerate(points):
        pencil.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        if not starts[i]:
            pencil.line((*points[i - 1], x, y), fill=255, width=round(2 * radius))
    return np.asarray(picture, np.float32).reshape(side, fine, side, fine).mean(axis=(1, 3)) / 255


def test_a_raster_model_takes_pictures_in_place_of_ink(drawings: tuple[np.ndarray, np.ndarray]) -> None:
    model = make_model(shrink(FAMILIES["raster"]))
    ink, lengths = (ops.convert_to_tensor(part) for part in drawings)
    answers = np.asarray(ops.softmax(model({"image": render(ink, lengths, 28)})))
    np.testing.assert_allclose(answers, ask(model, *drawings), atol=1e-6)


def make_windows(cell: str, dataset: Dataset) -> tuple[RecurrentEncoder, dict[str, np.ndarray]]:
    encoder = RecurrentEncoder(
        RecurrentModel(
            cell=cell,
            channels=(),
            units=8,
            layers=2,
            bidirectional=False,
            pooling="last",
            truncation="stateful",
            truncate_steps=8,
            input_normalization="none",
        ),
        batch_size=6,
    )
    ink, lengths = pad_inks([dataset.splits["train"].inks[i] for i in range(0, 60, 10)], points=64)
    return encoder, {"ink": ink, "lengths": lengths}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_reading_window_by_window_is_reading_at_once(cell: str, dataset: Dataset) -> None:
    encoder, inputs = make_windows(cell, dataset)
    at_once = np.asarray(encoder(**inputs))
    for _ in range(2):  # the first window forgets what was carried
        for window in range(8):
            read = np.asarray(encoder(**inputs, window=np.full(6, window, np.int32)))
            ended = inputs["lengths"] <= 8 * (window + 1)
            np.testing.assert_allclose(read[ended], at_once[ended], atol=1e-5)
    assert np.abs(np.asarray(encoder.carried[0][0])).max() > 0.01


def test_a_step_of_a_window_learns_from_that_window_only(dataset: Dataset) -> None:
    import tensorflow as tf

    encoder, inputs = make_windows("gru", dataset)
    encoder(**inputs)
    encoder(**inputs, window=np.zeros(6, np.int32))
    ink = tf.constant(inputs["ink"])
    with tf.GradientTape() as tape:
        tape.watch(ink)
        read = encoder(ink, inputs["lengths"], window=np.ones(6, np.int32))
    reached = np.abs(tape.gradient(read, ink)).sum(axis=(0, 2)) > 0
    assert reached[8:16].all()
    assert not reached[:7].any()  # a step is told from the point before, too
    assert not reached[16:].any()


class Windows(keras.callbacks.Callback):  # type: ignore[misc]
    """Counts the optimizer's steps, and keeps the model that is trained."""

    def on_train_end(self, logs: Any = None) -> None:
        self.steps, self.trained = int(self.model.optimizer.iterations), self.model


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_stateful_training_makes_a_step_per_window(tmp_path: Path, precision: str) -> None:
    config = override(TINY, [*CARRYING, "model.truncate_steps=8", f"optimisation.precision={precision}"])
    train_split = draw_dataset(12, 64, config.seed).splits["train"]
    batches = Batches(train_split, 8, config, training=True)
    assert len(batches) == sum(-(-train_split.inks.lengths[rows].max() // 8) for rows in batches.batches)
    assert {len(rows) for rows in batches.batches} == {24}
    counting, run = Windows(), start_run("sketch", config, None, tmp_path)
    recipe.fit_run(config, None, run, [counting])
    assert counting.steps == 2 * len(batches)
    assert np.isfinite(run_answers(run, config)).all()


def test_batches_for_carried_states(dataset: Dataset) -> None:
    config = override(TINY, [*CARRYING, "model.truncate_steps=8", "optimisation.batch_size=20"])
    drawings = dataset.splits["train"]
    lengths = drawings.inks.lengths
    batches = Batches(drawings, 8, config, training=True)
    rows = np.concatenate(batches.batches)
    assert len(rows) == len(set(rows)) == 80
    by_length = np.argsort(lengths, kind="stable")
    assert {by_length[0], by_length[-1]} <= set(rows), "the longest are never seen"
    order = [number for number, window in batches.items if window == 0]
    batches.on_epoch_end()
    again = [number for number, window in batches.items if window == 0]
    assert sorted(order) == sorted(again) == list(range(4))
    (inputs, _, weights), (number, window) = batches[1], batches.items[1]
    assert (window, inputs["window"].tolist()) == (1, [1] * 20)
    assert inputs["ink"].shape[1] % 8 == 0
    np.testing.assert_array_equal(weights, inputs["lengths"] > 8)
    same = batches.make_batch(number, 0)[0]
    np.testing.assert_array_equal(same["ink"], inputs["ink"])


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A trained run, in half the bits, by gradients that end at windows' boundaries."""
    config = override(
        TINY,
        [
            "optimisation.precision=mixed_bfloat16",
            "model.truncation=windowed",
            "model.truncate_steps=4",
            "model.normalization=layer",
            "model.pooling=attention",
        ],
    )
    run = start_run("sketch", config, None, tmp_path_factory.mktemp("runs"))
    recipe.train(config, None, run)
    return run


def run_answers(run: Run, config: Config) -> np.ndarray:
    ink, lengths = pad_inks(draw_dataset(2, 64, seed=9).splits["train"].inks)
    return ask(recipe.load_model(run, config, 8), ink, lengths)


def test_what_was_trained_in_half_the_bits_is_judged_in_all(teacher: Run) -> None:
    config = teacher.read_config(Config)
    model = recipe.load_model(teacher, config, 8)
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert {layer.compute_dtype for layer in model._flatten_layers()} == {"float32"}
    with np.load(teacher.answers) as answers:
        drawings = draw_dataset(12, 64, config.seed).splits["test"]
        ink, lengths = pad_inks(drawings.inks)
        np.testing.assert_allclose(ask(model, ink, lengths), answers["test"], atol=1e-5)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = build_model(config, 8)
    finally:
        keras.config.set_dtype_policy("float32")
    assert half.encoders[0].recurrent[0].compute_dtype == "bfloat16"
    assert {weight.dtype for weight in half.trainable_weights} == {"float32"}
    assert half.classify.compute_dtype == half.encoders[0].features.compute_dtype == "float32"
    half.load_weights(teacher.weights)
    difference = np.abs(ask(half, ink, lengths) - ask(model, ink, lengths)).max()
    assert 0 < difference < 0.05
    assert keras.config.dtype_policy().name == "float32"


class Capture:
    """Takes the place of `fit`: keeps what the recipe asks for."""

    def __call__(self, model: keras.Model, optimisation: Any, loss: Any, *rest: Any, **options: Any) -> None:
        self.model, self.loss = model, loss


def capture(config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Capture:
    captured = Capture()
    monkeypatch.setattr(recipe, "fit", captured)
    recipe.fit_run(config, None, start_run("sketch", config, None, folder))
    return captured


def test_labels_are_smoothed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = capture(override(TINY, ["optimisation.label_smoothing=0.2"]), tmp_path, monkeypatch).loss
    logits = np.array([[2.0, 1.0, 0.0, -1.0]])
    log_probabilities = logits - np.log(np.exp(logits).sum())
    expected = -(log_probabilities * [0.85, 0.05, 0.05, 0.05]).sum()
    assert float(loss(np.array([[1.0, 0, 0, 0]]), logits)) == pytest.approx(expected, rel=1e-5)


def test_a_student_learns_from_its_teacher(teacher: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = override(
        TINY,
        [
            f"distillation.teacher={teacher.folder}",
            "distillation.weight=0.6",
            "distillation.temperature=3",
            "optimisation.label_smoothing=0",
        ],
    )
    student = capture(config, tmp_path, monkeypatch).model
    student.compile(loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    inputs, labels, weights = Batches(draw_dataset(12, 64, 7).splits["train"], 8, config, training=True)[0]
    weights = np.where(np.arange(len(weights)) % 3, weights, 0).astype(np.float32)
    logits = np.asarray(student(inputs))
    told = np.asarray(recipe.load_model(teacher, teacher.read_config(Config), 8)(inputs))

    def log_softmax(x: np.ndarray) -> np.ndarray:
        return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))

    hard = -(labels * log_softmax(logits)).sum(axis=-1)
    soft = -(np.exp(log_softmax(told / 3)) * log_softmax(logits / 3)).sum(axis=-1) * 9
    expected = np.mean(weights * (0.4 * hard + 0.6 * soft))
    assert float(student.compute_loss(inputs, labels, logits, weights)) == pytest.approx(expected, rel=1e-4)
    validated = float(student.compute_loss(inputs, labels, logits, weights, training=False))
    assert validated == pytest.approx(np.mean(weights * hard), rel=1e-4)
    windowed = inputs | {"window": np.zeros(len(weights), np.int32)}  # of a student that reads by windows
    assert float(student.compute_loss(windowed, labels, logits, weights)) == pytest.approx(expected, rel=1e-4)


def test_a_teacher_stays_as_it_is_and_is_not_saved(teacher: Run, tmp_path: Path) -> None:
    config = override(TINY, [f"distillation.teacher={teacher.folder}", "optimisation.epochs=1", "model.units=4"])
    watch, run, before = Windows(), start_run("sketch", config, None, tmp_path), teacher.weights.read_bytes()
    asked = run_answers(teacher, teacher.read_config(Config))
    recipe.fit_run(config, None, run, [watch])
    student = watch.trained
    assert student.count_params() == build_model(config, 8).count_params()
    ink, lengths = pad_inks(draw_dataset(2, 64, seed=9).splits["train"].inks)
    told = np.asarray(ops.softmax(student._ask({"ink": ink, "lengths": lengths})))
    np.testing.assert_array_equal(told, asked)
    assert teacher.weights.read_bytes() == before
    assert run_answers(run, config).shape == asked.shape


def test_a_teacher_of_other_classes_is_refused(teacher: Run, tmp_path: Path) -> None:
    stranger = Run(tmp_path / "stranger")
    stranger.folder.mkdir()
    (stranger.folder / "config.json").write_bytes((teacher.folder / "config.json").read_bytes())
    stranger.record({"labels": ["ant", "pig"], "metrics": {}})
    config = replace(TINY, distillation=replace(TINY.distillation, teacher=str(stranger.folder)))
    with pytest.raises(ValueError, match=r"the teacher knows 2 classes from 'ant' on"):
        recipe.fit_run(config, None, start_run("sketch", config, None, tmp_path))
