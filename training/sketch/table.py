"""The table of all families: quality over several seeds, cost side by side."""

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from training.recipe.export import SIGNATURE, Tensors, write_saved_model
from training.recipe.publication import measure_bytes
from training.recipe.run import Run
from training.recipe.timing import compile_graph, fill_cell, make_call, time_calls
from training.sketch.config import Config
from training.sketch.export import INPUTS
from training.sketch.models.classifier import SketchClassifier
from training.sketch.train import load_model

_BATCHES = (1, 32)
_ROUNDS = 60
_METRICS = {"top1": "top-1", "top3": "top-3", "outside_top1": "outside", "nll": "NLL", "ece": "ECE"}
_TEXT = """\
# The families of the sketch recipe

{epochs} epochs of {drawings} each: mean ± standard deviation over the seeds, on the test split. "outside": top-1 on
official drawings of the same classes from outside of the pack. Times: one call of the graph that would be served (the
faster of plain and compiled by XLA), batch × {length} points (the median), all families in turns on one machine with
{threads}: compare them with each other only. Size: the SavedModel. Written by `make families` on {day}.

{table}
"""


def write_table(runs: Mapping[str, Sequence[Run]], typical_length: int, drawings: str, path: Path) -> None:
    """Writes the table of finished runs, each family's of several seeds, as Markdown.

    Args:
        runs: by name of the family.
        typical_length: points of the drawings that are timed.
        drawings: what the runs learned from, in words.
        path: the file.
    """
    costs = measure_costs({name: seeded[0] for name, seeded in runs.items()}, typical_length)
    head = ["family", "seeds", "parameters", "MB", *_METRICS.values(), *(f"ms, batch {batch}" for batch in _BATCHES)]
    rows = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for name, seeded in runs.items():
        metrics = [run.metrics["metrics"] for run in seeded]
        quality = [
            _mean_and_spread([m[metric] for m in metrics]) if metric in metrics[0] else "" for metric in _METRICS
        ]
        cost = costs[name]
        times = [f"{ms:.2f}" for ms in cost["latency_ms"]]
        rows.append(
            [name, str(len(seeded)), f"{cost['parameters']:,}", f"{cost['size_bytes'] / 1e6:.2f}", *quality, *times]
        )
    first = next(iter(runs.values()))
    text = _TEXT.format(
        epochs=first[0].read_config(Config).optimisation.epochs,
        drawings=drawings,
        length=typical_length,
        threads=f"{tf.config.threading.get_intra_op_parallelism_threads() or 'all'} TensorFlow threads",
        day=datetime.now(UTC).date().isoformat(),
        table="\n".join(f"| {' | '.join(row)} |" for row in rows),
    )
    path.write_text(text)


def measure_costs(runs: Mapping[str, Run], typical_length: int) -> dict[str, dict[str, Any]]:
    """Parameters, size_bytes and latency_ms (one per batch size) of each model, as exported."""
    costs: dict[str, dict[str, Any]] = {}
    calls = []
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, run) in enumerate(runs.items()):
            model = load_model(run, run.read_config(Config), len(run.metrics["labels"]))
            path = Path(folder) / str(i)
            write_saved_model(model, _make_serve(model), INPUTS, path)
            costs[name] = {"parameters": model.count_params(), "size_bytes": measure_bytes(path)}
            calls += _make_calls(path, typical_length)
        times_ms = np.array(time_calls(calls, _ROUNDS)).reshape(len(runs), len(_BATCHES), 2).min(axis=-1)
    for cost, row in zip(costs.values(), times_ms, strict=True):
        cost["latency_ms"] = row.tolist()
    return costs


def _make_calls(folder: Path, typical_length: int) -> list[Any]:
    """For each batch size: the plain graph, and the one that XLA compiled."""
    loaded = tf.saved_model.load(str(folder))
    signature, calls = loaded.signatures[SIGNATURE], []
    signature.kept = loaded  # its variables live as long as the call
    drawing = np.random.default_rng(0).uniform(0, 255, (1, typical_length, 3)).astype(np.float32)
    drawing[..., 2] = np.arange(typical_length) % 12 == 11
    example = {"ink": drawing, "lengths": np.array([typical_length], np.int32)}
    for batch in _BATCHES:
        inputs = fill_cell(example, "ink", "lengths", batch, typical_length)
        calls += [make_call(signature, inputs), make_call(compile_graph(signature, inputs), inputs)]
    return calls


def _make_serve(model: SketchClassifier) -> Any:
    def serve(inputs: Tensors) -> Tensors:
        return {"probabilities": tf.nn.softmax(model(inputs, training=False))}

    return serve


def _mean_and_spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"
