"""The sections that the report of any recipe has."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.recipe.publication import Version
from training.recipe.report.page import Figure, Section, Table
from training.recipe.report.plots import plot_bars, plot_learning_curves
from training.recipe.report.terms import describe

_VERSIONS = 4  # earlier ones that are shown
_EARLIER = (
    "The figures of earlier versions are those of their manifests: of the test data and the machine of then. "
    "seqserve export measures the newest one again, on the test data of this run, before it publishes."
)


def list_training(config: Mapping[str, Any], history: Mapping[str, np.ndarray]) -> Section:
    """How it learned, and from which configuration.

    Args:
        config: JSON types, nested.
        history: columns of history.csv; empty where there is none.
    """
    rows = flatten_config(config)
    table = Table("Configuration", ("field", "value"), rows, "ll", folded=len(rows) > 12)
    if not history:
        return Section("Training", [table])
    caption = (
        "Training rows are measured while the weights still move and, where the recipe does so, on altered rows with "
        "dropout; validation rows after each epoch, as they are."
    )
    return Section("Training", [Figure("learning_curves", plot_learning_curves(history), caption), table])


def list_surroundings(
    extra: Mapping[str, float], costs: Mapping[str, float], versions: Sequence[Version], config: Mapping[str, Any]
) -> dict[str, Any]:
    """What a report has beside its own results, as JSON types."""
    earlier = [
        {"version": v.number, "created": v.created, "size_bytes": v.size_bytes, "metrics": dict(v.metrics)}
        for v in versions
    ]
    return {"extra": dict(extra), "costs": dict(costs), "versions": earlier, "config": dict(config)}


def flatten_config(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Dotted names, as `--set` takes them, and values."""
    rows: list[tuple[str, str]] = []
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            rows += flatten_config(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    return rows


def list_costs(costs: Mapping[str, float], versions: Sequence[Version], title: str) -> Section:
    """Time and size beside those of the earlier versions.

    Args:
        costs: latency_ms_batch<n>, size_bytes: what was measured of the run; at least one.
        versions: earlier ones, oldest first.
        title: of this run.
    """
    earlier = _pick_newest(versions)
    columns = [costs, *map(_gather_figures, earlier)]
    panels = {
        _title_panel(name): [column.get(name, float("nan")) / describe(name).unit for column in columns]
        for name in costs
    }
    then = "Latencies of earlier versions were measured when they were exported, perhaps on another machine."
    bars = plot_bars([title, *(version.title for version in earlier)], panels)
    return Section("Time and size", [Figure("costs", bars, then if earlier else "Measured on the machine of the run.")])


def compare_versions(
    metrics: Mapping[str, float], versions: Sequence[Version], labels: Sequence[str], title: str
) -> Section:
    """This run beside the earlier versions, newest first, as their manifests tell it.

    Args:
        metrics: of this run, with its costs.
        versions: earlier ones, oldest first; at least one.
        labels: of this run.
        title: of this run.
    """
    earlier = _pick_newest(versions)
    newest, comparable, rows = _gather_figures(earlier[0]), set(labels) == set(earlier[0].labels), []
    for name in [n for n in metrics if any(n in _gather_figures(version) for version in earlier)]:
        term, known = describe(name), [_gather_figures(version).get(name) for version in earlier]
        judged = term.judge(metrics[name], newest[name]) if comparable and name in newest else ""
        then = ["–" if value is None else term.write(value) for value in known]
        rows.append((term.title, term.write(metrics[name]), judged, *then))
    columns = ("measure", title, f"than version {earlier[0].number}", *(_title_column(v) for v in earlier))
    parts: list[Table | str] = [Table("", columns, rows, "lrl" + "r" * len(earlier)), _EARLIER]
    if not comparable:
        count = len(earlier[0].labels)
        parts.insert(0, f"{earlier[0].title} has other labels, {count} of them: the figures do not compare.")
    return Section("Earlier versions", parts)


def _title_column(version: Version) -> str:
    return f"version {version.number}, {version.created[:10]}"


def _pick_newest(versions: Sequence[Version]) -> list[Version]:
    return list(versions)[: -_VERSIONS - 1 : -1]


def _gather_figures(version: Version) -> dict[str, float]:
    return {**version.metrics, "size_bytes": float(version.size_bytes)}


def _title_panel(name: str) -> str:
    return "Size, MB" if name == "size_bytes" else f"{describe(name).title}, ms"
