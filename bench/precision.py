"""`make bench-precision`: what numbers of half the size, XLA and larger batches are worth on this processor or GPU.

The bundled graphs as they are: exported and compiled by XLA, each in float32, in float32 by TF32 (GPUs from Ampere on),
and with the products that TensorFlow's graph optimizer makes float16 (GPU) or bfloat16 (CPU, oneDNN). Beside the times
stands how far answers move from the golden ones, which decides whether a version may be served so.
"""

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tensorflow as tf
import typer
from rich.console import Console

from bench.report import Sheet, print_sheets, write_report
from bench.subject import read_lattice
from services.platform.ray_cluster import xla_flags
from services.runtime.artifact import read_golden
from training.recipe.timing import compile_graph, fill_cell, make_call, time_calls

ROOT = Path(__file__).resolve().parent.parent
ON_GPU = bool(tf.config.list_physical_devices("GPU"))
HALF = "auto_mixed_precision" if ON_GPU else "auto_mixed_precision_onednn_bfloat16"

console = Console(highlight=False)


@dataclass(frozen=True)
class Arithmetic:
    """How TensorFlow is told to compute.

    Attributes:
        title: in the tables.
        options: of the graph optimizer.
        is_tf32: whether products of float32 may drop thirteen bits.
    """

    title: str
    options: Mapping[str, bool]
    is_tf32: bool = False

    def wrap(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """The same call, computed so."""

        def computed() -> Any:
            tf.config.optimizer.set_experimental_options(dict(self.options))
            tf.config.experimental.enable_tensor_float_32_execution(self.is_tf32)
            return call()

        return computed


ARITHMETICS = (
    Arithmetic("float32", {HALF: False}),
    *([Arithmetic("TF32", {HALF: False}, is_tf32=True)] if ON_GPU else []),
    Arithmetic("float16" if ON_GPU else "bfloat16", {HALF: True}),
)


def bench(
    batches: Annotated[list[int] | None, typer.Option("--batch", help="batch sizes; several times")] = None,
    rounds: Annotated[int, typer.Option(help="timed calls per cell and way", min=1)] = 15,
    models: Annotated[Path, typer.Option(help="folder of the models")] = ROOT / "models",
    out: Annotated[Path, typer.Option(help="folder of the report")] = ROOT / "bench" / "results",
) -> None:
    """Time the bundled graphs in several arithmetics."""
    os.environ.setdefault("TF_XLA_FLAGS", xla_flags())
    sizes = batches or ([1, 8, 32, 128, 512] if ON_GPU else [1, 8, 32])
    sheets = [_bench_model(models / name / "1", sizes, rounds) for name in ("sketch", "forecast", "video")]
    print_sheets(sheets, console)
    device = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0]) if ON_GPU else {}
    method = [
        f"{device.get('device_name', platform.machine())}, {os.cpu_count()} cores, TensorFlow {tf.__version__}",
        f"longest length of each lattice; lower quartile of {rounds} calls, arrays to tensors and back included; all "
        "ways take turns",
        "items per second; error: largest difference of an output from the golden answers, over their largest value",
    ]
    write_report(out, "precision", method, sheets, {s.title: [list(r) for r in s.rows] for s in sheets})
    console.print(f"written: {out / 'precision.md'}")


def _bench_model(version: Path, batches: list[int], rounds: int) -> Sheet:
    lattice, (golden, expected) = read_lattice(version), read_golden(version)
    loaded = tf.saved_model.load(str(version))  # the function alone does not keep its variables alive
    function = loaded.signatures["serving_default"]
    rows, titles = [], [f"{way.title}, {graph}" for way in ARITHMETICS for graph in ("exported", "XLA")]
    for batch in batches:
        inputs = fill_cell(golden, lattice.padded_input, lattice.lengths_input, batch, lattice.lengths[-1])
        times_ms = time_calls(_make_calls(function, inputs), rounds)
        rows.append((str(batch), *(f"{batch / ms * 1e3:,.0f}" for ms in times_ms)))
    rows.append(("error", *(f"{_measure_error(call(), expected):.1g}" for call in _make_calls(function, golden))))
    return Sheet(version.parent.name, ("batch", *titles), rows)


def _make_calls(function: Any, inputs: Mapping[str, np.ndarray]) -> list[Callable[[], Any]]:
    """Both graphs in every arithmetic, in the order of the tables' columns."""
    return [
        way.wrap(make_call(graph, inputs))
        for way in ARITHMETICS
        for graph in (function, compile_graph(function, inputs))
    ]


def _measure_error(answer: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """Largest difference of an output, as a share of that output's largest value."""
    return max(float(np.abs(answer[n] - e).max() / np.abs(e).max()) for n, e in expected.items())


if __name__ == "__main__":
    typer.run(bench)
