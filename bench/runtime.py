"""`make bench-runtime`: what batching, lengths and compiled graphs are worth on this machine.

For each bundled model: a race of the runtime's batcher with a naive one and with the bare graph, and every cell of
its lattice beside the plain Keras export of the same network.
"""

import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.contestants import NAIVE_BATCH, NAIVE_WAIT_S
from bench.graphs import GraphTiming, compare_graphs, load_plain
from bench.race import Standing, make_sheet, race, to_json
from bench.report import Sheet, print_sheets, write_report
from bench.rows import draw_sketch_rows, read_golden_rows
from bench.subject import load_subject, read_lattice
from services.platform.ray_cluster import xla_flags
from services.runtime.execution.saved_model import configure_tensorflow
from services.runtime.settings import ServingSettings

ROOT = Path(__file__).resolve().parent.parent
IN_FLIGHT = (16, 64, 256)
LESS_IN_FLIGHT = (16, 64)

console = Console(highlight=False)


def bench(
    rounds: Annotated[int, typer.Option(help="races of each model", min=1)] = 5,
    seconds: Annotated[float, typer.Option(help="length of one run")] = 1.5,
    calls: Annotated[int, typer.Option(help="timed calls per cell and graph", min=1)] = 25,
    models: Annotated[Path, typer.Option(help="folder of the models")] = ROOT / "models",
    data: Annotated[Path, typer.Option(help="folder of the real data")] = ROOT.parent / "shared" / "data",
    out: Annotated[Path, typer.Option(help="folder of the report")] = ROOT / "bench" / "results",
) -> None:
    """Compare the runtime's batcher and graphs with plainer ones."""
    os.environ.setdefault("TF_XLA_FLAGS", xla_flags())  # compiled cells are kept, as `seqserve up` keeps them
    settings = ServingSettings(models_dir=str(models))
    configure_tensorflow(settings.intra_op_threads, settings.inter_op_threads)
    method, sheets, numbers = _describe_machine(settings, rounds, seconds, calls), [], {}
    for name in ("sketch", "forecast", "video"):
        folder = models / name / "1"
        standings, timings, source = _bench_model(name, folder, data, rounds, seconds, calls)
        method.append(f"{name}: {source}")
        made = [make_sheet(f"{name}: ways to batch", standings), _make_graph_sheet(name, timings)]
        print_sheets(made, console)
        sheets += made
        numbers[name] = {"race": to_json(standings), "cells": [_cell_to_json(t) for t in timings]}
    write_report(out, "runtime", method, sheets, numbers)
    console.print(f"written: {out / 'runtime.md'} and {out / 'runtime.json'}")


def _bench_model(
    name: str, folder: Path, data: Path, rounds: int, seconds: float, calls: int
) -> tuple[list[Standing], list[GraphTiming], str]:
    lattice = read_lattice(folder)
    rows, source = draw_sketch_rows(data) if name == "sketch" else read_golden_rows(folder, lattice)
    subject = load_subject(folder, lattice)
    with tempfile.TemporaryDirectory() as plain:
        timings = compare_graphs(subject, load_plain(subject, Path(plain)), rows, calls)
    in_flight = IN_FLIGHT if lattice.padded_input else LESS_IN_FLIGHT
    return race(subject, rows, in_flight, rounds, seconds), timings, source


def _describe_machine(settings: ServingSettings, rounds: int, seconds: float, calls: int) -> list[str]:
    versions = ", ".join(f"{p} {version(d)}" for p, d in (("TensorFlow", "tensorflow-cpu"), ("Keras", "keras")))
    threads = f"{settings.intra_op_threads} intra-op, {settings.inter_op_threads} inter-op"
    return [
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {versions}",
        f"TensorFlow threads {threads}; batches at the same time: {settings.workers} (a replica's defaults)",
        f"races: median of {rounds} rounds in which the contestants take turns, {seconds:g} s each; clients in a "
        "closed loop in the same process; latency of a row from asking to answer, of a call for the raw graph",
        f"naive batching: first in, first out, up to {NAIVE_BATCH} rows or {NAIVE_WAIT_S * 1e3:g} ms, padded to the "
        "longest, the graph as exported",
        "raw: the graphs that the manifest chose, called in a loop without queue or event loop. The limit: rows are "
        "sorted into full batches beforehand. Of raw: in the very cells that our batcher chose in the run before",
        f"cells: lower quartile of {calls} calls in turns; plain Keras: same layers and weights, `keras.export`",
    ]


def _make_graph_sheet(name: str, timings: list[GraphTiming]) -> Sheet:
    rows = [(str(t.cell), t.graph, f"{t.keras_ms:.2f}", f"{t.ours_ms:.2f}", f"{t.speedup:.2f}") for t in timings]
    return Sheet(f"{name}: graphs per cell", ("batch x length", "graph", "plain Keras ms", "ours ms", "speed-up"), rows)


def _cell_to_json(timing: GraphTiming) -> dict[str, Any]:
    return {
        "batch": timing.cell.batch,
        "length": timing.cell.length,
        "graph": timing.graph,
        "keras_ms": round(timing.keras_ms, 3),
        "ours_ms": round(timing.ours_ms, 3),
    }


if __name__ == "__main__":
    typer.run(bench)
