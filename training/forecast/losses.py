"""What `measures.measure` tells, of arrays alone: actual float64 [n, days], NaN where nothing is scored."""

from collections.abc import Mapping

import numpy as np

from training.forecast.levels import QUANTILE_LEVELS

_LEVELS = np.array(QUANTILE_LEVELS)
_NINE = [QUANTILE_LEVELS.index(tenth / 10) for tenth in range(1, 10)]
_ENDS = {80: (0.1, 0.9), 95: (0.025, 0.975)}


def score_points(
    actual: np.ndarray, point: np.ndarray, mean: np.ndarray, scales: Mapping[int, np.ndarray]
) -> dict[str, float]:
    """Of forecasts [n, days], with the scales of the weeks, lag -> [n]."""
    error, square = point - actual, mean - actual
    size = np.abs(actual) + np.abs(point)
    return {
        "mae": float(mean_known(np.abs(error))),
        "mean_mae": float(mean_known(np.abs(square))),
        "rmse": float(np.sqrt(mean_known(square**2))),
        "bias": float(mean_known(square)),
        "smape": float(200 * mean_known(np.abs(error) / np.where(size == 0, 1, size))),
        "mase1": scale_weeks(np.abs(error), scales[1]),
        "mase7": scale_weeks(np.abs(error), scales[7]),
    }


def score_quantiles(actual: np.ndarray, quantiles: np.ndarray, scales: Mapping[int, np.ndarray]) -> dict[str, float]:
    """Of quantiles [n, days, levels], with the scales of the weeks, lag -> [n]. NaN quantiles give NaN."""
    quantiles = np.where(np.isnan(actual)[..., None], np.nan, quantiles)
    error = actual[..., None] - quantiles
    pinball = np.maximum(_LEVELS * error, (_LEVELS - 1) * error)
    size = float(mean_known(np.abs(actual)))
    bounds = {ends: [quantiles[..., QUANTILE_LEVELS.index(end)] for end in _ENDS[ends]] for ends in _ENDS}
    low, high = bounds[95]
    beyond = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
    return {
        "pinball": float(mean_known(pinball)),
        "wql": divide(2 * float(mean_known(pinball[..., _NINE])), size),
        "crps": float(mean_known(_integrate(error, pinball))),
        **{f"coverage_{n}": float(mean_known(_cover(actual, *bounds[n]))) for n in bounds},
        **{f"width_{n}": divide(float(mean_known(bounds[n][1] - bounds[n][0])), size) for n in bounds},
        "msis_95": scale_weeks(high - low + 2 / 0.05 * beyond, scales[7]),
    }


def scale_weeks(losses: np.ndarray, scale: np.ndarray) -> float:
    """Mean over weeks of the mean of each over its scale, without those of scale 0. losses [n, days], scale [n]."""
    return float(mean_known(mean_known(losses, axis=1) / np.where(scale > 0, scale, np.nan)))


def mean_known(values: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Mean of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0).sum(axis) / known.sum(axis))


def mean_geometrically(ratios: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Geometric mean of what is not NaN; NaN where nothing is."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(mean_known(np.log(ratios), axis)))


def divide(value: float, by: float) -> float:
    """`value` over `by`: NaN for 0 / 0, infinite for the rest by 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.float64(value) / np.float64(by))


def _integrate(error: np.ndarray, pinball: np.ndarray) -> np.ndarray:
    """CRPS of each day: twice the integral of the pinball loss over the levels. 2 x [n, days, levels] -> [n, days]."""
    lowest, highest = np.maximum(-error[..., :1], 0), np.maximum(error[..., -1:], 0)  # the loss at levels 0 and 1
    losses = np.concatenate([lowest, pinball, highest], axis=-1)
    return np.asarray(2 * np.trapezoid(losses, [0, *QUANTILE_LEVELS, 1], axis=-1))


def _cover(actual: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """1 inside, 0 outside, NaN where there are no ends."""
    return np.where(np.isnan(low), np.nan, (actual >= low) & (actual <= high))
