"""Methods side by side over many sources, and how far chance may explain who is better."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.forecast.losses import mean_geometrically, mean_known
from training.forecast.measures import LAG7, NAIVE, OURS, Weeks, measure
from training.recipe.report.terms import describe

DRAWS = 10_000
_BLOCK = 500  # draws at a time: there may be thousands of days


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; NaN where it cannot be told.

    Attributes:
        sources: their names.
        methods: those that every source has, ours first.
        ratios: float64 [methods, sources], mean absolute error over that of LAG7.
        means: float64 [methods], geometric means of the ratios.
        ranks: float64 [methods], mean rank by error, 1 the best; equal ones share theirs.
        ours: float64 [methods], geometric mean of our error over the method's.
        low, high: float64 [methods], 95 % interval of `ours`.
        wins: float64 [methods], share of the draws in which ours is better.
    """

    sources: tuple[str, ...]
    methods: tuple[str, ...]
    ratios: np.ndarray
    means: np.ndarray
    ranks: np.ndarray
    ours: np.ndarray
    low: np.ndarray
    high: np.ndarray
    wins: np.ndarray

    @property
    def best_statistical(self) -> str | None:
        """The single model, neither ours nor naive, with the smallest geometric mean; None if there is none."""
        means = {m: self.means[i] for i, m in enumerate(self.methods) if is_statistical(m)}
        return min(means, key=lambda method: means[method], default=None)


def is_statistical(method: str) -> bool:
    """Whether a method is one that people fit instead. Names that begin with OURS are variants of ours."""
    return method not in NAIVE and not method.startswith(OURS)


def compare(sources: Sequence[Weeks], draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Compares the methods that every source has by the mean absolute error of their point forecasts.

    The interval is that of a paired bootstrap (Efron & Tibshirani 1993, chapter 13): in every draw each source gets as
    many of its first days as it has, with replacement, and with a day all series' weeks that begin then, under every
    method. It tells what other weeks might have given, not what other sources would; weeks count as independent.

    Raises:
        ValueError: there are no sources.
    """
    if not sources:
        raise ValueError("there are no sources to compare")
    methods = tuple(m for m in sources[0].forecasts if all(m in weeks.forecasts for weeks in sources))
    errors = np.array([[measure(weeks, method)["mae"] for weeks in sources] for method in methods])
    ours = methods.index(OURS)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios, to_ours = errors / errors[methods.index(LAG7)], errors[ours] / errors
    rng = np.random.default_rng(seed)
    drawn = mean_geometrically(np.array([_draw_ratios(weeks, methods, draws, rng) for weeks in sources]), axis=0)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0, method="nearest")  # infinite ones have no mean
    return Comparison(
        sources=tuple(weeks.source for weeks in sources),
        methods=methods,
        ratios=ratios,
        means=mean_geometrically(ratios, axis=1),
        ranks=mean_known(_rank(errors), axis=1),
        ours=mean_geometrically(to_ours, axis=1),
        low=low,
        high=high,
        wins=np.where(np.isnan(low), np.nan, (drawn < 1).mean(axis=0)),
    )


def _rank(errors: np.ndarray) -> np.ndarray:
    """Rank of each method in each source, 1 the smallest; equal ones get the mean of theirs. [methods, sources]."""
    before, equal = (errors[:, None] > errors).sum(axis=1), (errors[:, None] == errors).sum(axis=1)
    return np.where(np.isnan(errors), np.nan, before + (equal + 1) / 2)


def _draw_ratios(weeks: Weeks, methods: Sequence[str], draws: int, rng: np.random.Generator) -> np.ndarray:
    """Our error over each method's in resampled first days: float64 [draws, methods]."""
    scored = ~np.isnan(weeks.actual).all(axis=1)
    if not scored.any():
        return np.full((draws, len(methods)), np.nan)
    _, day = np.unique(weeks.first_day[scored], return_inverse=True)
    days = int(day.max()) + 1
    losses = [np.nansum(np.abs(weeks.forecasts[m].point - weeks.actual)[scored], axis=1) for m in methods]
    by_day = np.array([np.bincount(day, loss, days) for loss in losses]).T
    blocks = [min(_BLOCK, draws - start) for start in range(0, draws, _BLOCK)]
    sums = np.concatenate([rng.multinomial(days, np.full(days, 1 / days), block) @ by_day for block in blocks])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums[:, [methods.index(OURS)]] / sums)


def tell_interval(comparison: Comparison, method: int) -> tuple[str, str]:
    """Our error over that of the method with this number, with its interval, and how often ours is better."""
    if comparison.methods[method] == OURS:
        return "–", "–"
    if np.isnan(comparison.low[method]):
        return write_number(comparison.ours[method], "{:.3f}"), "–"
    interval = f"{comparison.low[method]:.3f} to {comparison.high[method]:.3f}"
    return f"{comparison.ours[method]:.3f} ({interval})", f"{comparison.wins[method]:.1%}"


def write_number(value: float, form: str) -> str:
    """The number in this form; a dash for what is none."""
    return "–" if np.isnan(value) else form.format(value)


def write_measure(name: str, value: float) -> str:
    """The value of a measure as reports write it; a dash for what is none."""
    return "–" if np.isnan(value) else describe(name).write(value)
