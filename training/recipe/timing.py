"""Measures an exported model in every cell of its lattice, as exported and compiled by XLA."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import tensorflow as tf

from training.recipe.lattice import BATCHES, Timing

Arrays = Mapping[str, np.ndarray]
Call = Callable[[], object]


def time_lattice(
    function: Any,
    example: Arrays,
    padded_input: str,
    lengths_input: str,
    lengths: Sequence[int],
    rounds: int,
    batches: Sequence[int] = BATCHES,
) -> list[Timing]:
    """Times one signature of a loaded SavedModel with the threads that TensorFlow has by itself.

    Args:
        function: the signature, a concrete function of keyword arguments.
        example: inputs that the model answers, [any batch, ...] each; repeated to fill a cell.
        padded_input, lengths_input: inputs that hold a padded time dimension (axis 1) and the true lengths; or "".
        lengths: padded lengths; (0,) where there is no padded input.
        rounds: timed calls of each graph in each cell. All take turns, so that whatever else runs slows all alike.
        batches: batch sizes.
    """
    cells, calls, compile_s = list(product(batches, lengths)), [], []
    for batch, length in cells:
        inputs = fill_cell(example, padded_input, lengths_input, batch, length)
        started_s = time.process_time()  # other programs do not count
        compiled = make_call(compile_graph(function, inputs), inputs)
        compiled()
        compile_s.append(round(time.process_time() - started_s, 2))
        calls += [make_call(function, inputs), compiled]
    times_ms = [round(ms, 3) for ms in time_calls(calls, rounds)]
    return [
        Timing(*cell, plain_ms, xla_ms, seconds)
        for cell, plain_ms, xla_ms, seconds in zip(cells, times_ms[::2], times_ms[1::2], compile_s, strict=True)
    ]


def fill_cell(example: Arrays, padded_input: str, lengths_input: str, batch: int, length: int) -> dict[str, np.ndarray]:
    """Repeats `example` along its rows, and its padded input along time, until they fill the cell."""
    cell = {name: np.resize(array, (batch, *array.shape[1:])) for name, array in example.items()}
    if padded_input:
        padded = cell[padded_input]
        cell[padded_input] = np.take(padded, np.arange(length) % padded.shape[1], axis=1)
    if lengths_input:
        cell[lengths_input] = np.full(batch, length, cell[lengths_input].dtype)
    return cell


def compile_graph(function: Any, cell: Arrays) -> Any:
    """The same function, to be compiled by XLA for the shapes of `cell` at its first call."""
    specs = {name: tf.TensorSpec(array.shape, array.dtype, name) for name, array in cell.items()}
    compiled = tf.function(lambda **inputs: function(**inputs), jit_compile=True, autograph=False)
    return compiled.get_concrete_function(**specs)


def make_call(function: Any, inputs: Arrays) -> Call:
    """One whole call: arrays to tensors, the graph, tensors to arrays."""

    def call() -> object:
        outputs = function(**{name: tf.constant(array) for name, array in inputs.items()})
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    return call


def time_calls(calls: Sequence[Call], rounds: int) -> list[float]:
    """Time of each call in ms, over `rounds` rounds in which they take turns.

    It is the lower quartile, which other programs disturb less than the median; and each time the second of two
    calls, for the first one finds in the caches what another call has left there.
    """
    taken = np.zeros((rounds, len(calls)))
    for row in taken:
        for i, call in enumerate(calls):
            call()
            started_s = time.perf_counter()
            call()
            row[i] = time.perf_counter() - started_s
    return [float(ms) for ms in np.quantile(taken, 0.25, axis=0) * 1e3]
