"""Forecasts that cost nothing, which a forecaster must beat."""

import numpy as np

from training.forecast.config import HORIZON
from training.forecast.levels import QUANTILE_LEVELS
from training.forecast.measures import LAG7, LAST_VALUE, WEEKDAY_MEAN, Forecasts

_WEEKS = 4


def forecast_naively(history: np.ndarray) -> dict[str, Forecasts]:
    """The same weekday last seen, the last value seen, and the mean of the last four weeks' same weekdays.

    Args:
        history: float64 [n, days], whole weeks, NaN where missing; a weekday that was never seen gets the last value.
    """
    by_weekday = np.moveaxis(history.reshape(len(history), -1, HORIZON), 1, -1)  # [n, 7, weeks]
    last = np.repeat(_last_seen(history)[:, None], HORIZON, axis=1)
    lag7 = _prefer(_last_seen(by_weekday), last)
    recent = by_weekday[..., -_WEEKS:]
    seen = np.isfinite(recent)
    mean = np.where(seen, recent, 0).sum(-1) / np.maximum(seen.sum(-1), 1)
    means = {LAG7: lag7, LAST_VALUE: last, WEEKDAY_MEAN: np.where(seen.any(-1), mean, lag7)}
    return {name: Forecasts(mean, np.full((*mean.shape, len(QUANTILE_LEVELS)), np.nan)) for name, mean in means.items()}


def _last_seen(x: np.ndarray) -> np.ndarray:
    index = np.where(np.isfinite(x), np.arange(x.shape[-1]), 0).max(axis=-1)
    return np.take_along_axis(x, index[..., None], axis=-1)[..., 0]


def _prefer(x: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), x, otherwise)
