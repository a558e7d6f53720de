"""Training on JAX where there is no TensorFlow, and the weights' way to TensorFlow for export."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from training.recipe.run import Run, read_history
from training.sketch.config import Config
from training.sketch.evaluate import load_predict, make_predict, predict_all
from training.sketch.export import export
from training.sketch.train import load_model, open_dataset

TOLERANCE = 1e-4
SCRIPT = '''
import importlib.machinery, importlib.util, json, sys
from pathlib import Path

class WithoutTensorFlow:
    """Finds every package but one, as on a machine where that was never installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            return None
        return importlib.machinery.PathFinder.find_spec(name, path, target)

sys.meta_path = [WithoutTensorFlow if f is importlib.machinery.PathFinder else f for f in sys.meta_path]
assert importlib.util.find_spec("tensorflow") is None

import keras
import numpy as np
from training.recipe.config import override
from training.recipe.run import start_run
from training.sketch.batches import Batches
from training.sketch.config import FAMILIES, PRESETS
from training.sketch.data import draw_dataset
from training.sketch.models.classifier import build_model
from training.sketch.train import fit_run, load_model, train

class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt

home = Path(sys.argv[1])
config = override(PRESETS["smoke"], json.loads(sys.argv[2]))
runs = [start_run("sketch", config, None, home / name) for name in "ab"]
fit_run(config, None, runs[0])
try:
    fit_run(config, None, runs[1], [Kill()])
except KeyboardInterrupt:
    pass
train(config, None, runs[1])
pairs = zip(*(load_model(run, config, 8).weights for run in runs))
apart = max(float(np.abs(np.asarray(a.value) - np.asarray(b.value)).max()) for a, b in pairs)

fusion = ["sequence.units=4", "sequence.layers=1", "sequence.pooling=attention", "raster.channels=[4]"]
stateful = ["truncation=stateful", "truncate_steps=8", "units=4", "normalization=batch", "recurrent_dropout=0.2"]
families = {"lstm": stateful, "transformer": ["width=8", "layers=1"], "fusion": fusion}
drawings = draw_dataset(1, 16, 0).splits["train"]
moved = {}
for name, chosen in families.items():
    values = ["optimisation.batch_size=8", "max_points=16", "pad_to=16", "optimisation.precision=mixed_bfloat16"]
    config = override(FAMILIES[name], [*values, *("model." + value for value in chosen)])
    keras.config.set_dtype_policy(config.optimisation.precision)
    model = build_model(config, 8)
    model.compile(optimizer="sgd", loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    before = [np.asarray(weight.value) for weight in model.trainable_weights]
    loss = float(model.train_on_batch(*Batches(drawings, 8, config, training=True)[0]))
    after = [np.asarray(weight.value) for weight in model.trainable_weights]
    changed = sum(not np.array_equal(a, b) for a, b in zip(before, after))
    moved[name] = [loss, changed / len(after), sorted({str(weight.dtype) for weight in after})]

found = {
    "backend": keras.backend.backend(),
    "run": str(runs[1].folder),
    "apart": apart,
    "same_history": runs[0].history.read_text() == runs[1].history.read_text(),
    "moved": moved,
    "imported": "tensorflow" in sys.modules,
}
(home / "found.json").write_text(json.dumps(found))
'''
VALUES = [
    "optimisation.epochs=4",
    "optimisation.batch_size=40",
    "optimisation.early_stopping_epochs=3",
    "synthetic_per_class=20",
    "max_points=64",
    "pad_to=64",
    "model.channels=[8]",
    "model.units=8",
    "model.recurrent_dropout=0.1",
    "served_batches=[1]",
    "measure_rounds=1",
    "max_padding=0.9",
]

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX: pip install jax")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    home = tmp_path_factory.mktemp("jax")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(home), json.dumps(VALUES)],
        env=os.environ
        | {
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(home / "compiled"),  # three fits compile the same
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((home / "found.json").read_text())


@pytest.fixture(scope="module")
def run(found: dict) -> Run:
    return Run(Path(found["run"]))


def test_trains_on_jax_without_tensorflow(found: dict, run: Run) -> None:
    assert found["backend"] == "jax"
    assert not found["imported"]
    assert json.loads((run.folder / "config.json").read_text())["backend"] == "jax"
    assert (run.report / "report.html").stat().st_size > 10_000
    assert read_history(run.history)["epoch"].tolist() == [0, 1, 2, 3]
    assert 0 < run.metrics["metrics"]["top1"] <= 1


def test_goes_on_after_a_kill_as_if_nothing_had_happened(found: dict) -> None:
    assert found["same_history"]
    assert found["apart"] == 0


@pytest.mark.parametrize("family", ["lstm", "transformer", "fusion"])
def test_families_with_every_kind_of_layer_learn_on_jax(found: dict, family: str) -> None:
    loss, changed, dtypes = found["moved"][family]
    assert np.isfinite(loss)
    assert changed > 0.9
    assert dtypes == ["float32"]


def test_the_weights_say_the_same_under_tensorflow(run: Run) -> None:
    config = run.read_config(Config)
    dataset = open_dataset(config, None)
    predict = make_predict(load_model(run, config, len(dataset.labels)))
    with np.load(run.answers) as answers:
        for split in ("valid", "test"):
            told = predict_all(predict, dataset.splits[split])
            np.testing.assert_allclose(told, answers[split], atol=TOLERANCE)


def test_a_run_on_jax_is_exported(run: Run, tmp_path: Path) -> None:
    folder = export(run, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["metrics"]["top1"] == run.metrics["metrics"]["top1"]
    assert manifest["tensorflow"] == tf.__version__
    test = open_dataset(run.read_config(Config), None).splits["test"]
    with np.load(run.answers) as answers:
        chosen = predict_all(load_predict(folder), test).argmax(axis=1)
        assert (chosen == answers["test"].argmax(axis=1)).mean() > 0.97
