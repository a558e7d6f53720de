"""Trains the forecaster: data -> model -> fit -> measure. `export.py` makes a version of it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from training.forecast.batches import make_example, open_batches, watch
from training.forecast.calibration import UNCALIBRATED, fit_factors
from training.forecast.config import CONTEXT, HORIZON, QUANTILE_LEVELS, Config
from training.forecast.data import Series, fill_pool, find_answerable, group_by_source, open_series
from training.forecast.evaluate import Serve, ask, judge
from training.forecast.measures import Weeks
from training.forecast.models.forecaster import build_model, forecast
from training.forecast.report import Material, write_forecast_report
from training.recipe.errors import ConfigError
from training.recipe.fitting import fit
from training.recipe.publication import Version
from training.recipe.run import Run, read_history, seed_everything


def train(config: Config, data_dir: Path | None, run: Run) -> None:
    """Trains one forecaster into the run's folder, or goes on with one that was killed.

    Args:
        config: a preset, or one of your own.
        data_dir: a file or a folder of daily series, see docs/training.md; None makes synthetic series only.
        run: where everything goes; see `Run`.

    Raises:
        ConfigError: Keras does not run on TensorFlow, or a source that is left out is not there.
        DataError: a file cannot be read as daily series.
    """
    series = open_series(data_dir, config.columns)
    _check_left_out(config, series)
    _fit(config, series, run, ())
    model = load_model(run, config)
    factors = _calibrate(model, config, series)
    sources = judge(tf.function(lambda inputs: forecast(model, config, inputs, factors)), series)
    metrics = {name: value for name, value in report(run, sources, {}, []).items() if math.isfinite(value)}
    run.record({"metrics": metrics, "factors": factors})
    told = ("mae_to_lag7_geometric_mean", "coverage_80_mean", "coverage_95_mean")
    print("  ".join(f"{name} {metrics.get(name, math.nan):.3f}" for name in told))


def report(
    run: Run, sources: Sequence[Weeks], costs: Mapping[str, float], versions: Sequence[Version]
) -> dict[str, float]:
    """Writes the run's report; costs are known once it was exported. Returns the metrics of `sources`."""
    material = Material(
        title=f"run {run.folder.name}",
        config=run.config_fields,
        sources=sources,
        history=read_history(run.history),
        costs=costs,
        versions=versions,
    )
    return write_forecast_report(material, run.report)


def fit_run(
    config: Config, data_dir: Path | None, run: Run, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> None:
    """The first half of `train`: leaves the weights in the run's folder, and judges nothing."""
    _fit(config, open_series(data_dir, config.columns), run, callbacks)


def load_model(run: Run, config: Config) -> keras.Model:
    """The model that a run trained."""
    model = build_model(config)
    model.load_weights(run.weights)
    return model


def open_run(run: Run) -> Serve:
    """What the model of a finished run would answer if it were served."""
    config = run.read_config(Config)
    model, factors = load_model(run, config), run.metrics["factors"]
    return tf.function(lambda inputs: forecast(model, config, inputs, factors))


def _calibrate(model: keras.Model, config: Config, series: Sequence[Series]) -> tuple[float, ...]:
    """The factors that make the intervals of the weeks before the judged ones hold what they say."""
    if not config.calibrate:
        return UNCALIBRATED
    sources, (values, first_day) = watch(config, series)
    seen = find_answerable(values)
    values, sources = values[seen], sources[seen]
    said = ask(tf.function(lambda inputs: forecast(model, config, inputs)), values[:, :CONTEXT], first_day[seen])
    return fit_factors(values[:, CONTEXT:], said.quantiles, sources)


def _check_left_out(config: Config, series: Sequence[Series]) -> None:
    known = list(group_by_source(series))
    for name in config.left_out:
        if name not in known:
            raise ConfigError(f"left_out: there is no source '{name}'; there are {', '.join(known) or 'none'}")


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
        lambda first_epoch: open_batches(config, pool, first_epoch),
        tf.data.Dataset.from_tensors(watch(config, series)[1]).map(make_example(config)).cache(),
        config.steps_per_epoch,
        run,
        callbacks=callbacks,
        jit=config.jit and not config.optimisation.deterministic,
    )
    run.keep_weights(model)


def pinball_loss(days: tf.Tensor, quantiles: tf.Tensor) -> tf.Tensor:
    """Weighted pinball loss, the mean over members and levels, of each forecast day: [B, weeks, 7].

    Args:
        days: values and weights as of `to_example`.
        quantiles: [B, members, 7, levels] of the last week, or of as many weeks as it has, the last of `days` last:
            [B, members, weeks, 7, levels].
    """
    by_week = quantiles if quantiles.shape.rank == 5 else quantiles[:, :, None]
    weeks = by_week.shape[2]
    judged = tf.reshape(days[:, -weeks * HORIZON :], [-1, weeks, HORIZON, 2])
    target, weight = tf.unstack(judged, axis=-1)
    error = target[:, None, ..., None] - by_week
    levels = tf.constant(QUANTILE_LEVELS, tf.float32)
    return weight * tf.reduce_mean(tf.maximum(levels * error, (levels - 1) * error), axis=(1, -1))
