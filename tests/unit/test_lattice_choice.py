"""Which lengths, batch sizes and graphs the lattice of an exported model gets."""

import json
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.recipe.lattice import (
    BATCHES,
    Timing,
    choose_graph,
    choose_lengths,
    keep_batches,
    list_cells,
    measure_waste,
)
from training.recipe.manifest import write_manifest
from training.sketch.config import PRESETS
from training.sketch.data import load_dataset

LONGEST, STEP = 24, 4


def timing(batch: int, plain_ms: float, xla_ms: float = 100.0, length: int = 0, compile_s: float = 0.5) -> Timing:
    return Timing(batch, length, plain_ms, xla_ms, compile_s)


@given(st.lists(st.integers(1, LONGEST), min_size=1, max_size=60), st.floats(0, 0.6))
def test_no_choice_of_as_many_or_fewer_lengths_pads_clearly_less(lengths: list[int], max_waste: float) -> None:
    every = range(STEP, LONGEST + 1, STEP)
    chosen = choose_lengths(np.array(lengths), LONGEST, STEP, max_waste)
    assert chosen[-1] == LONGEST and set(chosen) <= set(every) and list(chosen) == sorted(set(chosen))

    def padded_steps(among: tuple[int, ...]) -> float:
        """With the small share of sequences that may have any length."""
        spread = np.mean([min(a for a in among if a >= end) for end in every])
        return 0.98 * np.mean([min(a for a in among if a >= n) for n in lengths]) + 0.02 * spread

    others = [(*some, LONGEST) for some in combinations(every[:-1], len(chosen) - 1)]
    assert padded_steps(chosen) <= min(map(padded_steps, others)) + 1e-9


def test_the_fewest_lengths_that_keep_the_limit_are_chosen() -> None:
    lengths = np.repeat([10, 20, 100], [50, 50, 1])
    assert choose_lengths(lengths, 100, 10, 0.0) == (10, 20, 100)
    assert choose_lengths(lengths, 100, 10, 0.3) == (20, 100)
    assert choose_lengths(lengths, 100, 10, 0.9) == (100,)


def test_every_multiple_is_chosen_where_the_limit_cannot_be_kept() -> None:
    assert choose_lengths(np.array([1, 5, 9]), 10, 4, 0.0) == (4, 8, 10)


def test_waste_is_the_share_of_padding() -> None:
    assert measure_waste(np.array([3, 4, 5]), (4, 8)) == pytest.approx(1 - 12 / 16)


def test_drawings_are_padded_little_by_few_lengths(shared_data: Path, models_dir: Path) -> None:
    dataset = load_dataset(shared_data / "sketch" / "sketchrnn_npz", max_points=256)
    train, test = (np.array([len(ink) for ink in dataset.splits[s].inks]) for s in ("train", "test"))
    config = PRESETS["bundled"]
    stride = 4  # of the model's two convolutions
    lengths = choose_lengths(train, config.max_points, stride, config.max_padding)
    assert len(lengths) <= 14
    assert measure_waste(train, lengths) <= config.max_padding == 0.08
    assert measure_waste(test, lengths) <= 0.085
    cells = json.loads((models_dir / "sketch" / "1" / "manifest.json").read_text())["lattice"]["cells"]
    assert {cell["length"] for cell in cells} == set(lengths)


@pytest.mark.parametrize(
    ("plain_ms", "xla_ms", "compile_s", "graph"),
    [
        (3.0, 1.0, 0.6, "xla"),
        (1.25, 1.0, 0.6, "xla"),
        (1.24, 1.0, 0.6, "plain"),  # hardly faster
        (1.0, 3.0, 0.6, "plain"),
        (0.3, 0.1, 3.0, "plain"),  # 15,000 calls to win 3 s back
        (0.5, 0.1, 3.0, "xla"),
    ],
)
def test_xla_is_for_clear_gains_that_pay_back(plain_ms: float, xla_ms: float, compile_s: float, graph: str) -> None:
    assert choose_graph(timing(1, plain_ms, xla_ms, compile_s=compile_s)) == graph


def test_larger_batches_end_where_rows_per_second_no_longer_grow() -> None:
    assert keep_batches([timing(1, 1.0), timing(2, 1.5), timing(4, 3.0), timing(8, 6.1)]) == (1, 2)
    assert keep_batches([timing(1, 1.0), timing(2, 2.0), timing(4, 2.0)]) == (1, 2, 4)  # no gap before the gain
    assert keep_batches([timing(1, 2.0, xla_ms=1.0), timing(2, 2.0)]) == (1,)  # what counts is the graph that runs


def test_a_batch_size_is_kept_for_any_length_that_gains() -> None:
    short = [timing(b, 1.0, length=8) for b in (1, 2)]
    long = [timing(b, float(b), length=64) for b in (1, 2)]
    assert keep_batches(short + long) == (1, 2)


def test_cells_tell_what_was_measured() -> None:
    cells = list_cells([timing(2, 1.2, 0.5, length=8), timing(1, 1.0, 0.9, length=8)])
    assert cells == [
        {"batch": 1, "length": 8, "graph": "plain", "plain_ms": 1.0, "xla_ms": 0.9, "compile_s": 0.5},
        {"batch": 2, "length": 8, "graph": "xla", "plain_ms": 1.2, "xla_ms": 0.5, "compile_s": 0.5},
    ]


def test_a_manifest_has_one_line_per_cell_and_no_draft_beside_it(tmp_path: Path) -> None:
    manifest = {"lattice": {"cells": list_cells([timing(b, 1.0) for b in (1, 2)])}, "labels": ["a", "b"]}
    path = tmp_path / "1" / "manifest.json"
    path.parent.mkdir()
    write_manifest(path, manifest)
    assert json.loads(path.read_text()) == manifest
    assert sum('"batch"' in line and '"compile_s"' in line for line in path.read_text().splitlines()) == 2
    assert [p.name for p in tmp_path.rglob("*")] == ["1", "manifest.json"]


@pytest.mark.parametrize("name", ["sketch", "forecast", "video"])
def test_bundled_lattices_are_complete_and_choose_as_measured(name: str, models_dir: Path) -> None:
    manifest = json.loads((models_dir / name / "1" / "manifest.json").read_text())
    lattice = manifest["lattice"]
    timings = [Timing(c["batch"], c["length"], c["plain_ms"], c["xla_ms"], c["compile_s"]) for c in lattice["cells"]]
    batches, lengths = {t.batch for t in timings}, {t.length for t in timings}
    assert [(t.batch, t.length) for t in timings] == list(product(sorted(batches), sorted(lengths)))
    assert 1 in batches and batches <= set(BATCHES)
    assert [c["graph"] for c in lattice["cells"]] == [choose_graph(t) for t in timings]
    padded, inputs, outputs = lattice["padded_input"], *(manifest["signature"][k] for k in ("inputs", "outputs"))
    assert lengths == {0} if not padded else inputs[padded]["shape"][1] is None and 0 not in lengths
    assert lattice["lengths_input"] in {"", *inputs}
    assert manifest["classify_output"] in {"", *outputs} and manifest["regress_output"] in {"", *outputs}
