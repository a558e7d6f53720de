"""Cuts batches into the workers' shares, where several processes train one model (`parallel.py`).

Keras on JAX puts the shares together to one array that lies on all devices, so a step is the step of a single process:
same loss, same gradients, same dropout masks. TensorFlow has no such thing under Keras 3.
"""

from typing import Any

import keras
import numpy as np


def share(batches: Any) -> Any:
    """This process's share of each batch; the batches themselves where one process trains alone.

    Args:
        batches: a keras.utils.PyDataset of NumPy arrays, (x, y) or (x, y, weights), which is the same in all processes.
    """
    distribution = keras.distribution.distribution()
    if distribution is None or isinstance(batches, _Share):
        return batches
    return _Share(
        batches, distribution.data_shard_id, distribution.num_processes, distribution.device_mesh.devices.size
    )


class _Share(keras.utils.PyDataset):  # type: ignore[misc]
    def __init__(self, batches: keras.utils.PyDataset, worker: int, workers: int, devices: int) -> None:
        super().__init__(workers=batches.workers, max_queue_size=batches.max_queue_size)
        self.batches, self.place = batches, (worker, workers, devices)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[Any, Any, np.ndarray]:
        return cut(self.batches[index], *self.place)

    def on_epoch_begin(self) -> None:
        self.batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.batches.on_epoch_end()


def cut(batch: tuple[Any, ...], worker: int, workers: int, devices: int) -> tuple[Any, Any, np.ndarray]:
    """One worker's rows of a batch, with weights.

    The batch is first filled up to a multiple of `devices` by rows that weigh nothing; the others weigh more for it, so
    that the mean over the filled batch is that over the batch. Shares are blocks: in the order of the workers they are
    the batch again, row by row, which keeps dropout masks where they were.

    Args:
        batch: (x, y) or (x, y, weights); arrays [batch, ...], or structures of such.
        worker: number of this one, from 0.
        workers: how many there are; divides `devices`.
        devices: of all workers.
    """
    x, y = batch[:2]
    rows = len(keras.tree.flatten(y)[0])
    weights = batch[2] if len(batch) > 2 else np.ones(rows, np.float32)
    filled = -(-rows // devices) * devices
    mine = np.arange(filled)[worker * filled // workers : (worker + 1) * filled // workers]
    x, y, weights = keras.tree.map_structure(lambda array: np.take(array, mine % rows, axis=0), (x, y, weights))
    return x, y, np.asarray(weights * np.where(mine < rows, filled / rows, 0), np.float32)
