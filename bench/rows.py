"""What the benchmarks ask: single rows, without a batch dimension, in an order that a seed fixes."""

from pathlib import Path

import numpy as np

from services.runtime.artifact import read_golden
from services.runtime.execution.lattice import Lattice, Row, split_rows
from training.sketch.data import draw_dataset, load_dataset

MAX_POINTS = 256
_SEED = 11
_SHAPES_PER_CLASS = 400


def draw_sketch_rows(data_dir: Path) -> tuple[list[Row], str]:
    """The test drawings of the data pack, shuffled; the recipe's own shapes where there is no pack.

    Returns:
        Rows of `ink` float32 [points, 3] and `lengths` int32 [], and where they come from.
    """
    folder = data_dir / "sketch" / "sketchrnn_npz"
    if folder.is_dir():
        dataset, source = load_dataset(folder, MAX_POINTS), "the Quick, Draw! pack's test drawings"
    else:
        dataset = draw_dataset(_SHAPES_PER_CLASS, MAX_POINTS, _SEED)
        source = f"shapes that the recipe draws, for {folder} is not there"
    inks = dataset.splits["test"].inks
    order = np.random.default_rng(_SEED).permutation(len(inks))
    rows: list[Row] = [{"ink": inks[i], "lengths": np.array(len(inks[i]), np.int32)} for i in order]
    lengths = [len(ink) for ink in inks]
    low, middle, high = np.percentile(lengths, (1, 50, 99))
    return rows, f"{len(rows)} of {source}, {low:.0f} to {high:.0f} points (1 to 99 %), median {middle:.0f}"


def read_golden_rows(version: Path, lattice: Lattice) -> tuple[list[Row], str]:
    """The rows of a version's golden batch: for a model whose rows are all of one size."""
    rows = split_rows(read_golden(version)[0], lattice)
    return rows * (lattice.batches[-1] // len(rows) + 1), f"the {len(rows)} golden rows, over and over"
