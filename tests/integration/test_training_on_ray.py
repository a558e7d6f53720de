"""A search and a parallel run on a local Ray, with a recipe that learns in milliseconds."""

import json
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import ray

from training.recipe.config import dataclass, read_config
from training.recipe.errors import DataError
from training.recipe.fitting import fit
from training.recipe.optimisation import Optimisation
from training.recipe.parallel import train_parallel
from training.recipe.run import Run, read_history, start_run
from training.recipe.search import Search
from training.recipe.sharding import share
from training.recipe.space import Choice
from training.recipe.tuning import tune_recipe

ROWS, BATCH = 37, 8  # the last batch has 5 rows, which two workers cannot share evenly
LEARNT = 1e-6  # how far weights may lie apart that were summed in another order


@dataclass
class Config:
    optimisation: Optimisation = Optimisation(epochs=4, learning_rate=1e-2, ema_momentum=0.9)
    units: int = 16
    death: str = ""  # a file that the second worker leaves behind when it dies in the third epoch
    seed: int = 3


class Batches(keras.utils.PyDataset):
    def __init__(self, epoch, rows, seed):
        super().__init__()
        self.epoch, self.seed = epoch, seed
        self.x = np.random.default_rng(0).normal(size=(rows, 6)).astype(np.float32)
        self.y = (self.x[:, :3].sum(1) > 0).astype(np.int32)

    def __len__(self):
        return -(-len(self.x) // BATCH)

    def __getitem__(self, index):
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.x))
        rows = order[index * BATCH : (index + 1) * BATCH]
        return self.x[rows], self.y[rows]

    def on_epoch_end(self):
        self.epoch += 1


class Death(keras.callbacks.Callback):
    def __init__(self, mark):
        super().__init__()
        self.mark = Path(mark)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2 and ray.train.get_context().get_world_rank() == 1 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def build(units):
    dense = keras.layers.Dense
    return keras.Sequential([keras.Input((6,)), dense(units, "relu"), keras.layers.Dropout(0.3), dense(2)])


def fit_run(config, data_dir, run, callbacks=()):
    if config.units == 13:
        raise DataError("units.csv: 13 units, at most 12")
    keras.utils.set_random_seed(config.seed)
    model = build(config.units)
    fit(
        model,
        config.optimisation,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda epoch: share(Batches(epoch, ROWS, config.seed)),
        share(Batches(0, 16, 0)),
        -(-ROWS // BATCH),
        run,
        [keras.metrics.SparseCategoricalAccuracy("accuracy")],
        [*callbacks, *([Death(config.death)] if config.death else [])],
    )
    run.keep_weights(model)
    if data_dir:  # stands in for what each worker has in its own memory
        worker = keras.distribution.distribution().data_shard_id
        model.save_weights(data_dir / f"{worker}.weights.h5")


def read_weights(path, units=16):
    model = build(units)
    model.load_weights(path)
    return model.get_weights()


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test
    before = signal.getsignal(signal.SIGTERM)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
    signal.signal(signal.SIGTERM, before)
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.timeout(600)
def test_a_search_reports_every_trial_and_goes_on_where_it_was(tmp_path):
    search = Search("tiny", Config(), {"units": Choice((16, 13))}, trials=2, grace_epochs=1, seed=0)
    trials = tune_recipe(fit_run, search, None, tmp_path / "search", concurrent=2)
    assert [t.values["units"] for t in trials] == [16, 13]
    for trial in trials:
        (folder,) = (tmp_path / "search" / "trials" / trial.name / "tiny").iterdir()
        if trial.error:
            assert trial.values == {"units": 13} and trial.error.endswith("13 units, at most 12")
        else:
            history = read_history(Run(folder).history)
            assert trial.epochs == len(history["val_loss"]) == 4
            assert trial.score == pytest.approx(history["val_loss"][-1], rel=1e-6)
    assert read_config(Config, tmp_path / "search" / "best.json") == Config()
    assert len(json.loads((tmp_path / "search" / "trials.json").read_text())) == 2
    assert tune_recipe(fit_run, search, None, tmp_path / "search", concurrent=2) == trials


@pytest.mark.timeout(600)  # five processes that import all there is
def test_workers_learn_what_one_process_learns_though_one_of_them_is_killed(tmp_path):
    config = Config(death=str(tmp_path / "died"))
    run = start_run("tiny", config, None, tmp_path / "runs")
    train_parallel(fit_run, config, tmp_path, run, workers=2, restarts=1)
    assert (tmp_path / "died").exists()

    alone = start_run("tiny", Config(), None, tmp_path / "runs")
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    ray.get(ray.remote(fit_run).options(runtime_env={"env_vars": environment}).remote(Config(), None, alone))

    first, second, kept, expected = map(
        read_weights, (tmp_path / "0.weights.h5", tmp_path / "1.weights.h5", run.weights, alone.weights)
    )
    for a, b, c, d in zip(first, second, kept, expected, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
        np.testing.assert_allclose(a, d, atol=LEARNT)
    histories = read_history(run.history), read_history(alone.history)
    np.testing.assert_array_equal(histories[0]["epoch"], range(4))
    np.testing.assert_allclose(histories[0]["val_loss"], histories[1]["val_loss"], atol=LEARNT)
    assert not (run.folder / "ray").exists()
