"""Plots that any recipe may want; each function returns a PNG."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from training.recipe.report.style import BLUE, GREEN, GREY, HALF, INK, ORANGE, PURPLE, RED, SKY, WIDTH, png

_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)
_NOT_DRAWN = ("epoch", "learning_rate")


@png
def plot_learning_curves(history: Mapping[str, np.ndarray]) -> Figure:
    """One panel per measure of the training rows with the same of the validation rows, and the learning rate.

    Args:
        history: columns of history.csv, [epochs] each: "epoch", measures, the same with "val_", "learning_rate".
    """
    names = [n for n in history if not n.startswith("val_") and n not in _NOT_DRAWN]
    names += ["learning_rate"] * ("learning_rate" in history)
    figure = Figure((WIDTH, 2.9))
    epochs = history["epoch"] + 1
    for axes, name in zip(_row(figure, len(names)), names, strict=True):
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        marker = "o" if len(epochs) == 1 else ""
        training = name if name == "learning_rate" else "training"
        axes.plot(epochs, history[name], color=GREY if name == "learning_rate" else BLUE, marker=marker, label=training)
        if f"val_{name}" in history:
            _plot_validation(axes, epochs, history[f"val_{name}"], name, marker)
    return figure


def _plot_validation(axes: Axes, epochs: np.ndarray, values: np.ndarray, name: str, marker: str) -> None:
    axes.plot(epochs, values, color=ORANGE, marker=marker, label="validation")
    if np.isfinite(values).any():
        best = int(np.nanargmax(values) if "accuracy" in name else np.nanargmin(values))
        label = f"best {values[best]:.4g}, epoch {epochs[best]:.0f}"
        axes.plot(epochs[best], values[best], "o", color=ORANGE, markeredgecolor=INK, label=label)
    axes.legend()


@png
def plot_shares(
    x: Sequence[float], lines: Mapping[str, Sequence[float]], band: tuple[Sequence[float], Sequence[float]], title: str
) -> Figure:
    """Shares against a share, as of right answers against the fraction drawn.

    Args:
        x: places of the points, 0 to 1, rising.
        lines: values of each line by its name, as many as places.
        band: lower and upper bound of the first line.
        title: of the horizontal axis.
    """
    figure = Figure((HALF, 3.4))
    (axes,) = _row(figure, 1)
    axes.fill_between(x, *band, color=BLUE, alpha=0.15, linewidth=0)
    for colour, (name, values) in zip(_COLOURS, lines.items(), strict=False):
        axes.plot(x, values, "o-", color=colour, markersize=4, label=name)
    axes.set(xlabel=title, xlim=(min(x) - 0.06, max(x) + 0.06), ylim=(min(0.0, *band[0]), 1.02))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(loc="lower right")
    return figure


@png
def plot_bars(names: Sequence[str], panels: Mapping[str, Sequence[float]]) -> Figure:
    """One panel of horizontal bars per quantity, such as latency and size of several versions.

    Args:
        names: of the bars, from the top; the first is emphasised.
        panels: title with unit -> one value per name, NaN where it is not known.
    """
    figure = Figure((WIDTH, 1.1 + 0.36 * len(names)))
    for axes, (title, values) in zip(_row(figure, len(panels)), panels.items(), strict=True):
        known = np.nan_to_num(np.asarray(values, np.float64))
        axes.barh(range(len(names)), known, color=[BLUE, *[GREY] * (len(names) - 1)], height=0.6)
        for place, value in enumerate(values):
            text = f" {value:,.3g}" if np.isfinite(value) else " not measured"
            axes.text(known[place], place, text, va="center", fontsize=8.5)
        axes.set(title=title, ylim=(len(names) - 0.5, -0.5), xlim=(0, 1.3 * max(known.max(), 1e-9)))
        axes.set_yticks(range(len(names)), names if axes is figure.axes[0] else [""] * len(names))
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(axis="y", length=0)
    return figure


@png
def plot_gallery(captions: Sequence[tuple[str, str]], paint: Callable[[Axes, int], None], columns: int = 6) -> Figure:
    """Pictures in rows and columns with two lines under each: what it is, and what was said.

    Args:
        captions: the two lines of each picture; the second is emphasised.
        paint: draws the picture of this number into square axes without ticks.
        columns: pictures per row.
    """
    rows = -(-len(captions) // columns)
    figure = Figure((WIDTH, 1.85 * rows))
    for number, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_box_aspect(1)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if number < len(captions):
            axes.set_facecolor("#f7f8fa")
            paint(axes, number)
            true, said = captions[number]
            axes.text(0.5, -0.03, true, transform=axes.transAxes, ha="center", va="top", fontsize=8.5)
            axes.text(0.5, -0.16, said, transform=axes.transAxes, ha="center", va="top", fontsize=8.5, color=RED)
        else:
            axes.set_visible(False)
    return figure


def _row(figure: Figure, panels: int) -> list[Axes]:
    return list(figure.subplots(1, panels, squeeze=False)[0])
