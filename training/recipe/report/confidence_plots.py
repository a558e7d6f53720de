"""Plots of how sure a classifier is, and how right; each function returns a PNG."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from training.recipe.report.calibration import Reliability
from training.recipe.report.measures import CoverageCurve
from training.recipe.report.style import BLUE, GREY, HALF, INK, ORANGE, RED, WIDTH, png


@png
def plot_reliability(diagrams: Mapping[str, Reliability]) -> Figure:
    """Reliability diagrams side by side, each with the shares of rows per bin of confidence under it."""
    figure = Figure((WIDTH, 4.6))
    above, below = figure.subplots(2, len(diagrams), squeeze=False, sharex=True, height_ratios=(3, 1))
    for top, bottom, (name, reliability) in zip(above, below, diagrams.items(), strict=True):
        edges = np.linspace(0, 1, len(reliability.share) + 1)
        middles, width = (edges[:-1] + edges[1:]) / 2, edges[1] * 0.92
        _paint_bins(top, middles, width, reliability)
        top.set(title=f"{name}: ECE {reliability.error:.4f}", xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        bottom.bar(middles, reliability.share, width, color=GREY)
        bottom.set(xlabel="confidence", ylabel="share of rows", ylim=(0, 1))
        bottom.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def _paint_bins(axes: Axes, middles: np.ndarray, width: float, reliability: Reliability) -> None:
    accuracy = np.nan_to_num(reliability.accuracy)
    gap = np.nan_to_num(reliability.confidence - reliability.accuracy)
    axes.bar(middles, accuracy, width, color=BLUE, label="accuracy")
    axes.bar(
        middles, gap, width, accuracy, fill=False, edgecolor=RED, hatch="////", linewidth=0.8, label="gap to confidence"
    )
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--")
    axes.legend(loc="upper left")


@png
def plot_coverage(curve: CoverageCurve) -> Figure:
    """Accuracy against the share of rows that are answered, and how sure the least sure answer is."""
    figure = Figure((HALF, 3.4))
    axes = figure.subplots()
    shown = np.unique(np.linspace(0, len(curve.coverage) - 1, 500).astype(int))
    axes.plot(curve.coverage[shown], curve.confidence[shown], color=ORANGE, label="least confidence among these")
    axes.plot(curve.coverage[shown], curve.accuracy[shown], color=BLUE, label="accuracy of these")
    axes.set(xlabel="rows answered, the surest first", xlim=(0, 1), ylim=(0, 1.02))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(loc="lower left")
    return figure
