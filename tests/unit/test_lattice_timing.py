"""Measuring a lattice: on a tiny model that is exported here, and with calls that keep a record."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.recipe.export import Export, Tensors, export_model
from training.recipe.lattice import BATCHES
from training.recipe.measure import measure_version
from training.recipe.timing import compile_graph, fill_cell, make_call, time_calls

EXAMPLE = {"x": np.arange(12, dtype=np.float32).reshape(2, 3, 2), "lengths": np.array([3, 2], np.int32)}


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of a model that sums a dense layer over each row's own steps."""
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.Dense(3)])

    def serve(inputs: Tensors) -> Tensors:
        valid = tf.sequence_mask(inputs["lengths"], tf.shape(inputs["x"])[1], tf.float32)
        return {"total": tf.reduce_sum(model(inputs["x"]) * valid[..., None], axis=1)}

    export = Export(
        name="sums",
        task="adding up",
        model=model,
        serve=serve,
        inputs={"x": tf.TensorSpec([None, None, 2], tf.float32), "lengths": tf.TensorSpec([None], tf.int32)},
        golden_inputs=EXAMPLE,
        options={},
        metrics={},
        data="none",
        card=lambda metrics: f"Takes {metrics['latency_ms_batch1']} ms.",
        padded_input="x",
        lengths_input="lengths",
        lengths=(4, 8),
        batches=(1, 2),
        rounds=2,
        regress_output="total",
    )
    return export_model(export, tmp_path_factory.mktemp("models"))


def test_an_export_lists_every_cell_that_it_measured(version: Path) -> None:
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["format"] == 2
    assert (manifest["classify_output"], manifest["regress_output"]) == ("", "total")
    lattice = manifest["lattice"]
    assert (lattice["padded_input"], lattice["lengths_input"]) == ("x", "lengths")
    assert lattice["threads"] == tf.config.threading.get_intra_op_parallelism_threads()
    assert {c["length"] for c in lattice["cells"]} == {4, 8}
    assert all(0 < c["plain_ms"] < 1e3 and 0 < c["xla_ms"] < 1e3 and c["compile_s"] > 0 for c in lattice["cells"])
    assert "manifest.json" not in manifest["files"]


def test_measuring_again_changes_the_cells_alone(version: Path) -> None:
    before = json.loads((version / "manifest.json").read_text())
    cells = measure_version(version, rounds=1)
    after = json.loads((version / "manifest.json").read_text())
    assert after["lattice"].pop("cells") == cells != before["lattice"].pop("cells")
    assert after == before
    assert {c["length"] for c in cells} == {4, 8}
    assert {c["batch"] for c in cells} <= set(BATCHES)


def test_a_version_without_a_lattice_is_named(version: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no manifest\.json"):
        measure_version(tmp_path, rounds=1)
    (tmp_path / "manifest.json").write_text('{"name": "old"}')
    with pytest.raises(ValueError, match="seqserve train old"):
        measure_version(tmp_path, rounds=1)


def test_a_compiled_cell_answers_as_the_plain_graph_does(version: Path) -> None:
    loaded = tf.saved_model.load(str(version))
    plain = loaded.signatures["serving_default"]
    cell = fill_cell(EXAMPLE, "x", "lengths", batch=3, length=4)
    compiled = compile_graph(plain, cell)
    assert compiled.structured_outputs["total"].shape == (3, 3)
    np.testing.assert_allclose(make_call(compiled, cell)()["total"], make_call(plain, cell)()["total"], atol=1e-5)


def test_cells_are_filled_with_real_rows_and_no_padding() -> None:
    cell = fill_cell(EXAMPLE, "x", "lengths", batch=5, length=7)
    assert cell["lengths"].dtype == np.int32 and cell["lengths"].tolist() == [7] * 5
    np.testing.assert_array_equal(cell["x"][4, 5], EXAMPLE["x"][0, 2])
    assert fill_cell(EXAMPLE, "x", "lengths", 1, 2)["x"].shape == (1, 2, 2)
    np.testing.assert_array_equal(fill_cell(EXAMPLE, "", "", 3, 0)["x"][2], EXAMPLE["x"][0])


def test_calls_take_turns_and_the_second_of_two_counts() -> None:
    record = []

    def wait(name: str) -> None:
        is_first = record[-1:] != [name]
        record.append(name)
        deadline = tf.timestamp() + (0.05 if is_first else 0.002 if name == "b" else 0.0)
        while tf.timestamp() < deadline:
            pass

    a_ms, b_ms = time_calls([lambda: wait("a"), lambda: wait("b")], rounds=3)
    assert record == ["a", "a", "b", "b"] * 3
    assert a_ms < b_ms < 50
