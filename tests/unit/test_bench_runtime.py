"""The runtime's benchmark: its contestants with a graph that is NumPy, and the plain Keras networks that it builds."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.contestants import Result, run_full_batches, run_naive, run_ours, run_same_cells
from bench.graphs import compare_graphs, load_plain
from bench.race import COLUMNS, make_sheet, race, to_json
from bench.report import write_report
from bench.rows import draw_sketch_rows, read_golden_rows
from bench.subject import Subject, fill_cell, load_subject, read_lattice
from services.runtime.execution.lattice import Cell, Lattice
from services.runtime.execution.saved_model import Function, TensorSpec
from services.runtime.execution.signature import Signature

LENGTHS = [3, 4, 7, 8, 2, 5]


def sum_rows(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"total": inputs["x"].sum(axis=1)}


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    cells = {Cell(batch, length): "plain" for batch in (1, 2, 4) for length in (4, 8)}
    lattice = Lattice(cells, padded_input="x", lengths_input="lengths")
    inputs = {"x": TensorSpec("float32", (None, None)), "lengths": TensorSpec("int32", (None,))}
    outputs = {"total": TensorSpec("float32", (None,))}
    function = Function(inputs, outputs, b"", "", {}, sum_rows, lambda shapes, on_trace: sum_rows)
    return Subject("sums", tmp_path, Signature(function, lattice), lattice, dict.fromkeys(cells, 1e-3))


@pytest.fixture
def rows() -> list[dict[str, np.ndarray]]:
    return [{"x": np.ones(n, np.float32), "lengths": np.array(n, np.int32)} for n in LENGTHS]


def test_the_limit_is_full_batches_of_like_lengths(subject: Subject, rows: list) -> None:
    result = run_full_batches(subject, rows, 0.01)
    assert {cell for cell, _ in result.batches} == {Cell(4, 4), Cell(4, 8)}
    assert all(count == cell.batch for cell, count in result.batches)
    assert result.real_steps == 4 * sum(LENGTHS)  # every row, four times over
    assert result.padded_steps == 4 * (3 * 4 + 3 * 8 - sum(LENGTHS))
    assert result.items_s > 0


def test_the_naive_batcher_pads_to_the_longest(subject: Subject, rows: list) -> None:
    result = run_naive(subject, rows, in_flight=len(rows), duration_s=0.1)
    cell, count = result.batches[0]
    assert count == cell.batch == len(rows) and cell.length == max(LENGTHS)
    assert result.items_s == pytest.approx(len(result.latencies_s) / 0.1)
    assert min(result.latencies_s) >= 0.002  # it waits for a batch of 32 in vain


def test_ours_stays_in_the_lattice_and_its_cells_can_be_run_again(subject: Subject, rows: list) -> None:
    ours = run_ours(subject, rows, in_flight=len(rows), duration_s=0.1)
    assert {cell for cell, _ in ours.batches} <= set(subject.lattice.graphs)
    assert ours.latencies_s and all(count <= cell.batch for cell, count in ours.batches)
    again = run_same_cells(subject, rows, ours.batches)
    assert len(again.latencies_s) == len(ours.batches)


def test_a_cell_is_filled_with_the_rows_that_fit(subject: Subject, rows: list) -> None:
    arrays = fill_cell(Cell(4, 4), rows, subject.lattice)
    assert arrays["lengths"].tolist() == [3, 4, 2, 3]
    assert arrays["x"].sum(axis=1).tolist() == [3, 4, 2, 3]


def test_a_race_tells_medians_and_ratios(subject: Subject, rows: list, tmp_path: Path) -> None:
    standings = race(subject, rows, in_flight=(2, 4), rounds=2, duration_s=0.02)
    assert [(s.contestant, s.in_flight) for s in standings] == [
        ("raw, full batches", 0),
        ("naive batching", 2),
        ("ours", 2),
        ("naive batching", 4),
        ("ours", 4),
    ]
    limit, naive, ours = standings[:3]
    assert limit.of_limit == 1 and limit.of_raw is naive.of_raw is None
    assert limit.waste == pytest.approx(1 - sum(LENGTHS) / 36)
    assert ours.of_raw is not None and 0 < ours.of_raw < 1
    assert all(s.p50_ms <= s.p99_ms for s in standings)

    sheet = make_sheet("sums", standings)
    write_report(tmp_path, "runtime", ["one core"], [sheet], {"sums": to_json(standings)})
    assert json.loads((tmp_path / "runtime.json").read_text())["sums"][2]["contestant"] == "ours"
    text = (tmp_path / "runtime.md").read_text()
    assert "- one core" in text and "| " + " | ".join(COLUMNS) + " |" in text


def test_results_of_rows_without_time_count_rows() -> None:
    result = Result()
    result.batch_done(Cell(4, 0), 3, 0, 0.0, 0.0)
    assert (result.real_steps, result.padded_steps) == (3, 1)


def test_rows_are_real_drawings_or_the_recipes_shapes(shared_data: Path, tmp_path: Path) -> None:
    rows, source = draw_sketch_rows(shared_data)
    assert len(rows) == 1400 and "Quick, Draw!" in source
    assert all(len(row["ink"]) == row["lengths"] for row in rows)
    again, _ = draw_sketch_rows(shared_data)
    assert [int(r["lengths"]) for r in rows] == [int(r["lengths"]) for r in again]
    shapes, source = draw_sketch_rows(tmp_path)
    assert shapes and "is not there" in source


@pytest.mark.parametrize("name", ["sketch", "forecast", "video"])
def test_plain_keras_with_the_bundled_weights_answers_as_the_bundled_model(
    name: str, models_dir: Path, tmp_path: Path
) -> None:
    version = models_dir / name / "1"
    lattice = read_lattice(version)
    batch, length = lattice.batches[0], lattice.lengths[-1]
    smallest = Lattice({Cell(batch, length): "plain"}, lattice.padded_input, lattice.lengths_input)
    rows, _ = read_golden_rows(version, smallest)
    subject = load_subject(version, smallest)
    plain = load_plain(subject, tmp_path / "plain")  # raises where they differ
    (timing,) = compare_graphs(subject, plain, rows, rounds=1)
    assert timing.keras_ms > 0 and timing.ours_ms > 0
    graphs = (tmp_path / "plain" / "saved_model.pb").read_bytes()
    assert (b"while" in graphs) == (name != "forecast")  # its GRUs loop over time; the forecaster has none


def test_a_plain_network_that_answers_otherwise_is_refused(models_dir: Path, tmp_path: Path) -> None:
    version = tmp_path / "forecast" / "1"
    version.mkdir(parents=True)
    for path in (models_dir / "forecast" / "1").iterdir():
        (version / path.name).symlink_to(path)
    golden = dict(np.load(version / "golden.npz"))
    (version / "golden.npz").unlink()
    np.savez(version / "golden.npz", **{k: a + 1 if k == "out.mean" else a for k, a in golden.items()})
    lattice = Lattice({Cell(1, 0): "plain"})
    subject = load_subject(version, lattice)
    with pytest.raises(ValueError, match="'mean' differs"):
        load_plain(subject, tmp_path / "plain")
