"""The report of a forecaster, from arrays alone: it needs neither the model nor TensorFlow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from training.forecast.comparison import Comparison, compare, write_measure
from training.forecast.levels import QUANTILE_LEVELS
from training.forecast.measures import OURS, Weeks, measure_calibration, measure_days, summarize
from training.forecast.sections import list_days, list_forecasts, list_intervals, list_quality
from training.recipe.publication import Version
from training.recipe.report.page import Headline, Page, Section, write_page
from training.recipe.report.sections import compare_versions, list_costs, list_surroundings, list_training
from training.recipe.report.terms import describe

_OF_DAYS = ("mae", "rmse", "bias", "smape", "mase7", "wql", "coverage_80", "coverage_95", "width_80")


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes:
        title: of the run.
        config: the configuration, JSON types.
        sources: the weeks that were forecast; at least one, each source once.
        history: columns of history.csv.
        costs: latency_ms_batch1, latency_ms_batch32, size_bytes, as far as they were measured.
        extra: further metrics that are shown among them.
        versions: earlier ones, oldest first.
    """

    title: str
    config: Mapping[str, Any]
    sources: Sequence[Weeks]
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    versions: Sequence[Version] = ()


def write_forecast_report(material: Material, folder: Path) -> dict[str, float]:
    """Writes report.html, report.json and the plots into `folder`.

    Returns:
        The metrics, see `measures.summarize`.

    Raises:
        ValueError: there are no sources, or one comes twice.
    """
    names = [weeks.source for weeks in material.sources]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"sources must be at least one, each once, found {names}")
    metrics, comparison = summarize(material.sources), compare(material.sources)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    page = Page(
        title=f"Forecaster, the next {material.sources[0].actual.shape[1]} days",
        subtitle=f"{material.title}, reported {created.replace('T', ' ').removesuffix('+00:00')} UTC",
        headlines=_list_headlines(material, metrics, comparison),
        sections=_list_sections(material, metrics, comparison),
        results={
            "format": 1,
            "recipe": "forecast",
            "title": material.title,
            "created": created,
            **_list_results(material, metrics, comparison),
        },
    )
    write_page(page, folder)
    return metrics


def _list_headlines(material: Material, metrics: Mapping[str, float], comparison: Comparison) -> list[Headline]:
    many = len(material.sources)
    over = f"geometric mean of {many} sources" if many > 1 else material.sources[0].source
    mean = "mean over the sources" if many > 1 else over
    weeks = sum(len(weeks.actual) for weeks in material.sources)

    def show(title: str, name: str, note: str) -> Headline:
        return Headline(title, write_measure(name, metrics[name]), note)

    headlines = [
        show("MAE to lag-7", "mae_to_lag7_geometric_mean", over),
        show("MAE to last value", "mae_to_last_value_geometric_mean", f"{weeks:,} weeks"),
        show("80% interval covers", "coverage_80_mean", mean),
        show("95% interval covers", "coverage_95_mean", mean),
        show("WQL", "wql_mean", mean),
    ]
    if comparison.best_statistical:
        i = comparison.methods.index(comparison.best_statistical)
        interval = f"95% interval {comparison.low[i]:.3f} to {comparison.high[i]:.3f}"
        headlines.insert(1, Headline(f"MAE to {comparison.methods[i]}", f"{comparison.ours[i]:.3f}", interval))
    more = [Headline(describe(name).title, describe(name).write(value)) for name, value in material.extra.items()]
    return headlines + more[:1] + _list_costs(material.costs)


def _list_costs(costs: Mapping[str, float]) -> list[Headline]:
    headlines = []
    if "latency_ms_batch1" in costs:
        note = f"{costs['latency_ms_batch32']:.1f} ms for 32" if "latency_ms_batch32" in costs else ""
        headlines.append(Headline("One forecast", f"{costs['latency_ms_batch1']:.2f} ms", note))
    if "size_bytes" in costs:
        headlines.append(Headline("Size", f"{costs['size_bytes'] / 1e6:.2f} MB"))
    return headlines


def _list_sections(material: Material, metrics: dict[str, float], comparison: Comparison) -> list[Section]:
    sources, versions = material.sources, material.versions
    sections = [list_quality(sources, metrics, comparison)]
    if versions:
        measured = {**_pick_compared(metrics), **material.extra, **material.costs}
        sections.append(compare_versions(measured, versions, (), "this run"))
    sections += [list_days(sources, comparison), list_intervals(sources, comparison), list_forecasts(sources)]
    if material.costs:
        sections.append(list_costs(material.costs, versions, "this run"))
    return [*sections, list_training(material.config, material.history)]


def _pick_compared(metrics: Mapping[str, float]) -> dict[str, float]:
    """What versions are compared by: all that is over the sources, then one error of each source."""
    names = [*(n for n in metrics if n.endswith("_mean")), *(n for n in metrics if n.endswith("_mae_to_lag7"))]
    return {name: metrics[name] for name in names}


def _list_results(material: Material, metrics: Mapping[str, float], comparison: Comparison) -> dict[str, Any]:
    return {
        "metrics": {name: _write_json(value) for name, value in metrics.items()},
        "methods": _list_methods(comparison),
        "levels": list(QUANTILE_LEVELS),
        "sources": [_list_source(weeks) for weeks in material.sources],
        **list_surroundings(material.extra, material.costs, material.versions, material.config),
    }


def _list_methods(comparison: Comparison) -> list[dict[str, Any]]:
    columns = {
        "mae_to_lag7_geometric_mean": comparison.means,
        "mean_rank": comparison.ranks,
        "ours_to_method": comparison.ours,
        "low": comparison.low,
        "high": comparison.high,
        "wins": comparison.wins,
    }
    return [
        {
            "method": method,
            **{name: _write_json(values[i]) for name, values in columns.items()},
            "mae_to_lag7": dict(zip(comparison.sources, map(_write_json, comparison.ratios[i]), strict=True)),
        }
        for i, method in enumerate(comparison.methods)
    ]


def _list_source(weeks: Weeks) -> dict[str, Any]:
    days = measure_days(weeks, OURS)
    return {
        "source": weeks.source,
        "weeks": len(weeks.actual),
        "series": len(set(weeks.series)),
        "days": {name: [_write_json(value) for value in days[name]] for name in _OF_DAYS},
        "calibration": [_write_json(value) for value in measure_calibration(weeks, OURS)],
    }


def _write_json(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return float(value) if math.isfinite(value) else None
