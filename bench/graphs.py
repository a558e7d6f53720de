"""Each cell of a lattice: the plain Keras export of the same network beside the graph that the runtime runs there."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench.plain_keras import export_plain
from bench.subject import Subject, fill_cell
from services.runtime.artifact import read_golden
from services.runtime.execution.lattice import Cell, Graph, Row
from services.runtime.execution.saved_model import Function, load_functions
from training.recipe.timing import time_calls

EQUAL_TO = 1e-4


@dataclass(frozen=True)
class GraphTiming:
    """Milliseconds per call of one cell."""

    cell: Cell
    graph: Graph
    keras_ms: float
    ours_ms: float

    @property
    def speedup(self) -> float:
        """How many times as fast as the plain Keras export."""
        return self.keras_ms / self.ours_ms


def load_plain(subject: Subject, folder: Path) -> Function:
    """Exports the plain Keras network with the subject's weights to `folder` and checks that it answers alike.

    Raises:
        ValueError: its answers to the golden batch differ.
    """
    export_plain(subject.name, subject.version, folder)
    plain = load_functions(folder)["serving_default"]
    inputs, expected = read_golden(subject.version)
    for name, actual in plain.run(inputs).items():
        if not np.allclose(actual, expected[name], EQUAL_TO, EQUAL_TO):
            raise ValueError(f"plain Keras {subject.name}: output '{name}' differs from the golden one")
    return plain


def compare_graphs(subject: Subject, plain: Function, rows: Sequence[Row], rounds: int) -> list[GraphTiming]:
    """Times both in every cell, in turns."""
    timings = []
    for cell, graph in subject.lattice.graphs.items():
        arrays, run = fill_cell(cell, rows, subject.lattice), subject.run_of(cell)
        keras_ms, ours_ms = time_calls([partial(plain.run, arrays), partial(run, arrays)], rounds)
        timings.append(GraphTiming(cell, graph, keras_ms, ours_ms))
    return timings
