"""Faults under load on a cluster of several machines, in docs/faults.md: `python -m bench.faults`."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bench.faults.machines import isolate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.faults.trial import Trial

console = Console()


def run(
    rate: Annotated[float, typer.Option(help="calls per second", min=1)] = 40.0,
    only: Annotated[list[str] | None, typer.Option(help="names of the scenarios to try; all without it")] = None,
    soak_minutes: Annotated[float, typer.Option(help="soak the same platform for so long afterwards", min=0)] = 0.0,
) -> None:
    """Lets every fault happen under load; ends with 1 where a call failed that another instance could have answered."""
    isolate("bench.faults", sys.argv[1:])
    from bench.faults.campaign import describe, try_all  # what follows takes seconds to import, and runs inside
    from bench.faults.cluster import Cluster
    from bench.faults.report import keep_soak, keep_trials
    from bench.faults.soak import soak

    cluster = Cluster(Path(tempfile.mkdtemp(prefix="sf-")))
    console.print(f"logs: {cluster.folder}")
    with console.status("starting the platform on five machines …"):
        cluster.start()

    def keep(trials: "Sequence[Trial]", upgrades: "Sequence[Trial]") -> None:
        keep_trials(trials, upgrades, describe(rate))

    trials, upgrades = asyncio.run(try_all(cluster, rate, only or [], console, keep))
    if soak_minutes:
        keep_soak(asyncio.run(soak(cluster, soak_minutes, 0.0))[0])
    bad = [trial.name for trial in (*trials, *upgrades) if not trial.is_good]
    if bad:
        console.print(f"[red]calls failed:[/red] {', '.join(bad)}")
    raise typer.Exit(1 if bad else 0)


if __name__ == "__main__":
    typer.run(run)
