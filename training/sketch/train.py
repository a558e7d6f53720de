"""Trains a sketch classifier: data -> model -> fit -> measure -> report. `export.py` makes a version of it."""

from collections.abc import Sequence
from pathlib import Path

import keras

from training.recipe.errors import ConfigError
from training.recipe.fitting import fit
from training.recipe.run import Run, seed_everything
from training.sketch.batches import EpochStart, make_batches, open_batches
from training.sketch.config import Config
from training.sketch.data import draw_dataset, load_dataset
from training.sketch.distillation import Student
from training.sketch.drawings import BitmapDataset, Dataset, Drawings
from training.sketch.formats.bitmap import has_bitmaps, load_bitmaps
from training.sketch.judgement import ask_model, report
from training.sketch.model_config import RasterModel
from training.sketch.models.classifier import SketchClassifier, build_model, example_inputs

CACHE_DIR = Path("~/.cache/seqserve/drawings").expanduser()


def train(config: Config, data_dir: Path | None, run: Run) -> None:
    """Trains one classifier into the run's folder, or goes on with one that was killed.

    Args:
        config: a preset, or one of your own.
        data_dir: folder of Quick, Draw! files (see `load_dataset`); None draws shapes instead.
        run: where everything goes; see `Run`.

    Raises:
        ConfigError: the teacher's classes are not those of the data.
        DataError: a file is not what its format says.
        FileNotFoundError: `data_dir` holds no drawings.
    """
    dataset = open_dataset(config, data_dir)
    _fit(config, dataset, run, ())
    ask_model(load_model(run, config, len(dataset.labels)), config, dataset, data_dir, run)
    report(run, dataset, costs={}, versions=())


def fit_run(
    config: Config, data_dir: Path | None, run: Run, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> None:
    """The first half of `train`: leaves the weights in the run's folder, and judges nothing."""
    _fit(config, open_dataset(config, data_dir), run, callbacks)


def open_dataset(config: Config, data_dir: Path | None) -> Dataset | BitmapDataset:
    """The drawings that a run learns from and is measured on.

    Raises:
        ConfigError: the folder holds pictures, and the model reads strokes.
    """
    if data_dir is None:
        return draw_dataset(config.synthetic_per_class, config.max_points, config.seed)
    labels = config.classes or None
    if has_bitmaps(data_dir):
        if not isinstance(config.model, RasterModel):
            raise ConfigError(f"{data_dir} holds pictures without strokes; only a raster model reads those")
        return load_bitmaps(data_dir, labels, config.per_class)
    cache_dir = CACHE_DIR if config.cache else None
    return load_dataset(data_dir, config.max_points, labels, cache_dir, config.per_class, config.recognized_only)


def load_model(run: Run, config: Config, classes: int) -> SketchClassifier:
    """The model that a run trained, in float32."""
    model = build_model(config, classes)
    model.load_weights(run.weights)
    return model


def _fit(
    config: Config, dataset: Dataset | BitmapDataset, run: Run, callbacks: Sequence[keras.callbacks.Callback]
) -> None:
    if run.weights.is_file():
        return
    optimisation, classes = config.optimisation, len(dataset.labels)
    on_jax = keras.backend.backend() == "jax"
    train_split, valid_split = dataset.splits["train"], dataset.splits["valid"]
    seed_everything(config.seed, optimisation.deterministic)
    teacher = _load_teacher(config, dataset.labels) if config.distillation.teacher else None
    keras.config.set_dtype_policy(optimisation.precision)
    try:
        model, batches = build_model(config, classes), make_batches(train_split, classes, config, training=True)
        if isinstance(train_split, Drawings):
            model.adapt(train_split.inks)
        fit(
            _teach(model, teacher, config) if teacher else model,
            optimisation,
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=optimisation.label_smoothing),
            lambda first_epoch: open_batches(batches, first_epoch),
            open_batches(make_batches(valid_split, classes, config)),
            len(batches),
            run,
            metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
            callbacks=[*callbacks, EpochStart(batches)] if on_jax else callbacks,
            jit=config.jit or on_jax,
        )
        run.keep_weights(model)
    finally:
        keras.config.set_dtype_policy("float32")


def _load_teacher(config: Config, labels: tuple[str, ...]) -> SketchClassifier:
    """In float32, whatever the student learns in."""
    taught = Run(Path(config.distillation.teacher))
    known = tuple(taught.metrics["labels"])
    if known != labels:
        raise ConfigError(f"the teacher knows {len(known)} classes from '{known[0]}' on, the data {len(labels)} others")
    return load_model(taught, taught.read_config(Config), len(labels))


def _teach(model: SketchClassifier, teacher: SketchClassifier, config: Config) -> keras.Model:
    student = Student(model, teacher, config.distillation)
    student(example_inputs())
    return student
