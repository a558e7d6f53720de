"""Families of models side by side: quality over several seeds, and what each costs to serve."""

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.recipe.export import SIGNATURE, Tensors, write_saved_model
from training.recipe.publication import measure_bytes
from training.recipe.report.markdown import format_rows
from training.recipe.run import Run
from training.recipe.timing import Arrays, compile_graph, make_call, time_calls

Servable = tuple[keras.Model, Callable[[Tensors], Tensors]]  # a model, and what is served of it


@dataclass(frozen=True)
class Cost:
    """What serving a model takes.

    Attributes:
        parameters: number of weights.
        size_bytes: of the SavedModel.
        latencies_ms: of one call for each cell, by the faster of the plain graph and the one that XLA compiled.
    """

    parameters: int
    size_bytes: int
    latencies_ms: tuple[float, ...]


def measure_costs(
    models: Mapping[str, Servable], inputs: Mapping[str, tf.TensorSpec], cells: Sequence[Arrays], rounds: int
) -> dict[str, Cost]:
    """Exports all models and times them in turns, so that whatever else runs slows all alike.

    Args:
        inputs: signature of what is served.
        cells: what each is called with; a latency for each.
        rounds: timed calls of each graph.
    """
    sizes, calls = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, (model, serve)) in enumerate(models.items()):
            path = Path(folder) / str(i)
            write_saved_model(model, serve, inputs, path)
            sizes[name] = measure_bytes(path)
            calls += _make_calls(path, cells)
        times_ms = np.array(time_calls(calls, rounds)).reshape(len(models), len(cells), 2).min(axis=-1)
    return {
        name: Cost(model.count_params(), sizes[name], tuple(row))
        for (name, (model, _)), row in zip(models.items(), times_ms.tolist(), strict=True)
    }


def tabulate(
    runs: Mapping[str, Sequence[Run]], metrics: Mapping[str, str], costs: Mapping[str, Cost], cells: Sequence[str]
) -> str:
    """A Markdown table with a row for each family.

    Args:
        runs: finished ones of each family, with different seeds.
        metrics: headings by name of the metric; left empty where a family has no such.
        costs: see `measure_costs`.
        cells: headings of the latencies.
    """
    head = ["family", "seeds", "parameters", "MB", *metrics.values(), *cells]
    rows = []
    for name, seeded in runs.items():
        quality = [tell_seeds(seeded, metric) for metric in metrics]
        cost = costs[name]
        size = f"{cost.size_bytes / 1e6:.2f}"
        times = [f"{ms:.2f}" for ms in cost.latencies_ms]
        rows.append([name, str(len(seeded)), f"{cost.parameters:,}", size, *quality, *times])
    return format_rows(head, rows)


def describe_threads() -> str:
    """How many threads TensorFlow computed with, in words."""
    return f"{tf.config.threading.get_intra_op_parallelism_threads() or 'all'} TensorFlow threads"


def _make_calls(folder: Path, cells: Sequence[Arrays]) -> list[Any]:
    """For each cell: the plain graph, and the one that XLA compiled."""
    loaded = tf.saved_model.load(str(folder))
    signature, calls = loaded.signatures[SIGNATURE], []
    signature.kept = loaded  # its variables live as long as the call
    for cell in cells:
        calls += [make_call(signature, cell), make_call(compile_graph(signature, cell), cell)]
    return calls


def tell_seeds(seeded: Sequence[Run], metric: str) -> str:
    """Mean and standard deviation of a metric over runs of several seeds; "" where one of them has no such."""
    reached = [run.metrics["metrics"] for run in seeded]
    if not all(metric in metrics for metrics in reached):
        return ""
    values = [metrics[metric] for metrics in reached]
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"
