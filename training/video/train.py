"""Trains a video classifier: data -> model -> fit -> measure -> report. `export.py` makes a version of it."""

from collections.abc import Sequence
from pathlib import Path

import keras

from training.recipe.errors import ConfigError, DataError
from training.recipe.fitting import fit
from training.recipe.run import Run, seed_everything
from training.video.augmentation import make_augmenter
from training.video.batches import open_batches, open_validation
from training.video.config import Config
from training.video.dataset import Dataset, open_dataset
from training.video.judgement import ask_model, report
from training.video.models.classifier import VideoClassifier, build_model


def train(config: Config, data_dir: Path | None, run: Run) -> None:
    """Trains one classifier into the run's folder, or goes on with one that was killed.

    Args:
        config: a preset, or one of your own.
        data_dir: folder of videos, see `list_videos`; None renders clips of how a camera moves.
        run: where everything goes; see `Run`.

    Raises:
        ConfigError: Keras does not run on TensorFlow, or the configuration does not fit the data.
        DataError: there are no videos, or one or a list of them is not what its format says.
    """
    dataset = open_dataset(config, data_dir)
    _fit(config, dataset, run, ())
    ask_model(load_model(run, config, len(dataset.labels)), config, dataset, run)
    report(run, dataset, costs={}, versions=())


def fit_run(
    config: Config, data_dir: Path | None, run: Run, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> None:
    """The first half of `train`: leaves the weights in the run's folder, and judges nothing."""
    _fit(config, open_dataset(config, data_dir), run, callbacks)


def load_model(run: Run, config: Config, classes: int) -> VideoClassifier:
    """The model that a run trained."""
    model = build_model(config, classes)
    model.load_weights(run.weights)
    return model


def _fit(config: Config, dataset: Dataset, run: Run, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    if run.weights.is_file():
        return
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(f"the classifier trains on TensorFlow only, KERAS_BACKEND is '{keras.backend.backend()}'")
    optimisation, classes = config.optimisation, len(dataset.labels)
    augmenter = make_augmenter(config.augmentation, dataset.labels)
    seed_everything(config.seed, optimisation.deterministic)
    model, clips = build_model(config, classes), dataset["train"]
    if len(clips) < optimisation.batch_size:
        size = optimisation.batch_size
        raise DataError(f"there are {len(clips)} clips to train on, fewer than optimisation.batch_size, {size}")
    fit(
        model,
        optimisation,
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=optimisation.label_smoothing),
        lambda first_epoch: open_batches(clips, classes, config, augmenter, first_epoch),
        open_validation(dataset["valid"], classes, config),
        len(clips) // optimisation.batch_size,
        run,
        metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
        callbacks=callbacks,
        jit=False,
    )
    run.keep_weights(model)
