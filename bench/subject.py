"""A bundled version under test: one copy of its graphs, which every contestant calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.runtime.artifact import read_manifest
from services.runtime.execution.cells import compile_cells, measure_cells
from services.runtime.execution.lattice import Cell, Lattice, Row, pad_rows
from services.runtime.execution.saved_model import Run, load_functions
from services.runtime.execution.signature import Signature

_TIMED_RUNS = 5


@dataclass(frozen=True)
class Subject:
    """One version, loaded, every cell of its lattice compiled or traced.

    Attributes:
        name: of the model.
        version: folder.
        signature: its graphs, as the runtime runs them.
        lattice: the shapes it is served in.
        costs: seconds per cell, as measured when it was warmed.
    """

    name: str
    version: Path
    signature: Signature
    lattice: Lattice
    costs: dict[Cell, float]

    def run_of(self, cell: Cell) -> Run:
        """The graph that the manifest chose for a cell."""
        return self.signature.compiled.get(cell, self.signature.function.run)


def read_lattice(version: Path) -> Lattice:
    """The lattice that a version is served in."""
    manifest = read_manifest(version)
    if manifest.lattice is None:
        raise ValueError(f"{version}/manifest.json has no lattice; re-export it with `seqserve train {manifest.name}`")
    return manifest.lattice.to_lattice()


def load_subject(version: Path, lattice: Lattice) -> Subject:
    """Loads a version and warms every cell of `lattice`."""
    manifest = read_manifest(version)
    signature = Signature(load_functions(version)[manifest.signature.name], lattice)
    compile_cells(signature, lambda: None)
    return Subject(manifest.name, version, signature, lattice, measure_cells(signature))


def fill_cell(cell: Cell, rows: Sequence[Row], lattice: Lattice) -> dict[str, np.ndarray]:
    """A full batch of a cell: the rows that fit it, over and over, padded. Named arrays, batch first.

    Some rows must fit the shortest length.
    """
    fitting = [row for row in rows if lattice.length_of(row) <= cell.length]
    return pad_rows([fitting[i % len(fitting)] for i in range(cell.batch)], cell, lattice)
