"""Trains a camera-motion classifier: render -> model -> fit -> measure. `export.py` makes a version of it."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from training.recipe.errors import ConfigError
from training.recipe.fitting import fit
from training.recipe.run import Run, seed_everything
from training.video.config import Config
from training.video.data import render_dataset, render_luma, sample_batches
from training.video.evaluate import CHECK_SEED, make_predict, measure, predict_all
from training.video.model import build_model, normalize_luma
from training.video.rendered.camera import LABELS
from training.video.rendered.photographs import film_photographs
from training.video.rendered.textures import UNSEEN_FAMILIES


def train(config: Config, data_dir: Path | None, run: Run) -> None:
    """Trains one classifier into the run's folder, or goes on with one that was killed.

    Args:
        config: a preset, or one of your own.
        data_dir: not used; the clips are rendered.
        run: where everything goes; see `Run`.

    Raises:
        ConfigError: Keras does not run on TensorFlow.
    """
    fit_run(config, data_dir, run)
    predict = make_predict(load_model(run, config))
    clips, classes = render_check(config)
    answers = predict_all(predict, clips)
    metrics = measure(answers, classes)
    if config.photograph_clips:
        photographs, moved = film_photographs(CHECK_SEED, config.photograph_clips, config.shape)
        metrics |= measure(predict_all(predict, photographs), moved, "photograph_")
    np.savez(run.answers, unseen=answers)
    run.record({"labels": list(LABELS), "metrics": metrics})
    print("  ".join(f"{name} {value:.3f}" for name, value in metrics.items()))


def fit_run(
    config: Config, data_dir: Path | None, run: Run, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> None:
    """The first half of `train`: leaves the weights in the run's folder, and judges nothing."""
    if run.weights.is_file():
        return
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(f"the classifier trains on TensorFlow only, KERAS_BACKEND is '{keras.backend.backend()}'")
    optimisation = config.optimisation
    seed_everything(config.seed, optimisation.deterministic)
    model = build_model(config)
    clips, classes = render_luma(config, 0, config.clips)
    fit(
        model,
        optimisation,
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=optimisation.label_smoothing),
        lambda first_epoch: _open_batches(config, clips, classes, first_epoch),
        _open_validation(config),
        len(clips) // optimisation.batch_size,
        run,
        metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
        callbacks=callbacks,
        jit=False,
    )
    run.keep_weights(model)


def load_model(run: Run, config: Config) -> keras.Model:
    """The model that a run trained."""
    model = build_model(config)
    model.load_weights(run.weights)
    return model


def render_check(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """The clips that a run is measured on, of textures that it has not seen; as of `render_dataset`."""
    return render_dataset(CHECK_SEED, config.check_clips, UNSEEN_FAMILIES, config.shape, config.workers)


def _open_batches(config: Config, clips: np.ndarray, classes: np.ndarray, first_epoch: int) -> tf.data.Dataset:
    """Training examples; every pass is the next epoch."""
    epochs = itertools.count(first_epoch)

    def sample() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield from sample_batches(config, clips, classes, next(epochs))

    spec = (tf.TensorSpec([None, *clips.shape[1:]], tf.uint8), tf.TensorSpec([None], tf.int64))
    dataset = tf.data.Dataset.from_generator(sample, output_signature=spec).map(_to_example)
    steps = len(clips) // config.optimisation.batch_size
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(4)


def _open_validation(config: Config) -> tf.data.Dataset:
    clips, classes = render_luma(config, config.clips, config.valid_clips)
    dataset = tf.data.Dataset.from_tensor_slices((clips, classes))
    return dataset.batch(config.optimisation.batch_size).map(_to_example)


def _to_example(clips: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Luma uint8 [batch, frames, height, width] -> normalised luma of that shape, one-hot [batch, labels]."""
    return normalize_luma(clips), tf.one_hot(classes, len(LABELS))
