"""Writes what was found: tables, numbers and a picture."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.peers.cells import HOT
from bench.peers.contestants import CONTESTANTS
from bench.peers.measure import OPEN_SHARE, Pace, Run
from bench.peers.plot import draw_peers
from bench.peers.tables import make_sheets
from bench.peers.verdict import Round, judge
from bench.report import print_sheets, write_report


def publish(
    rounds: Sequence[Round],
    failures: dict[str, str],
    pace: Pace,
    out: Path,
    console: Console,
) -> None:
    """Prints the tables and writes peers.md, peers.json and peers.svg."""
    targets = judge(rounds)
    sheets = make_sheets(rounds, targets, failures)
    print_sheets(sheets, console)
    numbers = {
        "targets": [asdict(target) for target in targets],
        "rounds": [{"raw": one.raw, "runs": {n: _to_json(run) for n, run in one.runs.items()}} for one in rounds],
        "not_installed": failures,
    }
    write_report(out, "peers", describe_method(len(rounds), pace), sheets, numbers)
    draw_peers(rounds, out / "peers.svg")
    console.print(f"written: {out}/peers.md, peers.json and peers.svg")


def describe_method(rounds: int, pace: Pace) -> list[str]:
    """How it was measured, and how everybody was configured."""
    return [
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}; everything on this "
        "machine, the whole of which is each contestant's in its turn",
        f"{rounds} round{'s' if rounds > 1 else ''} in which the contestants take turns: each is started, measured in "
        f"every cell and stopped; {pace.cell_s:g} s a cell after a warm-up; figures and ratios are medians of the "
        "rounds, spread is largest less smallest as a share of the median",
        "the same SavedModels, TensorFlow 2.21.0 on the CPU, the same requests and the same work for all: JSON strokes "
        "(a message in seqserve's gRPC door) to the five best labels, a series of 784 days to seven days with three "
        "quantiles, an H.264 clip of 2 s to the five best labels; peers share seqserve's pure functions that read "
        "drawings, series and clips, and pad drawings to the longest of a batch",
        "one client process for all, closed loop over kept-alive HTTP/1.1 connections or one gRPC channel, requests "
        "made beforehand; it takes its processor time from the same cores: a server that costs little is held back "
        "by it the most, and more so through gRPC",
        f"open loop: calls are due at random moments (Poisson), {OPEN_SHARE:.0%} of what the contestant's faster door "
        "reached in the closed loop with 64 drawings in flight; time counts from the due moment",
        f"half repeated: every other drawing is one of {HOT} asked before; seqserve caches answers, no peer does. All "
        "other cells never send the same item twice",
        "CPU: user and system time of all the server's processes; memory: of all its processes with shared pages "
        "counted once (PSS), highest over the cells; start: until each model has answered once. seqserve keeps "
        "compiled cells on disk; its very first start compiles them for a minute or two more",
        "added: median call with one in flight through the quicker door, less the median call of the graph in a loop, "
        "compiled as seqserve runs it",
        *(f"{c.name}: {c.settings}" for c in CONTESTANTS),
        "TensorFlow Serving and OpenVINO Model Server are not here: PyPI, Debian and npm have no binary of theirs",
    ]


def _to_json(run: Run) -> dict[str, Any]:
    results = {f"{door} {key}": asdict(result) for (door, key), result in run.results.items()}
    return {
        "results": results,
        "open_loop": run.open_loop and asdict(run.open_loop),
        "start_s": run.start_s,
        "memory_mb": run.memory_mb,
        "failure": run.failure,
    }
