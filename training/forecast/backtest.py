"""One table: the forecaster, and one that never saw the source, beside what people pick instead."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version as metadata_version
from pathlib import Path
from typing import Annotated

import typer

from training.forecast.config import PRESETS, Config
from training.forecast.data import Series, group_by_source, open_series
from training.forecast.evaluate import Serve, judge, load_serve
from training.forecast.formats.columns import Columns
from training.forecast.markdown import write_table
from training.forecast.measures import OURS, Forecasts, Weeks
from training.forecast.protocol import SOURCE, run_protocol, tell_protocol
from training.forecast.report import Material, write_forecast_report
from training.forecast.sources import SOURCES
from training.forecast.statistical import forecast_statistically
from training.forecast.train import open_run
from training.recipe.repetition import train_once

UNSEEN = "seqserve, never saw the source"
_PREAMBLE = """\
Forecasts of the next seven days from rolling origins without overlap, on days that nothing was fitted on. {version} is
one model for all series; statsforecast's models are fitted anew before each forecast, to three years of history where
there are so many. "{unseen}": for each source a model of the same recipe ({unseen_training}) that was trained without
it and what is akin to it. Absolute errors are those of the median.

Written by `make backtest` on {day}; statsforecast {statsforecast}. Choices of the recipe were made with an eye on these
weeks, so the row that never saw a source is the more careful claim.
"""
_PROTOCOL = """\

## NN5, 56 days ahead

The Monash archive (Godahewa et al. 2021, arXiv:2105.06643) forecasts 56 days of the 111 series from one origin. Here
they are the last 56 days of the pack, which lie before those of the archive, and the seven-day model is rolled: its
medians become history, eight times. Missing days are filled as the archive fills them. Mean MAE over all series;
methods with both figures tell how far the two periods weigh the same.

{table}
"""


def backtest(serve: Serve, series: Sequence[Series], cache: Path, processes: int) -> list[Weeks]:
    """Forecasts the judged weeks of all sources by a model, naively, and by statsforecast's models."""
    return [add_statistical(weeks, series, cache, processes) for weeks in judge(serve, series)]


def leave_out(config: Config, data_dir: Path, series: Sequence[Series], runs_dir: Path) -> dict[str, Forecasts]:
    """Forecasts of each source by a model that was trained without it and its kin; trains what is not trained yet."""
    forecasts = {}
    for source in group_by_source(series):
        kin = find_kin(source, series)
        run = train_once("forecast", f"without {', '.join(kin)}", replace(config, left_out=kin), data_dir, runs_dir)
        (weeks,) = judge(open_run(run), [one for one in series if one.source == source])
        forecasts[source] = weeks.forecasts[OURS]
    return forecasts


def find_kin(source: str, series: Sequence[Series]) -> tuple[str, ...]:
    """The source and those akin to it."""

    def family(name: str) -> str:
        return SOURCES[name].family if name in SOURCES else name

    return tuple(name for name in group_by_source(series) if family(name) == family(source))


def add_statistical(weeks: Weeks, series: Sequence[Series], cache: Path, processes: int) -> Weeks:
    """Adds what statsforecast's models say, each fitted to all that lies before the week."""
    by_name = {one.name: one for one in group_by_source(series)[weeks.source]}
    places = zip(weeks.series, weeks.first_day, strict=True)
    histories = [by_name[name].values[: first_day - by_name[name].first_day] for name, first_day in places]
    found = forecast_statistically(histories, cache, processes)
    more = {name: Forecasts(mean, quantiles) for name, (mean, quantiles) in found.items()}
    return replace(weeks, forecasts={**weeks.forecasts, **more})


def main(
    data: Annotated[Path, typer.Option(help="the data pack, or a file or folder of daily series")],
    model: Annotated[Path, typer.Option(help="folder of the version")] = Path("models/forecast/1"),
    runs: Annotated[Path, typer.Option(help="runs that leave a source out; kept")] = Path("runs/backtest"),
    cache: Annotated[Path, typer.Option(help="folder of statsforecast's forecasts; kept")] = Path("runs/statistical"),
    processes: Annotated[int, typer.Option(help="that share statsforecast's work")] = 2,
    table: Annotated[Path, typer.Option(help="where the table goes")] = Path("docs/forecast-backtest.md"),
    report: Annotated[Path, typer.Option(help="where report.html goes")] = Path("runs/backtest/report"),
) -> None:
    """Writes the table and a report with plots."""
    series, serve = open_series(data, Columns()), load_serve(model)
    sources = backtest(serve, series, cache, processes)
    config = PRESETS["unseen"]
    unseen = leave_out(config, data, series, runs)
    sources = [_insert(weeks, unseen[weeks.source]) for weeks in sources]
    preamble = _PREAMBLE.format(
        version=f"{model.parent.name} version {model.name}",
        unseen=UNSEEN,
        unseen_training=f"one network, {config.optimisation.epochs * config.steps_per_epoch:,} steps",
        day=datetime.now(UTC).date().isoformat(),
        statsforecast=metadata_version("statsforecast"),
    )
    write_table(sources, table, "Seven days ahead: backtests", preamble)
    if nn5 := [one for one in series if one.source == SOURCE]:
        found = run_protocol(serve, nn5, cache, processes)
        table.write_text(table.read_text() + _PROTOCOL.format(table=tell_protocol(found)))
    write_forecast_report(Material(f"{model.parent.name} version {model.name}", {}, sources), report)


def _insert(weeks: Weeks, unseen: Forecasts) -> Weeks:
    ours, *others = weeks.forecasts.items()
    return replace(weeks, forecasts=dict([ours, (UNSEEN, unseen), *others]))


if __name__ == "__main__":
    typer.run(main)
