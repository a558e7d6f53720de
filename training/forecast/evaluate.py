"""Rolling weekly forecasts against the naive ones, through the served signature."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.forecast.config import CONTEXT, HORIZON, QUANTILE_LEVELS
from training.forecast.data import Series, Windows, cut_windows, load_series, rolling_origins
from training.forecast.synthetic import generate_windows

BATCH = 256
SYNTHETIC_SEED = 20_260_101  # never used for training
Serve = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]


def evaluate(model_folder: Path, data_dir: Path | None) -> dict[str, float]:
    """Metrics of the exported version in `model_folder`; on synthetic series where `data_dir` is None."""
    return evaluate_forecasts(load_serve(model_folder), load_series(data_dir / "series") if data_dir else [])


def load_serve(model_folder: Path) -> Serve:
    """Opens the SavedModel in `model_folder`."""
    loaded = tf.saved_model.load(str(model_folder))
    signature = loaded.signatures["serving_default"]

    def serve(inputs: dict[str, tf.Tensor], _keep: object = loaded) -> dict[str, tf.Tensor]:
        return dict(signature(**inputs))

    return serve


def evaluate_forecasts(serve: Serve, series: list[Series]) -> dict[str, float]:
    """Metrics per source and over all: MAE ratios to the naive forecasts, sMAPE in percent, coverage."""
    scores = {name: score_windows(serve, windows) for name, windows in list_windows(series)}
    metrics = {f"{source}_{name}": value for source, score in scores.items() for name, value in score.items()}
    for name in ("mae_to_lag7", "mae_to_last_value"):
        metrics[f"{name}_geometric_mean"] = float(np.exp(np.mean([np.log(s[name]) for s in scores.values()])))
    for name in ("coverage_80", "coverage_95"):
        metrics[f"{name}_mean"] = float(np.mean([s[name] for s in scores.values()]))
    return metrics


def list_windows(series: list[Series]) -> Iterable[tuple[str, Windows]]:
    """The windows that a model is measured on, by source; synthetic ones where there are no series."""
    if not series:
        values, first_day = generate_windows(1000, SYNTHETIC_SEED)
        yield "synthetic", (values / np.abs(values).mean(axis=1, keepdims=True), first_day)
        return
    by_source: dict[str, list[Windows]] = {}
    for one in series:
        windows = cut_windows(one, rolling_origins(one, one.source.evaluated_from))
        by_source.setdefault(one.source.file, []).append(windows)
    for source, parts in by_source.items():
        yield source, (np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))


def score_windows(serve: Serve, windows: Windows) -> dict[str, float]:
    """Scores forecasts of values float64 [n, context + 7]; missing days are not scored."""
    values, first_day = windows
    context, actual = values[:, :CONTEXT], values[:, CONTEXT:]
    mean, quantiles = _forecast(serve, context, first_day)
    scored = np.isfinite(actual)
    lag7, last = naive_forecasts(context)

    def mae(predicted: np.ndarray) -> float:
        return float(np.abs(predicted - actual)[scored].mean())

    level = {q: quantiles[..., i] for i, q in enumerate(QUANTILE_LEVELS)}
    size = np.maximum(np.abs(actual) + np.abs(mean), 1e-12)
    return {
        "mae": mae(mean),
        "median_mae": mae(level[0.5]),
        "lag7_mae": mae(lag7),
        "mae_to_lag7": mae(mean) / mae(lag7),
        "mae_to_last_value": mae(mean) / mae(last),
        "smape": float(200 * (np.abs(mean - actual) / size)[scored].mean()),
        "coverage_80": float(((actual >= level[0.1]) & (actual <= level[0.9]))[scored].mean()),
        "coverage_95": float(((actual >= level[0.025]) & (actual <= level[0.975]))[scored].mean()),
        "weeks": float(len(values)),
    }


def _forecast(serve: Serve, context: np.ndarray, first_day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    answers = []
    for start in range(0, len(context), BATCH):
        rows = slice(start, start + BATCH)
        answers.append(serve({"values": tf.constant(context[rows]), "first_day": tf.constant(first_day[rows])}))
    mean, quantiles = (np.concatenate([a[n].numpy() for a in answers]) for n in ("mean", "quantiles"))
    return mean, quantiles


def naive_forecasts(context: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same weekday last seen, and the last value seen, for seven days. [n, context] -> 2 x [n, 7]."""
    by_weekday = context.reshape(len(context), -1, HORIZON)
    lag7 = _last_finite(np.moveaxis(by_weekday, 1, -1))
    last = np.repeat(_last_finite(context)[:, None], HORIZON, axis=1)
    return lag7, last


def _last_finite(x: np.ndarray) -> np.ndarray:
    index = np.where(np.isfinite(x), np.arange(x.shape[-1]), 0).max(axis=-1)
    return np.take_along_axis(x, index[..., None], axis=-1)[..., 0]
