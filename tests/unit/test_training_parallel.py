"""Cutting batches into workers' shares, and when to start workers again; tests/integration/test_training_on_ray.py
runs some."""

import keras
import numpy as np
import pytest
from ray.train import WorkerGroupError

from training.recipe.errors import DataError
from training.recipe.parallel import insist
from training.recipe.run import Run
from training.recipe.sharding import cut, share


def make_batch(rows, weights=None):
    x = {"ink": np.arange(rows * 6, dtype=np.float32).reshape(rows, 2, 3), "lengths": np.arange(rows, dtype=np.int32)}
    y = np.eye(5, dtype=np.float32)[np.arange(rows) % 5]
    return (x, y) if weights is None else (x, y, np.asarray(weights, np.float32))


@pytest.mark.parametrize(("rows", "workers", "devices"), [(8, 2, 2), (7, 2, 2), (1, 4, 4), (9, 2, 8), (64, 3, 3)])
def test_shares_are_the_batch_again_in_the_order_of_the_workers(rows, workers, devices):
    batch = make_batch(rows)
    shares = [cut(batch, worker, workers, devices) for worker in range(workers)]
    sizes = {len(y) for _, y, _ in shares}
    assert len(sizes) == 1 and sizes.pop() % (devices // workers) == 0
    for name in ("ink", "lengths"):
        np.testing.assert_array_equal(np.concatenate([x[name] for x, _, _ in shares])[:rows], batch[0][name])
    np.testing.assert_array_equal(np.concatenate([y for _, y, _ in shares])[:rows], batch[1])


@pytest.mark.parametrize("weights", [None, [1, 0, 0.5, 2, 1, 1, 0]])
def test_the_weighted_mean_over_the_shares_is_that_over_the_batch(weights):
    losses = np.random.default_rng(0).normal(size=7)
    shares = [cut(make_batch(7, weights), worker, 4, 4) for worker in range(4)]
    rows = np.concatenate([x["lengths"] for x, _, _ in shares])
    mean = np.mean(losses[rows] * np.concatenate([w for _, _, w in shares]))
    expected = np.mean(losses * (np.ones(7) if weights is None else weights))
    np.testing.assert_allclose(mean, expected, rtol=1e-6)


def test_one_process_alone_keeps_its_batches():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return make_batch(4)

    batches = Batches()
    assert share(batches) is batches


class Trainer:
    """Fails of one thing after the other, then not."""

    def __init__(self, *failures):
        self.failures = list(failures)

    def fit(self):
        if self.failures:
            raise WorkerGroupError("failed", {1: self.failures.pop(0)})


def test_dead_workers_are_started_again_so_often(tmp_path):
    trainer = Trainer(RuntimeError("died"), RuntimeError("died"))
    insist(trainer, Run(tmp_path), restarts=2)
    assert not trainer.failures
    with pytest.raises(WorkerGroupError):
        insist(Trainer(RuntimeError("died"), RuntimeError("died")), Run(tmp_path), restarts=1)


def test_what_the_recipe_refuses_is_not_tried_again(tmp_path):
    trainer = Trainer(DataError("cat.npz: no array 'train'"), RuntimeError("died"))
    with pytest.raises(DataError, match=r"cat\.npz"):
        insist(trainer, Run(tmp_path), restarts=5)
    assert len(trainer.failures) == 1
