"""Rolling weekly forecasts of a model beside the naive ones, through the served signature."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.forecast.config import CONTEXT
from training.forecast.data import (
    Series,
    Windows,
    find_answerable,
    group_by_source,
    join_windows,
    judged_windows,
    open_series,
)
from training.forecast.formats.columns import Columns
from training.forecast.measures import OURS, Forecasts, Weeks, summarize
from training.forecast.naive import forecast_naively
from training.forecast.synthetic import generate_windows

BATCH = 256
SYNTHETIC = "synthetic"
_SYNTHETIC_SEED = 20_260_101  # never used for training
Serve = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]
LAGS = (1, 7)


def evaluate(model_folder: Path, data_dir: Path | None) -> dict[str, float]:
    """Metrics of the exported version in `model_folder`; on synthetic series where `data_dir` is None."""
    return summarize(judge(load_serve(model_folder), open_series(data_dir, Columns())))


def load_serve(model_folder: Path) -> Serve:
    """Opens the SavedModel in `model_folder`; it is given as many days as it reads."""
    loaded = tf.saved_model.load(str(model_folder))
    signature = loaded.signatures["serving_default"]
    context = signature.structured_input_signature[1]["values"].shape[1]

    def serve(inputs: dict[str, tf.Tensor], _keep: object = loaded) -> dict[str, tf.Tensor]:
        return dict(signature(values=inputs["values"][:, -context:], first_day=inputs["first_day"]))

    return serve


def judge(serve: Serve, series: Sequence[Series]) -> list[Weeks]:
    """Forecasts the judged weeks of each source; synthetic ones where there are no series."""
    if not series:
        return [_judge_synthetic(serve)]
    return [_judge_source(serve, source, members) for source, members in group_by_source(series).items()]


def ask(serve: Serve, history: np.ndarray, first_day: np.ndarray) -> Forecasts:
    """Forecasts of any number of weeks. history float64 [n, context], first_day int32 [n]."""
    answers = []
    for start in range(0, len(history), BATCH):
        rows = slice(start, start + BATCH)
        answers.append(serve({"values": tf.constant(history[rows]), "first_day": tf.constant(first_day[rows])}))
    mean, quantiles = (np.concatenate([a[n].numpy() for a in answers]) for n in ("mean", "quantiles"))
    return Forecasts(mean, quantiles)


def _judge_source(serve: Serve, source: str, members: Sequence[Series]) -> Weeks:
    windows = [judged_windows([one]) for one in members]
    names = [one.name for one, (values, _) in zip(members, windows, strict=True) for _ in values]
    scales = [_scale(one.values[None, : one.judged]) for one in members]
    repeats = [len(values) for values, _ in windows]
    by_week = {lag: np.repeat([scale[lag][0] for scale in scales], repeats) for lag in LAGS}
    return _judge(serve, source, names, join_windows(windows), by_week)


def _judge_synthetic(serve: Serve) -> Weeks:
    values, first_day = generate_windows(1000, _SYNTHETIC_SEED)
    values = values / np.abs(values).mean(axis=1, keepdims=True)
    names = [f"{SYNTHETIC} {i}" for i in range(len(values))]
    return _judge(serve, SYNTHETIC, names, (values, first_day), _scale(values[:, :CONTEXT]))


def _judge(serve: Serve, source: str, names: Sequence[str], windows: Windows, scales: dict[int, np.ndarray]) -> Weeks:
    values, first_day = windows
    kept = find_answerable(values)
    history, first_day = values[kept, :CONTEXT], first_day[kept]
    return Weeks(
        source=source,
        series=tuple(name for name, keep in zip(names, kept, strict=True) if keep),
        first_day=first_day,
        history=history,
        actual=values[kept, CONTEXT:],
        scales={lag: scale[kept] for lag, scale in scales.items()},
        forecasts={OURS: ask(serve, history, first_day), **forecast_naively(history)},
    )


def _scale(values: np.ndarray) -> dict[int, np.ndarray]:
    """Mean absolute error of the naive forecast of each lag in the past. values float64 [n, days] -> [n] each."""
    return {lag: np.nanmean(np.abs(values[:, lag:] - values[:, :-lag]), axis=1) for lag in LAGS}
