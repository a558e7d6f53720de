"""The fixed shapes that a model runs at, and rows padded to them.

A batch is padded to a cell: so many rows, each of so many time steps. Cells are few, so that every one can be
compiled and warmed before the model serves, and nothing is traced or compiled for a request.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from services.runtime.errors import InvalidInput

Row = Mapping[str, np.ndarray]  # named arrays of one row, without the batch dimension
Graph = Literal["plain", "xla"]
DEFAULT_BATCHES = (1, 2, 4, 8, 16, 32)


class Cell(NamedTuple):
    """One shape: rows, and time steps per row (0 where rows have no time that may be padded)."""

    batch: int
    length: int

    def __str__(self) -> str:
        return f"{self.batch}x{self.length}" if self.length else str(self.batch)


@dataclass(frozen=True)
class Lattice:
    """The cells of one signature.

    Attributes:
        graphs: how each cell runs: the graph as exported, or compiled by XLA.
        padded_input: input whose first dimension (of a row) is time and may be padded with zeros; "" for none.
        lengths_input: input that tells the model the valid steps per row; "" for none.
        is_open: whether a batch may have any number of rows and any shape, as in a model that came without a lattice.
    """

    graphs: Mapping[Cell, Graph]
    padded_input: str = ""
    lengths_input: str = ""
    is_open: bool = False

    @cached_property
    def batches(self) -> tuple[int, ...]:
        """Batch sizes, rising."""
        return tuple(sorted({cell.batch for cell in self.graphs}))

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Lengths, rising; (0,) where rows have no time."""
        return tuple(sorted({cell.length for cell in self.graphs}))

    def length_of(self, row: Row) -> int:
        """Time steps of a row."""
        return len(row[self.padded_input]) if self.padded_input else 0

    def fit_length(self, length: int) -> int:
        """The smallest length that holds `length` steps.

        Raises:
            InvalidInput: no length does.
        """
        index = bisect_left(self.lengths, length)
        if index == len(self.lengths):
            raise InvalidInput(f"{length} steps; at most {self.lengths[-1]}", f"inputs.{self.padded_input}")
        return self.lengths[index]

    def fit_batch(self, rows: int) -> int:
        """The smallest batch size that holds `rows` rows; the largest one where none does."""
        if self.is_open:
            return min(rows, self.batches[-1])
        return self.batches[min(bisect_left(self.batches, rows), len(self.batches) - 1)]

    def graph_of(self, cell: Cell) -> Graph:
        """How a cell runs."""
        return self.graphs.get(cell, "plain")


def open_lattice(max_batch: int = DEFAULT_BATCHES[-1]) -> Lattice:
    """For a signature that nothing is known of but that its first dimension is the batch."""
    return Lattice({Cell(b, 0): "plain" for b in DEFAULT_BATCHES if b <= max_batch}, is_open=True)


def pad_rows(rows: Sequence[Row], cell: Cell, lattice: Lattice) -> dict[str, np.ndarray]:
    """Stacks rows and pads them with zeros to a cell: [...] each -> [batch, ...].

    Rows that only fill the batch have a length of 0.
    """
    arrays = {}
    for name, first in rows[0].items():
        if name == lattice.padded_input:
            shape: tuple[int, ...] = (cell.batch, cell.length, *first.shape[1:])
            array = np.zeros(shape, first.dtype)
            for i, row in enumerate(rows):
                array[i, : len(row[name])] = row[name]
        else:
            array = np.zeros((cell.batch, *first.shape), first.dtype)
            if first.dtype == object:
                array.fill(b"")
            for i, row in enumerate(rows):
                array[i] = row[name][()]
        arrays[name] = array
    return arrays


def split_rows(inputs: Mapping[str, np.ndarray], lattice: Lattice) -> list[Row]:
    """Takes a batch apart and cuts each row's padding off: [batch, ...] each -> rows.

    Raises:
        InvalidInput: inputs have different batch sizes, or a length is outside of its row.
    """
    sizes = {name: len(array) for name, array in inputs.items()}
    if len(set(sizes.values())) != 1:
        shown = ", ".join(f"{name} has {size}" for name, size in sorted(sizes.items()))
        raise InvalidInput(f"all inputs need the same number of rows; {shown}", "inputs")
    count = next(iter(sizes.values()))
    if not (lattice.padded_input and lattice.lengths_input):
        return [{name: array[i, ...] for name, array in inputs.items()} for i in range(count)]
    lengths, padded = inputs[lattice.lengths_input], inputs[lattice.padded_input]
    for i, length in enumerate(lengths.tolist()):
        if not 1 <= length <= padded.shape[1]:
            raise InvalidInput(f"{length} steps; 1 to {padded.shape[1]}", f"inputs.{lattice.lengths_input}[{i}]")
    cut = lattice.padded_input
    return [
        {name: array[i, : lengths[i]] if name == cut else array[i, ...] for name, array in inputs.items()}
        for i in range(count)
    ]


def unpad_outputs(outputs: Mapping[str, np.ndarray], index: int, length: int, cell: Cell, timed: set[str]) -> Row:
    """One row of a batch's outputs, the outputs in `timed` cut to the row's own steps."""
    return {
        name: array[index, :length] if name in timed and array.shape[1] == cell.length else array[index, ...]
        for name, array in outputs.items()
    }


def stack_outputs(rows: Sequence[Row], length: int, timed: set[str]) -> dict[str, np.ndarray]:
    """Rows of outputs as one batch again; the outputs in `timed` padded with zeros to `length` steps."""
    stacked = {}
    for name in rows[0]:
        arrays = [row[name] for row in rows]
        if name in timed and len({len(a) for a in arrays} | {length}) > 1:
            padded = np.zeros((len(arrays), length, *arrays[0].shape[1:]), arrays[0].dtype)
            for i, array in enumerate(arrays):
                padded[i, : len(array)] = array
            stacked[name] = padded
        else:
            stacked[name] = np.stack(arrays)
    return stacked
