"""Trains the forecaster: data -> model -> fit -> measure. `export.py` makes a version of it."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from training.forecast.config import CONTEXT, HORIZON, QUANTILE_LEVELS, Config
from training.forecast.data import Pool, Series, Windows, fill_pool, load_series, sample_batches, validation_windows
from training.forecast.evaluate import evaluate_forecasts
from training.forecast.features import Features, build_features
from training.forecast.model import build_model, forecast
from training.forecast.synthetic import generate_windows
from training.forecast.window import open_window
from training.recipe.errors import ConfigError
from training.recipe.fitting import fit
from training.recipe.run import Run, seed_everything

TARGET_LIMIT = 50.0  # on the window's scale; a spike beyond teaches no more


def train(config: Config, data_dir: Path | None, run: Run) -> None:
    """Trains one forecaster into the run's folder, or goes on with one that was killed.

    Args:
        config: a preset, or one of your own.
        data_dir: the data pack (its folder `series`); None makes synthetic series only.
        run: where everything goes; see `Run`.

    Raises:
        ConfigError: Keras does not run on TensorFlow.
        FileNotFoundError: a series of the data pack is not there.
    """
    series = open_series(data_dir)
    _fit(config, series, run, ())
    model = load_model(run, config)
    metrics = evaluate_forecasts(tf.function(lambda inputs: forecast(model, inputs)), series)
    run.record({"metrics": metrics})
    print("  ".join(f"{name} {metrics[name]:.3f}" for name in ("mae_to_lag7_geometric_mean", "coverage_80_mean")))


def fit_run(
    config: Config, data_dir: Path | None, run: Run, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> None:
    """The first half of `train`: leaves the weights in the run's folder, and judges nothing."""
    _fit(config, open_series(data_dir), run, callbacks)


def open_series(data_dir: Path | None) -> list[Series]:
    """The series that a run learns from and is measured on; none where it makes its own."""
    return load_series(data_dir / "series") if data_dir else []


def load_model(run: Run, config: Config) -> keras.Model:
    """The model that a run trained."""
    model = build_model(config)
    model.load_weights(run.weights)
    return model


def _fit(config: Config, series: list[Series], run: Run, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    if run.weights.is_file():
        return
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(f"the forecaster trains on TensorFlow only, KERAS_BACKEND is '{keras.backend.backend()}'")
    seed_everything(config.seed, config.optimisation.deterministic)
    model, pool = build_model(config), fill_pool(config, series)
    fit(
        model,
        config.optimisation,
        pinball_loss,
        lambda first_epoch: _open_batches(config, pool, first_epoch),
        tf.data.Dataset.from_tensors(_validation(config, series)).map(to_example).cache(),
        config.steps_per_epoch,
        run,
        callbacks=callbacks,
        jit="auto" if config.jit else False,
    )
    run.keep_weights(model)


def _validation(config: Config, series: list[Series]) -> Windows:
    return validation_windows(series) if series else generate_windows(1000, config.seed + 1)


def _open_batches(config: Config, pool: Pool, first_epoch: int) -> tf.data.Dataset:
    """Training examples; every pass is the next epoch."""
    epochs = itertools.count(first_epoch)

    def sample() -> Iterator[Windows]:
        yield from sample_batches(config, pool, next(epochs))

    signature = (tf.TensorSpec([None, CONTEXT + HORIZON], tf.float64), tf.TensorSpec([None], tf.int32))
    dataset = tf.data.Dataset.from_generator(sample, output_signature=signature)
    dataset = dataset.map(to_example, num_parallel_calls=2, deterministic=True)
    return dataset.apply(tf.data.experimental.assert_cardinality(config.steps_per_epoch)).prefetch(4)


def to_example(values: tf.Tensor, first_day: tf.Tensor) -> tuple[Features, tf.Tensor, tf.Tensor]:
    """Values [B, context + 7] -> features, targets on the window's scale [B, 7], weights [B, 7].

    A week counts by its own difficulty, so that calm and wild series teach alike. Scale and
    location come from the context alone.
    """
    window = open_window(values[:, :CONTEXT])
    features = build_features(window, first_day)
    future = values[:, CONTEXT:]
    known = tf.math.is_finite(future) & (window.scale > 0)
    target = tf.clip_by_value(window.normalise(tf.where(known, future, 0)), -TARGET_LIMIT, TARGET_LIMIT)
    weight = tf.cast(known, tf.float32) / tf.maximum(features["unsteadiness"], 0.1)
    return features, tf.cast(target, tf.float32), weight


def pinball_loss(target: tf.Tensor, quantiles: tf.Tensor) -> tf.Tensor:
    """Mean pinball loss over members and levels. [B, 7], [B, members, 7, levels] -> [B, 7]."""
    error = target[:, None, :, None] - quantiles
    levels = tf.constant(QUANTILE_LEVELS, tf.float32)
    return tf.reduce_mean(tf.maximum(levels * error, (levels - 1) * error), axis=(1, 3))
