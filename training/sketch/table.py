"""The table of all families: quality over several seeds, cost side by side."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.recipe.export import Tensors
from training.recipe.family_table import Servable, describe_threads, measure_costs, tabulate
from training.recipe.run import Run
from training.recipe.timing import Arrays, fill_cell
from training.sketch.config import Config
from training.sketch.export import INPUTS
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
    models = {name: _open(seeded[0]) for name, seeded in runs.items()}
    costs = measure_costs(models, INPUTS, _fill_cells(typical_length), _ROUNDS)
    text = _TEXT.format(
        epochs=next(iter(runs.values()))[0].read_config(Config).optimisation.epochs,
        drawings=drawings,
        length=typical_length,
        threads=describe_threads(),
        day=datetime.now(UTC).date().isoformat(),
        table=tabulate(runs, _METRICS, costs, [f"ms, batch {batch}" for batch in _BATCHES]),
    )
    path.write_text(text)


def _fill_cells(typical_length: int) -> list[Arrays]:
    drawing = np.random.default_rng(0).uniform(0, 255, (1, typical_length, 3)).astype(np.float32)
    drawing[..., 2] = np.arange(typical_length) % 12 == 11
    example = {"ink": drawing, "lengths": np.array([typical_length], np.int32)}
    return [fill_cell(example, "ink", "lengths", batch, typical_length) for batch in _BATCHES]


def _open(run: Run) -> Servable:
    model = load_model(run, run.read_config(Config), len(run.metrics["labels"]))

    def serve(inputs: Tensors) -> Tensors:
        return {"probabilities": tf.nn.softmax(model(inputs, training=False))}

    return model, serve
