"""Makes the cells of a lattice ready: compiles them, runs each until it is warm, and measures what it costs."""

import time
from collections.abc import Callable

import numpy as np

from services.runtime.errors import ServiceError
from services.runtime.execution.lattice import Cell, Lattice, Row
from services.runtime.execution.saved_model import Function, TensorSpec
from services.runtime.execution.signature import NotRowwise, Signature
from services.runtime.execution.window import level_costs
from services.runtime.tensors import NUMBERS, STRING

TIMED_RUNS = 3
CALL_S = 1e-3  # the way to a worker's thread and back, and what is noted of a batch


def compile_cells(signature: Signature, on_trace: Callable[[], None]) -> None:
    """Compiles the cells that the lattice wants to run as XLA code; `on_trace` is called for each trace."""
    lattice = signature.lattice
    if lattice is None:
        return
    for cell, graph in lattice.graphs.items():
        if graph == "xla":
            shapes = {n: _spec_in_cell(n, s, cell, lattice) for n, s in signature.function.inputs.items()}
            signature.compiled[cell] = signature.function.compile(shapes, on_trace)


def _spec_in_cell(name: str, spec: TensorSpec, cell: Cell, lattice: Lattice) -> TensorSpec:
    assert spec.shape is not None
    rest = spec.shape[1:]
    if name == lattice.padded_input:
        rest = (cell.length, *spec.shape[2:])
    return TensorSpec(spec.dtype, (cell.batch, *rest))


def measure_cells(signature: Signature) -> dict[Cell, float]:
    """Runs every cell until it is compiled and cached; returns the seconds that each takes from then on.

    Empty for an open lattice whose model refuses zeros.
    """
    lattice = signature.lattice
    assert lattice is not None
    seconds = {}
    for cell in lattice.graphs:
        rows = [_zero_row(signature.function, cell, lattice)] * cell.batch
        times = []
        try:
            for _ in range(TIMED_RUNS + 1):
                started_s = time.perf_counter()
                signature.execute(cell, rows)
                times.append(time.perf_counter() - started_s)
        except (ServiceError, NotRowwise):
            if not lattice.is_open:
                raise
            return {}  # zeros mean nothing to a model that we know nothing of
        seconds[cell] = min(times[1:]) + CALL_S
    return level_costs(seconds)


def _zero_row(function: Function, cell: Cell, lattice: Lattice) -> Row:
    row: dict[str, np.ndarray] = {}
    for name, spec in function.inputs.items():
        shape = [d or 1 for d in (spec.shape or ())[1:]]
        if name == lattice.padded_input:
            shape[0] = cell.length
        if spec.dtype == STRING:
            row[name] = np.full(shape, b"", object)
        else:
            row[name] = np.zeros(shape, NUMBERS[spec.dtype])
        if name == lattice.lengths_input:
            row[name] = np.full(shape, cell.length, NUMBERS[spec.dtype])
    return row
