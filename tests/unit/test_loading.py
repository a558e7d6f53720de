"""Loading a small model that the project's own export wrote, and one that somebody else wrote."""

import json
import shutil

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.runtime.artifact import ArtifactError, digest_of
from services.runtime.errors import InvalidInput, NotFound
from services.runtime.execution.lattice import Cell
from services.runtime.execution.loading import load_servable
from services.runtime.metrics import PrometheusMeter
from services.runtime.settings import ModelSettings

FEEDS = frozenset({"x", "lengths"})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A masked mean over time: x [batch, time, 2] -> mean [batch, 2], double [batch, time, 2]."""
    import keras
    import tensorflow as tf

    from training.recipe.export import Export, export_model

    model = keras.Sequential([keras.Input((None, 2)), keras.layers.Dense(2, kernel_initializer="identity")])

    def serve(inputs):
        x, lengths = model(inputs["x"]), inputs["lengths"]
        mask = tf.cast(tf.sequence_mask(lengths, tf.shape(x)[1]), tf.float32)[..., None]
        count = tf.cast(tf.maximum(lengths, 1), tf.float32)[:, None]
        return {"mean": tf.reduce_sum(x * mask, 1) / count, "double": 2 * x}

    rng = np.random.default_rng(0)
    export = Export(
        name="mean",
        task="mean over time",
        model=model,
        serve=serve,
        inputs={"x": tf.TensorSpec([None, None, 2], tf.float32), "lengths": tf.TensorSpec([None], tf.int32)},
        golden_inputs={"x": rng.random((3, 6, 2), np.float32), "lengths": np.array([6, 2, 4], np.int32)},
        options={},
        metrics={},
        data="none",
        card=lambda metrics: f"# mean: {sorted(metrics)}",
        padded_input="x",
        lengths_input="lengths",
        lengths=(4, 8),
        batches=(1, 2),
        rounds=1,
    )
    folder = export_model(export, tmp_path_factory.mktemp("exported"))
    edit_manifest(folder, compile_all)
    return folder


@pytest.fixture
def copied(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "mean" / "1")


@pytest.fixture
def load():
    registry = CollectorRegistry()

    def load_one(folder, feeds=FEEDS, **settings):
        servable = load_servable(folder, "mean", "1", ModelSettings(**settings), PrometheusMeter(registry), feeds)
        servable.registry = registry
        return servable

    return load_one


def compile_all(manifest):
    cells = manifest["lattice"]["cells"]
    assert {(c["batch"], c["length"]) for c in cells} == {(b, n) for b in (1, 2) for n in (4, 8)}
    for cell in cells:
        cell["graph"] = "xla"


def edit_manifest(folder, change):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


async def test_rows_of_any_length_answer_as_numpy_does(exported, load):
    model = load(exported)
    rng = np.random.default_rng(1)
    x, lengths = rng.random((7, 8, 2), np.float32), np.array([1, 8, 3, 4, 5, 2, 7], np.int32)
    outputs = await model.infer({"x": x, "lengths": lengths})
    for i, n in enumerate(lengths):
        np.testing.assert_allclose(outputs["mean"][i], x[i, :n].mean(0), rtol=1e-5)
        np.testing.assert_allclose(outputs["double"][i, :n], 2 * x[i, :n], rtol=1e-6)
        assert (outputs["double"][i, n:] == 0).all()
    assert outputs["double"].shape == x.shape
    statistics = model.describe().statistics
    assert (statistics.row_count, statistics.success_count, statistics.fail_count) == (7, 1, 0)


async def test_nothing_is_traced_once_the_model_is_loaded(exported, load):
    model = load(exported)
    labels = {"model": "mean", "version": "1"}
    traced = model.registry.get_sample_value("seqserve_traces_total", labels)
    assert traced == 4
    rng = np.random.default_rng(2)
    for rows in (1, 2, 3, 5):
        for time in (1, 4, 6, 8):
            lengths = np.full(rows, time, np.int32)
            await model.infer({"x": rng.random((rows, time, 2), np.float32), "lengths": lengths})
    assert model.registry.get_sample_value("seqserve_traces_total", labels) == traced
    padding = {"cell": "1x8", "kind": "padding"}
    assert model.registry.get_sample_value("seqserve_batch_steps_total", labels | padding) > 0


def make_inputs(shape, lengths, dtype=np.float32, **others):
    return {"x": np.zeros(shape, dtype), "lengths": np.array(lengths, np.int32)} | others


async def test_compiling_can_be_turned_off(exported, load):
    model = load(exported, xla=False)
    assert model.registry.get_sample_value("seqserve_traces_total", {"model": "mean", "version": "1"}) is None
    outputs = await model.infer(make_inputs((2, 4, 2), [4, 2]))
    assert outputs["mean"].tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"x": np.zeros((1, 4, 2), np.float32)}, "inputs.lengths: missing"),
        (make_inputs((1, 4, 2), [1], np.float64), "type float64; the model reads float32"),
        (make_inputs((1, 4, 3), [1]), r"shape \[1, 4, 3\]; the model reads \[\?, \?, 2\]"),
        (make_inputs((2, 4, 2), [1]), "lengths has 1, x has 2"),
        (make_inputs((1, 4, 2), [5]), r"inputs.lengths\[0\]: 5 steps; 1 to 4"),
        (make_inputs((1, 4, 2), [0]), r"0 steps; 1 to 4"),
        (make_inputs((1, 9, 2), [9]), "inputs.x: 9 steps; at most 8"),
        (make_inputs((0, 4, 2), []), "0 rows; at least 1"),
        (make_inputs((1, 4, 2), [1], z=np.ones(1)), "inputs.z: the model has no such input"),
    ],
)
async def test_wrong_inputs_are_named(exported, load, inputs, said):
    with pytest.raises(InvalidInput, match=said):
        await load(exported).infer(inputs)


async def test_unknown_outputs_and_signatures_are_named(exported, load):
    model = load(exported)
    inputs = {"x": np.zeros((1, 4, 2), np.float32), "lengths": np.ones(1, np.int32)}
    assert list(await model.infer(inputs, outputs=["mean"])) == ["mean"]
    with pytest.raises(InvalidInput, match=r"outputs\[1\]: the model has no output 'median'; double, mean"):
        await model.infer(inputs, outputs=["mean", "median"])
    with pytest.raises(NotFound, match="no signature 'train'; serving_default"):
        await model.infer(inputs, signature="train")


def test_other_inputs_than_the_service_feeds_are_refused(exported, load):
    with pytest.raises(ArtifactError, match=r"feeds \['ink'\], the model reads \['lengths', 'x'\]"):
        load(exported, frozenset({"ink"}))


def test_a_model_that_answers_its_golden_batch_differently_is_refused(copied, load):
    with np.load(copied / "golden.npz") as golden:
        arrays = dict(golden)
    arrays["out.mean"] = arrays["out.mean"] + 1
    np.savez_compressed(copied / "golden.npz", **arrays)
    edit_manifest(copied, lambda manifest: renew_digests(manifest, copied))
    with pytest.raises(ArtifactError, match="golden output 'mean' is off by 1"):
        load(copied)


def test_a_file_that_is_no_saved_model_is_refused(copied, load):
    (copied / "saved_model.pb").write_bytes(b"no model")
    edit_manifest(copied, lambda manifest: renew_digests(manifest, copied))
    with pytest.raises(ArtifactError, match="is not a SavedModel that can be loaded"):
        load(copied)


def test_without_a_manifest_it_must_be_allowed(affine_home, load):
    with pytest.raises(ArtifactError, match="start with --allow-unsigned"):
        load(affine_home / "affine" / "1", frozenset())
    assert load(affine_home / "affine" / "1", frozenset(), allow_unsigned=True).describe().max_batch_size == 32


async def test_somebody_elses_model_answers(affine_home, load):
    model = load(affine_home / "affine" / "1", frozenset(), allow_unsigned=True)
    outputs = await model.infer({"x": np.arange(40, dtype=np.float32)})
    np.testing.assert_allclose(outputs["y"], 2 * np.arange(40) + 1)
    assert len(model.digest) == 64


async def test_a_model_whose_outputs_are_not_one_per_row_still_answers(tmp_path, load):
    import tensorflow as tf

    spec = tf.TensorSpec([None], tf.int32, name="x")
    function = tf.function(lambda x: {"unique": tf.unique(x).y}, input_signature=[spec])
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures={"serving_default": function})
    model = load(tmp_path, frozenset(), allow_unsigned=True)
    for _ in range(2):
        outputs = await model.infer({"x": np.array([5, 5, 7, 5], np.int32)})
        assert outputs["unique"].tolist() == [5, 7]


async def test_a_model_that_refuses_its_input_says_why_without_its_graph(tmp_path, load):
    import tensorflow as tf

    spec = tf.TensorSpec([None, None], tf.float32, name="x")
    function = tf.function(lambda x: {"y": tf.matmul(x, tf.ones([3, 1]))}, input_signature=[spec])
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures={"serving_default": function})
    model = load(tmp_path, frozenset(), allow_unsigned=True)
    with pytest.raises(InvalidInput, match="the model refuses it: Matrix size-incompatible") as caught:
        await model.infer({"x": np.ones((1, 4), np.float32)})
    assert "{{" not in str(caught.value)


def test_warm_up_requests_of_tensorflow_serving_are_replayed(affine_home, tmp_path, load, capsys):
    import tensorflow as tf
    from seqserve.tfserving.v1.prediction_log_pb2 import PredictionLog

    from services.runtime.execution.saved_model import load_functions
    from services.runtime.execution.warmup import replay_warmup_requests

    folder = shutil.copytree(affine_home / "affine" / "1", tmp_path / "1")
    (folder / "assets.extra").mkdir()
    good, bad = PredictionLog(), PredictionLog()
    for log, name in [(good, "x"), (bad, "nothing")]:
        tensor = tf.make_tensor_proto(np.ones(2, np.float32)).SerializeToString()
        log.predict_log.request.inputs[name].ParseFromString(tensor)
    with tf.io.TFRecordWriter(str(folder / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for log in [good, bad, good]:
            writer.write(log.SerializeToString())
    assert replay_warmup_requests(folder, load_functions(folder)) == 2


def test_padded_cells_hold_zeros_and_lengths():
    from services.runtime.execution.lattice import Lattice, pad_rows

    lattice = Lattice({Cell(4, 8): "plain"}, "x", "lengths")
    rows = [{"x": np.ones((n, 2), np.float32), "lengths": np.array(n, np.int32)} for n in (3, 8)]
    padded = pad_rows(rows, Cell(4, 8), lattice)
    assert padded["x"].shape == (4, 8, 2)
    assert padded["x"].sum() == 22
    assert padded["lengths"].tolist() == [3, 8, 0, 0]


def renew_digests(manifest, folder):
    import hashlib

    files = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in manifest["files"]}
    manifest.update(files=files, digest=digest_of(files))
