"""Plots of forecasts of several sources, a panel for each; each function returns a PNG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import Locator, MaxNLocator, StrMethodFormatter

from training.recipe.report.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, RED, SKY, WIDTH, png

_LINES = (BLUE, GREY, ORANGE, GREEN, PURPLE, SKY, RED)
_SHADES = (0.13, 0.2, 0.3)  # of bands on each other, the widest first
_CUT = 1.5  # of what the reference bar has; longer bars are cut


@dataclass(frozen=True)
class Band:
    """One forecast and what came.

    Attributes:
        title: above it.
        first_day: first day that is forecast, in days since 1970-01-01.
        history: float64 [days], what lies before, NaN where missing.
        actual: float64 [horizon], NaN where missing.
        middle: float64 [horizon], the forecast.
        intervals: name -> lower and upper ends, float64 [horizon] each, the widest first.
        reference: float64 [horizon], another forecast.
    """

    title: str
    first_day: int
    history: np.ndarray
    actual: np.ndarray
    middle: np.ndarray
    intervals: Mapping[str, tuple[np.ndarray, np.ndarray]]
    reference: np.ndarray


@png
def plot_ratios(methods: Sequence[str], colours: Sequence[str], panels: Mapping[str, np.ndarray]) -> Figure:
    """Bars of every method in every panel, and a line at 1, which all are compared with.

    Args:
        methods: from the top.
        colours: of the bars, one per method.
        panels: title -> ratios [methods].
    """
    figure, grid = _open_grid(len(panels), 4, 0.6 + 0.19 * len(methods))
    for place, (axes, (title, ratios)) in enumerate(zip(grid, panels.items(), strict=True)):
        axes.barh(range(len(methods)), np.minimum(np.nan_to_num(ratios), _CUT), color=colours, height=0.66)
        axes.axvline(1, color=INK, linewidth=0.8, linestyle="--")
        for row, ratio in enumerate(ratios):
            text = f"{ratio:.2f}" if np.isfinite(ratio) else "–"
            axes.text(_CUT * 1.3, row, text, ha="right", va="center", fontsize=7.5)
        axes.set(xlim=(0, _CUT * 1.3), ylim=(len(methods) - 0.5, -0.5))
        axes.set_xticks([0, 0.5, 1, 1.5], ["0", "0.5", "1", "1.5"], fontsize=8)
        axes.set_title(_shorten(title, 23), fontsize=8.5)
        axes.set_yticks(range(len(methods)), methods if place % 4 == 0 else [""] * len(methods), fontsize=8.5)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    return figure


@png
def plot_days(panels: Mapping[str, Mapping[str, np.ndarray]], title: str) -> Figure:
    """Lines over the days of the horizon.

    Args:
        panels: title -> method -> values [horizon]; the same methods in each. The first two are always seen whole.
        title: of the values.
    """
    figure, grid = _open_grid(len(panels), 3, 1.9)
    for place, (axes, (name, lines)) in enumerate(zip(grid, panels.items(), strict=True)):
        for number, (values, colour) in enumerate(zip(lines.values(), _LINES, strict=False)):
            days = np.arange(1, len(values) + 1)
            axes.plot(days, values, "o-", color=colour, markersize=3.2, linewidth=1.4, zorder=3 - 0.1 * number)
        top = 1.15 * np.nanmax([0, *np.concatenate(list(lines.values())[:2])])
        axes.set_ylim(0, top or 1)
        axes.set_title(_shorten(name, 36), fontsize=8.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        _mark_amounts(axes, 5)
        axes.set_ylabel(title if place % 3 == 0 else "")
        axes.set_xlabel("day" if place >= len(panels) - 3 else "")
        axes.tick_params(labelsize=8)
    names = list(next(iter(panels.values())))
    _add_legend(figure, [Line2D([], [], color=c, marker="o", markersize=3.2) for c in _LINES[: len(names)]], names)
    return figure


@png
def plot_bands(bands: Sequence[Band]) -> Figure:
    """Forecasts with their intervals, three in a row."""
    figure, grid = _open_grid(len(bands), 3, 1.95)
    for axes, band in zip(grid, bands, strict=True):
        _paint_band(axes, band)
    handles, names = grid[0].get_legend_handles_labels()
    _add_legend(figure, handles, names)
    return figure


def _paint_band(axes: Axes, band: Band) -> None:
    past = band.first_day + np.arange(-len(band.history), 0)  # matplotlib counts days from 1970 on, too
    future = band.first_day + np.arange(len(band.actual))
    for (name, (low, high)), shade in zip(band.intervals.items(), _SHADES, strict=False):
        axes.fill_between(future, low, high, color=BLUE, alpha=shade, linewidth=0, label=name)
    axes.axvline(band.first_day - 0.5, color=PALE, linewidth=1)
    axes.plot(past, band.history, color=GREY, linewidth=1, label="history")
    axes.plot(future, band.reference, color=ORANGE, linewidth=1.1, linestyle="--", label="lag-7")
    axes.plot(future, band.middle, color=BLUE, linewidth=1.4, label="median")
    axes.plot(future, band.actual, "o-", color=INK, linewidth=0.9, markersize=2.4, label="actual")
    axes.set_title("\n".join(_shorten(line, 38) for line in band.title.splitlines()), fontsize=8)
    locator: Locator = AutoDateLocator(minticks=3, maxticks=5)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    _mark_amounts(axes, 4)
    axes.tick_params(labelsize=7.5)
    axes.xaxis.get_offset_text().set_fontsize(7.5)


def _mark_amounts(axes: Axes, most: int) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(most))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))


def _shorten(title: str, most: int) -> str:
    return title if len(title) <= most else f"{title[: most - 1]}…"


def _open_grid(panels: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of rows of panels, each so many inches high."""
    rows = -(-panels // columns)
    figure = Figure((WIDTH, height * rows + 0.4))
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[panels:]:
        axes.set_visible(False)
    return figure, grid[:panels]


def _add_legend(figure: Figure, handles: Sequence[Artist], names: Sequence[str]) -> None:
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), fontsize=8.5)
