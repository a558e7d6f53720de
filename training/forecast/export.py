"""Makes the model of a run a version that the services load."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.forecast.card import describe_data, write_card
from training.forecast.config import CONTEXT, HORIZON, MIN_OBSERVED, QUANTILE_LEVELS, Config
from training.forecast.data import Series, open_series
from training.forecast.evaluate import judge, load_serve
from training.forecast.measures import Weeks, summarize
from training.forecast.models.forecaster import forecast
from training.forecast.synthetic import generate_windows
from training.forecast.train import load_model, report
from training.recipe.export import Export, Tensors, export_model
from training.recipe.publication import Measured, Version, check_better, fingerprint, read_versions
from training.recipe.run import Run

INPUTS = {"values": tf.TensorSpec([None, CONTEXT], tf.float64), "first_day": tf.TensorSpec([None], tf.int32)}
OPTIONS = {
    "context": CONTEXT,
    "horizon": HORIZON,
    "quantile_levels": list(QUANTILE_LEVELS),
    "min_observed": MIN_OBSERVED,
}
_ANSWERS = ("horizon", "quantile_levels")  # of the options: what versions that compare have in common
_DECIDES = "mae_to_lag7_geometric_mean"
_DIGITS = 4  # what lies behind differs with the order of sums


def export(run: Run, models_dir: Path, allow_worse: bool = False) -> Path:
    """Exports the model of a finished run as the next version of "forecast" and returns its folder.

    The version in service is measured on the series of the run first. The run's report is written anew, with latency,
    size and the earlier versions.

    Raises:
        PublicationError: the mean absolute error, as a share of the naive forecast's, would be larger than that of the
            newest version, or nobody can tell, and `allow_worse` is not given.
    """
    config = run.read_config(Config)
    series, model, metrics = open_series(run.data_dir, config.columns), load_model(run, config), run.metrics["metrics"]
    factors, versions = run.metrics["factors"], read_versions(models_dir, "forecast")

    def serve(inputs: Tensors) -> Tensors:
        return forecast(model, config, inputs, factors)

    sources = judge(tf.function(serve), series)
    candidate = Measured(f"run {run.folder.name}", _round(metrics), (), _name_data(sources))
    newest = _measure_version(versions[-1], series) if versions else None
    print(check_better(candidate, newest, _DECIDES, True, allow_worse))
    folder = export_model(
        Export(
            name="forecast",
            task="daily series forecasting",
            model=model,
            serve=serve,
            inputs=INPUTS,
            golden_inputs=_golden_inputs(config.seed),
            options=OPTIONS | {"interval_factors": factors},
            metrics=metrics,
            data=describe_data(series, config),
            card=partial(write_card, config, series, factors, sources, model.count_params()),
            batches=config.served_batches,
            rounds=config.measure_rounds,
            regress_output="mean",
        ),
        models_dir,
    )
    report(run, sources, read_versions(models_dir, "forecast")[-1].costs, versions)
    return folder


def _measure_version(version: Version, series: Sequence[Series]) -> Measured:
    """A version on the run's series; without measures if it answers something else."""
    if any(version.options.get(name) != OPTIONS[name] for name in _ANSWERS):
        return Measured(version.title, {}, (), "")
    sources = judge(load_serve(version.folder), series)
    return Measured(version.title, _round(summarize(sources)), (), _name_data(sources))


def _round(metrics: dict[str, float]) -> dict[str, float]:
    return {_DECIDES: round(metrics.get(_DECIDES, math.nan), _DIGITS)}


def _name_data(sources: Sequence[Weeks]) -> str:
    return fingerprint(*(array for weeks in sources for array in (weeks.history, weeks.actual, weeks.first_day)))


def _golden_inputs(seed: int) -> dict[str, np.ndarray]:
    """A long, a short, a gappy and a constant history."""
    values, first_day = generate_windows(4, seed)
    values = values[:, :CONTEXT].copy()
    values[1, : CONTEXT - 60] = np.nan
    values[2, ::3] = np.nan
    values[3] = 5.0
    return {"values": values, "first_day": first_day}
