"""Plots of how honest the quantiles of forecasts are; each function returns a PNG."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from training.recipe.report.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, WIDTH, png

_COLOURS = (ORANGE, GREEN, PURPLE, RED, SKY, GREY)
_DASHES = ("-", "--", ":")


@png
def plot_calibration(levels: Sequence[float], shares: Mapping[str, np.ndarray]) -> Figure:
    """Share of what came at or below each quantile, and how far that is from its level.

    Args:
        levels: of the quantiles.
        shares: source -> float64 [levels].
    """
    figure = Figure((WIDTH, 3.9))
    left, right = figure.subplots(1, 2)
    for number, (name, values) in enumerate(shares.items()):
        colour, dash = _COLOURS[number % len(_COLOURS)], _DASHES[number // len(_COLOURS) % len(_DASHES)]
        left.plot(levels, values, dash, color=colour, linewidth=1, label=name)
        right.plot(levels, values - np.asarray(levels), dash, color=colour, linewidth=1)
    mean = np.mean([*shares.values()] or [np.full(len(levels), np.nan)], axis=0)
    left.plot(levels, mean, "o-", color=BLUE, markersize=4, label="mean over the sources")
    right.plot(levels, mean - np.asarray(levels), "o-", color=BLUE, markersize=4)
    left.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--")
    right.axhline(0, color=INK, linewidth=1, linestyle="--")
    left.set(ylabel="share at or below it", ylim=(0, 1))
    right.set(ylabel="share less level")
    for axes in (left, right):
        axes.set(xlabel="level of the quantile", xlim=(0, 1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


@png
def plot_coverage_map(sources: Sequence[str], panels: Mapping[str, tuple[float, float, np.ndarray]]) -> Figure:
    """How much each interval covers, by source and day of the horizon, the last column over all days.

    Args:
        sources: names of the rows.
        panels: title -> what it promises, the deviation that has the darkest colour, shares [sources, horizon + 1].
    """
    figure = Figure((WIDTH, 1.0 + 0.27 * len(sources)))
    for place, (axes, (title, panel)) in enumerate(
        zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True)
    ):
        _paint_map(axes, *panel)
        axes.set_title(title)
        axes.set_yticks(range(len(sources)), sources if place == 0 else [""] * len(sources), fontsize=8)
    return figure


def _paint_map(axes: Axes, promised: float, darkest: float, shares: np.ndarray) -> None:
    deviation = np.clip(shares - promised, -darkest, darkest)
    axes.imshow(deviation, cmap="PuOr", vmin=-2 * darkest, vmax=2 * darkest, aspect="auto")  # so that text can be read
    for (row, column), share in np.ndenumerate(shares):
        text = f"{100 * share:.0f}" if np.isfinite(share) else "–"
        weight = "bold" if column == shares.shape[1] - 1 else "normal"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=INK, fontweight=weight)
    days = shares.shape[1] - 1
    axes.set_xticks(range(days + 1), [*map(str, range(1, days + 1)), "all"], fontsize=8)
    axes.set_xlabel("day")
    axes.axvline(days - 0.5, color="white", linewidth=2)
    axes.grid(visible=False)
    axes.tick_params(length=0)
