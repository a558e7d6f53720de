"""What came of the trials of a search: as a table, as JSON and as CSV."""

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried.

    Attributes:
        name: of its folder.
        values: what it has other than the configuration that was searched from, by dotted name.
        score: the metric after its last epoch; None without one.
        epochs: how many it trained, fewer than the configuration's where it was ended early.
        duration_s: of the training.
        error: what it failed of; "" where it did not.
    """

    name: str
    values: dict[str, Any]
    score: float | None
    epochs: int
    duration_s: float
    error: str = ""


def rank(trials: tuple[Trial, ...], mode: str) -> tuple[Trial, ...]:
    """The best first; those without a score, or with an error, last."""
    sign = -1 if mode == "max" else 1
    return tuple(sorted(trials, key=lambda t: (bool(t.error), t.score is None, sign * (t.score or 0.0), t.name)))


def write_trials(trials: tuple[Trial, ...], folder: Path) -> None:
    """Writes trials.json and trials.csv."""
    (folder / "trials.json").write_text(json.dumps([asdict(trial) for trial in trials], indent=2) + "\n")
    names = sorted({name for trial in trials for name in trial.values})
    with (folder / "trials.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "score", "epochs", "duration_s", *names, "error"])
        for t in trials:
            rows.writerow(
                [t.name, t.score, t.epochs, round(t.duration_s, 1), *(t.values.get(n) for n in names), t.error]
            )


def draw_table(trials: tuple[Trial, ...], metric: str) -> Table:
    """The trials as a table for the terminal."""
    table = Table(title="trials", header_style="bold")
    names = sorted({name for trial in trials for name in trial.values})
    for heading in ("trial", metric, "epochs", "seconds", *names, "error"):
        table.add_column(heading, overflow="fold")
    for t in trials:
        score = "" if t.score is None else f"{t.score:.4g}"
        shown = (_show(t.values.get(name)) for name in names)
        table.add_row(t.name, score, str(t.epochs), f"{t.duration_s:.0f}", *shown, t.error)
    return table


def _show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
