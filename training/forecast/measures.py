"""How good forecasts of weeks are, and how honest their intervals. Missing days are never scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.forecast.levels import MEDIAN, QUANTILE_LEVELS
from training.forecast.losses import divide, mean_geometrically, mean_known, score_points, score_quantiles

OURS = "seqserve"
LAG7, LAST_VALUE, WEEKDAY_MEAN = "lag-7", "last value", "mean of last four weekdays"
NAIVE = (LAG7, LAST_VALUE, WEEKDAY_MEAN)
_MEANS = ("coverage_80", "coverage_95", "width_80", "smape", "mase1", "mase7", "wql")


@dataclass(frozen=True)
class Forecasts:
    """What one method said of n weeks.

    Attributes:
        mean: float64 [n, 7].
        quantiles: float64 [n, 7, levels], of QUANTILE_LEVELS; all NaN of a method without intervals.
    """

    mean: np.ndarray
    quantiles: np.ndarray

    @property
    def has_intervals(self) -> bool:
        return not np.isnan(self.quantiles).all()

    @property
    def point(self) -> np.ndarray:
        """What absolute errors are taken of, float64 [n, 7]: the median, which they are least at, else the mean."""
        return self.quantiles[..., MEDIAN] if self.has_intervals else self.mean


@dataclass(frozen=True)
class Weeks:
    """n weeks of one source, forecast from rolling origins without overlap; each method refits as it does.

    Attributes:
        source: name of its file; it may hold many series.
        series: the series of each week, n names.
        first_day: int32 [n], first day to forecast, in days since 1970-01-01.
        history: float64 [n, days], what lies before, NaN where missing.
        actual: float64 [n, 7], NaN where missing.
        scales: lag m -> float64 [n], mean absolute error of the naive forecast with that lag inside the series, before
            its first evaluated day; for m of 1 and 7.
        forecasts: by method; OURS, LAG7 and LAST_VALUE are always there, ours first.

    Raises:
        ValueError: there are no weeks, shapes differ, or a forecast holds what is no number.
    """

    source: str
    series: tuple[str, ...]
    first_day: np.ndarray
    history: np.ndarray
    actual: np.ndarray
    scales: Mapping[int, np.ndarray]
    forecasts: Mapping[str, Forecasts]

    def __post_init__(self) -> None:
        n = len(self.actual)
        counts = {len(self.series), len(self.first_day), len(self.history), *map(len, self.scales.values()), n}
        if len(counts) > 1 or not n:
            raise ValueError(f"weeks of {self.source}: the fields differ in length or are empty: {sorted(counts)}")
        for name, forecasts in self.forecasts.items():
            self._check(name, forecasts)

    def _check(self, name: str, forecasts: Forecasts) -> None:
        of = f"weeks of {self.source}, forecasts of {name}"
        shapes, expected = (forecasts.mean.shape, forecasts.quantiles.shape), self.actual.shape
        if shapes != (expected, (*expected, len(QUANTILE_LEVELS))):
            raise ValueError(f"{of}: shapes are {shapes}, expected {expected} and one more axis of the levels")
        numbers = {"mean": forecasts.mean} | ({"quantiles": forecasts.quantiles} if forecasts.has_intervals else {})
        for field, values in numbers.items():
            odd = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
            if odd.any():
                raise ValueError(f"{of}: {field} is no number in {odd.sum()} weeks, the first {odd.argmax()}")


def measure(weeks: Weeks, method: str) -> dict[str, float]:
    """All measures of one method that are one number.

    Over all scored days alike unless weeks are said. What is not defined is NaN: all of intervals where the method has
    none, what is scaled where the scale is 0.

    Returns:
        mae, of the median as all absolute errors here; mean_mae, rmse, bias, of `mean`: in the series' unit; a positive
            bias is too high.
        smape: 0 to 200, a day counts 0 where forecast and actual are 0.
        mase1, mase7: error over that of the naive forecast of lag 1 or 7 in the past (Hyndman & Koehler 2006, "Another
            look at measures of forecast accuracy"), weeks alike.
        pinball: mean over all levels, in the unit. wql: twice the sum of the pinball loss over the sum of |actual|,
            mean over the levels 0.1 to 0.9, as in GluonTS. crps: twice the integral of the pinball loss over the
            levels by the trapezoid rule, in the unit; the outermost quantiles hold all that lies beyond them.
        coverage_80, coverage_95: share of days inside the interval, ends included.
        width_80, width_95: mean width over mean |actual|.
        msis_95: width of the 95 % interval and 40 times what lies outside, over the scale of lag 7, weeks alike (M4).
    """
    return _measure(weeks, weeks.forecasts[method], slice(None))


def measure_days(weeks: Weeks, method: str) -> dict[str, np.ndarray]:
    """The same measures for each day of the horizon, float64 [7]."""
    days = range(weeks.actual.shape[1])
    rows = [_measure(weeks, weeks.forecasts[method], slice(day, day + 1)) for day in days]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def measure_calibration(weeks: Weeks, method: str) -> np.ndarray:
    """Share of days at or below the quantile of each level: float64 [levels], NaN where there are no quantiles."""
    actual, quantiles = weeks.actual[..., None], weeks.forecasts[method].quantiles
    return mean_known(np.where(np.isnan(actual + quantiles), np.nan, actual <= quantiles), axis=(0, 1))


def summarize(sources: Sequence[Weeks]) -> dict[str, float]:
    """What ours reaches, flat: `<source>_<measure>`, and over all sources.

    Returns:
        Of each source what `measure` gives, weeks, lag7_mae, mae_to_lag7, mae_to_last_value; over all sources
        mae_to_lag7_geometric_mean, mae_to_last_value_geometric_mean, and <measure>_mean of some measures.
    """
    scores = {weeks.source: _summarize(weeks) for weeks in sources}
    metrics = {f"{source}_{name}": value for source, score in scores.items() for name, value in score.items()}
    for name in ("mae_to_lag7", "mae_to_last_value"):
        ratios = np.array([score[name] for score in scores.values()])
        metrics[f"{name}_geometric_mean"] = float(mean_geometrically(ratios))
    for name in _MEANS:
        metrics[f"{name}_mean"] = float(mean_known(np.array([score[name] for score in scores.values()])))
    return metrics


def _summarize(weeks: Weeks) -> dict[str, float]:
    ours = measure(weeks, OURS)
    lag7, last = (measure(weeks, method)["mae"] for method in (LAG7, LAST_VALUE))
    return {
        "weeks": float(len(weeks.actual)),
        **ours,
        "lag7_mae": lag7,
        "mae_to_lag7": divide(ours["mae"], lag7),
        "mae_to_last_value": divide(ours["mae"], last),
    }


def _measure(weeks: Weeks, forecasts: Forecasts, days: slice) -> dict[str, float]:
    actual = weeks.actual[:, days]
    points = score_points(actual, forecasts.point[:, days], forecasts.mean[:, days], weeks.scales)
    return points | score_quantiles(actual, forecasts.quantiles[:, days], weeks.scales)
