"""Plots of a classifier's classes: what is taken for what, and how well each does; each function returns a PNG."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering

from training.recipe.report.measures import ClassScores, top_confusions
from training.recipe.report.style import BLUE, HALF, INK, RED, WIDTH, png

MOST_LABELLED = 40  # classes whose names can be read beside a matrix as wide as the page
FEW = 30  # classes whose scores all have room
_SHOWN = 30


@png
def plot_confusion(table: np.ndarray, labels: Sequence[str]) -> Figure:
    """A confusion matrix with a count in every cell: true classes in rows, answers in columns.

    Right answers are blue, mistakes orange, both by their share of the row.

    Args:
        table: int64 [classes, classes], of at most MOST_LABELLED classes.
        labels: names of the classes.
    """
    figure = Figure((WIDTH, 1.5 + 0.26 * len(labels)))
    axes = figure.subplots()
    shares, right = _share_rows(table), np.eye(len(table), dtype=bool)
    axes.imshow(np.ma.masked_where(~right, shares), cmap="Blues", vmin=0, vmax=1.6, aspect="auto")
    axes.imshow(
        np.ma.masked_where(right | (table == 0), shares), cmap="Oranges", norm=PowerNorm(0.5, 0, 0.5), aspect="auto"
    )
    size = 8.0 if len(labels) <= 24 else 6.5
    for row, column in np.argwhere(table):
        dark = right[row, column] or shares[row, column] < 0.25
        axes.text(
            column, row, table[row, column], ha="center", va="center", fontsize=size, color=INK if dark else "white"
        )
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=size)
    axes.set_yticks(range(len(labels)), labels, fontsize=size)
    axes.set(xlabel="answer", ylabel="truth")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    return figure


@png
def plot_confusion_map(table: np.ndarray) -> Figure:
    """The confusions of many classes at a glance, without names: those taken for each other stand together."""
    figure = Figure((HALF, HALF))
    axes = figure.subplots()
    order = order_by_confusion(table)
    shares = _share_rows(table)[np.ix_(order, order)]
    image = axes.imshow(shares, cmap="YlOrBr", norm=PowerNorm(0.4, 0, 1), interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, shrink=0.7, format=PercentFormatter(1))
    bar.set_label("share of the true class")
    axes.set(xlabel="answer", ylabel="truth", xticks=[], yticks=[])
    axes.grid(visible=False)
    return figure


@png
def plot_class_scores(scores: ClassScores, labels: Sequence[str]) -> Figure:
    """F1 of each class with its precision and recall, lowest first; of many classes the lowest, and how all lie."""
    order = np.argsort(scores.f1, kind="stable")
    few = len(labels) <= FEW
    shown = order if few else order[:_SHOWN]
    figure = Figure((HALF if few else WIDTH, 1.0 + 0.21 * len(shown)))
    panels = figure.subplots(1, 1 if few else 2, squeeze=False, width_ratios=None if few else (3, 2))[0]
    _paint_scores(panels[0], scores, [labels[i] for i in shown], shown)
    if not few:
        panels[0].set_title(f"the {len(shown)} lowest of {len(labels)} classes")
        panels[1].hist(scores.f1, np.linspace(0, 1, 26).tolist(), color=BLUE)
        panels[1].set(title="all classes", xlabel="F1", ylabel="classes")
    return figure


def _paint_scores(axes: Axes, scores: ClassScores, names: Sequence[str], shown: np.ndarray) -> None:
    places = np.arange(len(shown))
    axes.barh(places, scores.f1[shown], color=BLUE, alpha=0.35, height=0.72, label="F1")
    axes.plot(scores.precision[shown], places, ">", color=RED, markersize=4.5, label="precision")
    axes.plot(scores.recall[shown], places, "o", color=INK, markersize=3.5, label="recall")
    axes.set_yticks(places, names)
    least = float(min(scores.f1[shown].min(), scores.precision[shown].min(), scores.recall[shown].min()))
    axes.set(xlim=(max(0.0, np.floor(least * 10 - 0.5) / 10), 1.005), ylim=(len(shown) - 0.4, -0.6))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06 if len(shown) > 12 else -0.12), ncols=3)


def order_by_confusion(table: np.ndarray) -> np.ndarray:
    """Order of the classes in which those stand together that are taken for each other: int64 [classes]."""
    shares = _share_rows(table)
    near = np.minimum(shares + shares.T, 1.0)
    tree = linkage(1 - near[np.triu_indices(len(near), 1)], "average")
    return np.asarray(leaves_list(optimal_leaf_ordering(tree, 1 - near[np.triu_indices(len(near), 1)])))


def pick_confused(table: np.ndarray, count: int = _SHOWN) -> np.ndarray:
    """The classes of the most frequent confusions, at most `count`, ordered by confusion: int64 [count or fewer]."""
    picked: dict[int, None] = {}
    for confusion in top_confusions(table, table.size):
        pair = {confusion.true: None, confusion.said: None}
        if len(picked | pair) <= count:
            picked |= pair
    classes = np.array(sorted(picked), np.int64)
    return classes[order_by_confusion(table[np.ix_(classes, classes)])] if len(classes) > 2 else classes


def _share_rows(table: np.ndarray) -> np.ndarray:
    return np.asarray(table / np.maximum(table.sum(axis=1, keepdims=True), 1))
