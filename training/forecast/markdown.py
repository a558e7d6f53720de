"""Methods side by side, as a Markdown page."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.forecast.comparison import DRAWS, Comparison, compare, tell_interval, write_measure, write_number
from training.forecast.losses import mean_known
from training.forecast.measures import LAG7, OURS, Weeks, measure
from training.recipe.report.markdown import format_rows
from training.recipe.report.terms import describe

_OF_OURS = (
    "mae",
    "rmse",
    "smape",
    "mase1",
    "mase7",
    "wql",
    "crps",
    "coverage_80",
    "coverage_95",
    "width_80",
    "msis_95",
)
_OF_INTERVALS = ("coverage_80", "coverage_95", "width_80", "wql", "mase7", "msis_95")
_TEXT = f"""\
## Mean absolute error over that of {LAG7}

Below 1 is better than the same weekday of last week; the best of a column is bold. "{OURS} / method": geometric mean
over the sources of our error over the method's, with its 95 % interval, and in how many of {DRAWS:,} draws ours is
better, by a paired bootstrap of the first days of the weeks.

{{methods}}

## {OURS} by source

MAE, RMSE and CRPS in the unit of the series, sMAPE from 0 to 200, width over the mean of |actual|.

{{ours}}

## Intervals

Means over the sources.

{{intervals}}
"""


def write_table(sources: Sequence[Weeks], path: Path, title: str, preamble: str) -> None:
    """Writes a Markdown page: `title`, `preamble`, and the tables of `format_tables`."""
    path.write_text(f"# {title}\n\n{preamble.strip()}\n\n{format_tables(sources)}", encoding="utf-8")


def format_tables(sources: Sequence[Weeks]) -> str:
    """Three Markdown tables: every method by source, ours by measure, every method's intervals."""
    comparison = compare(sources)
    return _TEXT.format(
        methods=format_rows(*_list_methods(comparison)),
        ours=format_rows(*_list_ours(sources)),
        intervals=format_rows(*_list_intervals(sources, comparison.methods)),
    )


def _list_methods(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    columns = np.column_stack([comparison.ratios, comparison.means])
    best = np.round(columns, 3) == np.round(np.fmin.reduce(columns, axis=0), 3)
    head = ["method", *comparison.sources, "geometric mean", "mean rank", f"{OURS} / method", f"{OURS} better in"]
    rows = []
    for i, method in enumerate(comparison.methods):
        cells = [f"**{x:.3f}**" if best[i, j] else write_number(x, "{:.3f}") for j, x in enumerate(columns[i])]
        rows.append([method, *cells, write_number(comparison.ranks[i], "{:.1f}"), *tell_interval(comparison, i)])
    return head, rows


def _list_ours(sources: Sequence[Weeks]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for weeks in sources:
        scores = measure(weeks, OURS)
        rows.append([weeks.source, f"{len(weeks.actual):,}", *(write_measure(n, scores[n]) for n in _OF_OURS)])
    return ["source", "weeks", *(describe(name).title for name in _OF_OURS)], rows


def _list_intervals(sources: Sequence[Weeks], methods: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for method in methods:
        scores = [measure(weeks, method) for weeks in sources]
        means = {name: float(mean_known(np.array([score[name] for score in scores]))) for name in _OF_INTERVALS}
        rows.append([method, *(write_measure(name, mean) for name, mean in means.items())])
    return ["method", *(describe(name).title for name in _OF_INTERVALS)], rows
