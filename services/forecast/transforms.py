"""Daily series -> window tensors -> dated forecasts, as functions of arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from services.runtime.errors import InvalidInput

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class WindowOptions:
    """How the model wants its series; the manifest's `options`.

    Attributes:
        context: days of history that the model reads.
        horizon: days that it forecasts.
        quantile_levels: levels that it returns, rising.
        min_observed: fewest days within the context that must have a value.
    """

    context: int
    horizon: int
    quantile_levels: tuple[float, ...]
    min_observed: int

    @classmethod
    def from_manifest(cls, options: Mapping[str, Any]) -> "WindowOptions":
        """Reads a manifest's `options`."""
        levels = tuple(options["quantile_levels"])
        return cls(options["context"], options["horizon"], levels, options["min_observed"])


@dataclass(frozen=True)
class DailySeries:
    """One daily series: `values[i]` belongs to `start` + i days; NaN marks a missing day."""

    start: date
    values: np.ndarray

    @property
    def first_forecast_day(self) -> date:
        """The day after the last value."""
        return self.start + timedelta(days=len(self.values))


def to_windows(series: Sequence[DailySeries], options: WindowOptions) -> dict[str, np.ndarray]:
    """Cuts each series to its last `context` days and pads shorter ones with NaN on the left.

    Returns:
        values: float64 [batch, context]; first_day: int32 [batch], days since 1970-01-01.

    Raises:
        InvalidInput: a value is infinite, or the context of a series has too few values.
    """
    values = np.full((len(series), options.context), np.nan)
    for i, one in enumerate(series):
        if np.isinf(one.values).any():
            raise InvalidInput("a value is infinite; send null or NaN for a missing day", f"series[{i}].values")
        window = one.values[-options.context :]
        observed = int(np.isfinite(window).sum())
        if observed < options.min_observed:
            raise InvalidInput(
                f"{observed} values in the last {options.context} days; at least {options.min_observed}",
                f"series[{i}].values",
            )
        values[i, options.context - len(window) :] = window
    first_day = np.array([(one.first_forecast_day - EPOCH).days for one in series], np.int32)
    return {"values": values, "first_day": first_day}


def to_rows(windows: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Windows as rows of the model's inputs: [batch, ...] each -> values [context] and first_day []."""
    return [{name: array[i, ...] for name, array in windows.items()} for i in range(len(windows["values"]))]


def interpolate_quantiles(quantiles: np.ndarray, known: Sequence[float], wanted: Sequence[float]) -> np.ndarray:
    """Reads any level off the levels that the model returns, linearly between neighbours.

    Args:
        quantiles: [..., known levels], rising along the last axis.
        known: levels of the last axis, rising.
        wanted: levels to return, each within the known ones.

    Returns:
        [..., wanted levels]

    Raises:
        InvalidInput: a wanted level is outside of the known ones.
    """
    for i, level in enumerate(wanted):
        if not known[0] <= level <= known[-1]:
            raise InvalidInput(f"{level:g} is outside of [{known[0]:g}, {known[-1]:g}]", f"quantiles[{i}]")
    above = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    left, right = np.take(known, above - 1), np.take(known, above)
    weight = (np.asarray(wanted) - left) / (right - left)
    return quantiles[..., above - 1] * (1 - weight) + quantiles[..., above] * weight


def forecast_dates(series: DailySeries, horizon: int) -> list[str]:
    """ISO 8601 dates of the days that are forecast."""
    return [(series.first_forecast_day + timedelta(days=d)).isoformat() for d in range(horizon)]
