"""The sections that only the report of a forecaster has: how good, on which day, how honest, what it looks like."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from training.forecast.comparison import Comparison, is_statistical, tell_interval, write_measure, write_number
from training.forecast.levels import QUANTILE_LEVELS
from training.forecast.losses import mean_geometrically, mean_known
from training.forecast.measures import LAG7, LAST_VALUE, OURS, Weeks, measure, measure_calibration, measure_days
from training.recipe.report.forecast_plots import Band, plot_bands, plot_days, plot_ratios
from training.recipe.report.interval_plots import plot_calibration, plot_coverage_map
from training.recipe.report.page import Figure, Section, Table
from training.recipe.report.style import BLUE, GREY, SKY
from training.recipe.report.terms import describe

_PANELS, _GALLERY = 23, 12  # sources that are drawn
_HISTORY = 28  # days before a forecast; with more the week itself is too narrow to see
_OF_OURS = ("weeks", "mae", "mae_to_lag7", "mae_to_last_value", "smape", "mase7", "wql")
_MORE_OF_OURS = ("mean_mae", "rmse", "bias", "mase1", "pinball", "crps", "msis_95", "width_80", "width_95")
_OF_INTERVALS = ("coverage_80", "coverage_95", "width_80", "width_95", "wql", "msis_95")
_READ_BARS = (
    "Mean absolute error over that of lag-7, the same weekday of last week, which is the dashed line; shorter is "
    "better. Light blue: models that are fitted to each series anew. Grey: naive forecasts. Long bars are cut."
)
_READ_MAP = (
    "Days that came inside of the interval, in percent. Orange: fewer than promised; violet: more. Of few weeks a "
    "single day tells little."
)


def list_quality(sources: Sequence[Weeks], metrics: Mapping[str, float], comparison: Comparison) -> Section:
    """Ours by source, and every method beside it."""
    names = [weeks.source for weeks in sources]
    shown = comparison.ratios[:, :_PANELS]
    panels = {"geometric mean": comparison.means, **dict(zip(names, shown.T, strict=False))}
    colours = [BLUE if m.startswith(OURS) else SKY if is_statistical(m) else GREY for m in comparison.methods]
    parts: list[Figure | Table | str] = [
        _tabulate_ours("", names, metrics, _OF_OURS),
        replace(_tabulate_ours("More measures", names, metrics, _MORE_OF_OURS), folded=True),
        Figure("ratios", plot_ratios(comparison.methods, colours, panels), _READ_BARS + _tell_shown(names, _PANELS)),
        _tabulate_methods(comparison),
    ]
    if left := sorted({m for weeks in sources for m in weeks.forecasts} - set(comparison.methods)):
        parts.append(f"Not shown, since they forecast only some of the sources: {'; '.join(left)}.")
    return Section("Quality", parts)


def list_days(sources: Sequence[Weeks], comparison: Comparison) -> Section:
    """How the error grows with the distance."""
    best = comparison.best_statistical
    methods = [OURS, LAG7, LAST_VALUE, *([best] if best else [])]
    errors = {w.source: {m: measure_days(w, m)["mae"] for m in methods} for w in sources}
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.array([lines[OURS] / lines[LAG7] for lines in errors.values()])
    ours = [measure_days(weeks, OURS) for weeks in sources]
    means = {name: mean_known(np.array([days[name] for days in ours]), axis=0) for name in _OF_INTERVALS[:3]}
    rows = [
        (str(day + 1), write_number(ratio, "{:.3f}"), *(write_measure(name, means[name][day]) for name in means))
        for day, ratio in enumerate(mean_geometrically(ratios, axis=0))
    ]
    columns = ("day", "MAE to lag-7, geometric mean", *(describe(name).title for name in means))
    shown = dict(list(errors.items())[:_PANELS])
    caption = (
        f"Mean absolute error in the unit of the series; a line that leaves its panel is worse than {OURS} and {LAG7}. "
        "Weeks that roll through a series begin on one weekday: there a day of the horizon is one of the week, too."
    )
    figure = Figure("days", plot_days(shown, "MAE"), caption + _tell_shown(list(errors), _PANELS))
    return Section("By day of the horizon", [figure, Table("Over all sources", columns, rows, "l" + "r" * 4)])


def list_intervals(sources: Sequence[Weeks], comparison: Comparison) -> Section:
    """Whether quantiles and intervals hold what they promise, and how narrow they are."""
    names = [weeks.source for weeks in sources]
    shares = {weeks.source: measure_calibration(weeks, OURS) for weeks in sources[:_PANELS]}
    known = {source: values for source, values in shares.items() if np.isfinite(values).all()}
    covered = [(measure_days(weeks, OURS), measure(weeks, OURS)) for weeks in sources[:_PANELS]]
    panels = {
        f"{level}% interval": (level / 100, darkest, np.array([[*d[name], a[name]] for d, a in covered]))
        for level, darkest, name in ((80, 0.15, "coverage_80"), (95, 0.05, "coverage_95"))
    }
    rows = []
    for method in comparison.methods:
        if all(weeks.forecasts[method].has_intervals for weeks in sources):
            scores = [measure(weeks, method) for weeks in sources]
            means = [float(mean_known(np.array([score[name] for score in scores]))) for name in _OF_INTERVALS]
            rows.append((method, *map(write_measure, _OF_INTERVALS, means)))
    columns = ("mean over the sources", *(describe(name).title for name in _OF_INTERVALS))
    read = "Share of the days that came at or below each quantile: on the dashed line it is what the level promises."
    parts: list[Figure | Table | str] = [
        Figure("calibration", plot_calibration(QUANTILE_LEVELS, known), read + _tell_shown(names, _PANELS)),
        Figure("coverage", plot_coverage_map(names[:_PANELS], panels), _READ_MAP + _tell_shown(names, _PANELS)),
        Table("", columns, rows, "l" + "r" * len(_OF_INTERVALS)),
        "The width is relative to the mean of |actual|. Of two that cover alike the narrower is better; WQL and MSIS "
        "weigh both.",
    ]
    return Section("Intervals", parts)


def list_forecasts(sources: Sequence[Weeks]) -> Section:
    """The best, a typical and the worst week of each source."""
    bands = [band for weeks in sources[:_GALLERY] for band in _pick_bands(weeks)]
    if not bands:
        return Section("Forecasts", ["No day of any week is known."])
    caption = (
        "Of each source the best, a typical and the worst week by absolute error over the scale of the series. The 50% "
        "interval is interpolated between quantiles."
    )
    figure = Figure("forecasts", plot_bands(bands), caption + _tell_shown([w.source for w in sources], _GALLERY))
    return Section("Forecasts", [figure])


def _tabulate_ours(title: str, names: Sequence[str], metrics: Mapping[str, float], measures: Sequence[str]) -> Table:
    rows = [(name, *(write_measure(measure, metrics[f"{name}_{measure}"]) for measure in measures)) for name in names]
    return Table(title, ("source", *(describe(m).title for m in measures)), rows, "l" + "r" * len(measures))


def _tabulate_methods(comparison: Comparison) -> Table:
    rows = [
        (
            method,
            write_number(comparison.means[i], "{:.3f}"),
            write_number(comparison.ranks[i], "{:.1f}"),
            *tell_interval(comparison, i),
        )
        for i, method in enumerate(comparison.methods)
    ]
    columns = ("method", "MAE to lag-7, geometric mean", "mean rank", f"{OURS} / method", f"{OURS} better in")
    return Table("", columns, rows, "lrrrr")


def _tell_shown(names: Sequence[str], most: int) -> str:
    return f" The first {most} of {len(names)} sources." if len(names) > most else ""


def _pick_bands(weeks: Weeks) -> list[Band]:
    error = mean_known(np.abs(weeks.forecasts[OURS].point - weeks.actual), axis=1)
    scaled = error / np.where(weeks.scales[7] > 0, weeks.scales[7], 1)
    order = np.argsort(scaled, kind="stable")[: np.isfinite(scaled).sum()]  # what is not known comes last
    if not len(order):
        return []
    picked = {int(order[-1]): "worst", int(order[(len(order) - 1) // 2]): "typical", int(order[0]): "best"}
    return [
        _make_band(weeks, week, f"{kind}, MAE {write_measure('mae', error[week])}")
        for week, kind in reversed(picked.items())
    ]


def _make_band(weeks: Weeks, week: int, title: str) -> Band:
    levels = dict(zip(QUANTILE_LEVELS, weeks.forecasts[OURS].quantiles[week].T, strict=True))
    name = weeks.source if weeks.series[week] == weeks.source else f"{weeks.source} {weeks.series[week]}"
    return Band(
        title=f"{name}\n{title}",
        first_day=int(weeks.first_day[week]),
        history=weeks.history[week, -_HISTORY:],
        actual=weeks.actual[week],
        middle=levels[0.5],
        intervals={
            "95% interval": (levels[0.025], levels[0.975]),
            "80% interval": (levels[0.1], levels[0.9]),
            "50% interval": ((levels[0.2] + levels[0.3]) / 2, (levels[0.7] + levels[0.8]) / 2),
        },
        reference=weeks.forecasts[LAG7].mean[week],
    )
