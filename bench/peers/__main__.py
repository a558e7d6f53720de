"""`make bench`: seqserve beside other model servers, on the same models, requests and cores.

python -m bench.peers [--only NAME] [--quick] [--rounds N]; `--setup` makes the peers' environments and stops.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from bench.peers.cells import CELLS, Stock
from bench.peers.contestants import CONTESTANTS, ROOT, Contestant
from bench.peers.environments import build_environment, is_built, list_environments, lock_environment
from bench.peers.measure import Pace, Run, measure
from bench.peers.processes import adopt_orphans
from bench.peers.report import publish
from bench.peers.verdict import Raw, Round
from services.platform.ray_cluster import xla_flags

QUICK = Pace(cell_s=0.7, open_s=0.0)
RAW_TIMEOUT_S = 300

console = Console(highlight=False)


def bench(
    only: Annotated[list[str] | None, typer.Option(help="contestants to measure, by a part of their names")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="one short round, kept apart in runs/")] = False,
    rounds: Annotated[int, typer.Option(help="turns of all contestants, a quarter of an hour each", min=1)] = 1,
    cell_s: Annotated[float, typer.Option(help="seconds per cell")] = 2.0,
    open_s: Annotated[float, typer.Option(help="seconds of the open loop")] = 4.0,
    data: Annotated[Path, typer.Option(help="folder of the real data")] = ROOT.parent / "shared" / "data",
    out: Annotated[Path, typer.Option(help="folder of the report")] = ROOT / "bench" / "results",
    setup: Annotated[bool, typer.Option("--setup", help="install the peers and stop")] = False,
    lock: Annotated[bool, typer.Option("--lock", help="resolve the peers' newest versions and stop")] = False,
) -> None:
    """Measure seqserve and its peers."""
    if setup or lock:
        _prepare(lock)
        return
    signal.signal(signal.SIGTERM, _interrupt)
    adopt_orphans()
    chosen = [c for c in CONTESTANTS if not only or any(part.lower() in c.name.lower() for part in only)]
    absent = [c for c in chosen if c.environment and not is_built(c.environment)]
    failures = {c.name: "not installed; make bench-setup says why" for c in absent}
    runners = [c for c in chosen if c.name not in failures]
    pace, stock = QUICK if quick else Pace(cell_s, open_s), Stock(data)
    measured = []
    for number in range(1 if quick else rounds):
        measured.append(_run_round(runners if number % 2 == 0 else runners[::-1], stock, pace, data))
        publish(measured, failures, pace, ROOT / "runs" / "bench-quick" if quick else out, console)


def _prepare(lock: bool) -> None:
    for name in list_environments():
        with console.status(f"{name} …"):
            reason = lock_environment(name) if lock else build_environment(name)
        console.print(f"[red]✗[/red] {name}: {reason}" if reason else f"[green]✓[/green] {name}")


def _run_round(contestants: Sequence[Contestant], stock: Stock, pace: Pace, data: Path) -> Round:
    runs: dict[str, Run] = {}
    with console.status("the SavedModels in a loop …"):
        raw = _measure_raw(data, pace)
    for contestant in contestants:
        with console.status(f"{contestant.name} …"):
            run = measure(contestant, stock, CELLS, pace)
        runs[contestant.name] = run
        console.print(f"[red]✗[/red] {contestant.name}: {run.failure}" if run.failure else f"✓ {contestant.name}")
    return Round(runs, raw)


def _measure_raw(data: Path, pace: Pace) -> Raw:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_XLA_FLAGS": xla_flags()}
    command = [sys.executable, "-m", "bench.peers.servers.raw", str(pace.cell_s), str(data)]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=RAW_TIMEOUT_S
    )
    found: Raw = json.loads(done.stdout.splitlines()[-1])
    return found


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # so that servers are ended on the way out


if __name__ == "__main__":
    typer.run(bench)
