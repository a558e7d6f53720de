"""Batches of drawings for training, which depend on the seed, the epoch and their number only."""

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from training.recipe.sharding import share
from training.sketch.augmentation import augment
from training.sketch.config import Config
from training.sketch.drawings import Bitmaps, Drawings
from training.sketch.ink import pad_inks, pad_to_multiple
from training.sketch.model_config import RecurrentModel

Batch = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
_BATCHES_PER_SORT = 16


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of ({"ink": [batch, time, 3], "lengths": [batch]}, one-hot [batch, classes], weights [batch]).

    Time varies; like lengths share a batch. For training, each epoch comes in a new order and altered anew. Where
    states are carried on (`truncation="stateful"`), a batch comes once per window, with its number as "window"
    [batch], and weighs nothing where a drawing has ended before.

    Args:
        drawings: one split.
        classes: number of labels.
        config: of the run.
        training: shuffle and alter.
    """

    def __init__(
        self,
        drawings: Drawings,
        classes: int,
        config: Config,
        training: bool = False,
    ) -> None:
        super().__init__(workers=1)  # Keras would make batches ahead, of the epoch before
        self.drawings, self.classes, self.config = drawings, classes, config
        self.training = training
        self.batch_size = config.optimisation.batch_size
        self.window_steps = _window_steps(config) if training else 0
        self.start_epoch(0)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Batch:
        return self.make_batch(*self.items[index])

    def start_epoch(self, epoch: int) -> None:
        """Puts the drawings into the order of this epoch."""
        self.epoch = epoch
        lengths, rng = self.drawings.inks.lengths, np.random.default_rng([self.config.seed, epoch])
        if self.window_steps:
            self.batches = _fixed_batches(lengths, self.batch_size)
            numbers: list[int] = rng.permutation(len(self.batches)).tolist()
            windows = [range(-(-int(lengths[rows].max()) // self.window_steps)) for rows in self.batches]
            self.items = [(number, window) for number in numbers for window in windows[number]]
        else:
            self.batches = _order(lengths, self.batch_size, rng if self.training else None)
            self.items = [(number, 0) for number in range(len(self.batches))]

    def make_batch(self, number: int, window: int) -> Batch:
        """One batch of the epoch that was started last."""
        part, augmentation = self.drawings.take(self.batches[number]), self.config.augmentation
        ink, lengths = pad_inks(part.inks)
        ink = pad_to_multiple(ink, self.window_steps or self.config.pad_to)
        if self.training and augmentation:
            rng = np.random.default_rng([self.config.seed, self.epoch, number])
            ink, lengths = augment(ink, lengths, augmentation, rng)
        inputs = {"ink": ink, "lengths": lengths}
        if self.window_steps:
            inputs["window"] = np.full(len(lengths), window, np.int32)
        weights = (lengths > window * self.window_steps).astype(np.float32)
        return inputs, np.eye(self.classes, dtype=np.float32)[part.classes], weights


class PictureBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """As `Batches`, of pictures: ({"image": [batch, side, side] of 0 to 1}, one-hot [batch, classes], ones [batch])."""

    def __init__(self, bitmaps: Bitmaps, classes: int, config: Config, training: bool = False) -> None:
        super().__init__(workers=1)  # Keras would make batches ahead, of the epoch before
        self.bitmaps, self.classes, self.config, self.training = bitmaps, classes, config, training
        self.start_epoch(0)

    def __len__(self) -> int:
        return -(-len(self.bitmaps) // self.config.optimisation.batch_size)

    def __getitem__(self, index: int) -> Batch:
        size = self.config.optimisation.batch_size
        part = self.bitmaps.take(self.order[index * size : (index + 1) * size])
        inputs = {"image": part.images.astype(np.float32) / 255}
        return inputs, np.eye(self.classes, dtype=np.float32)[part.classes], np.ones(len(part), np.float32)

    def start_epoch(self, epoch: int) -> None:
        """Puts the pictures into the order of this epoch."""
        self.epoch, rows = epoch, np.arange(len(self.bitmaps))
        self.order = np.random.default_rng([self.config.seed, epoch]).permutation(rows) if self.training else rows


class EpochStart(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells batches that Keras reads directly which epoch begins; it would count one too many."""

    def __init__(self, batches: Batches | PictureBatches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.batches.start_epoch(epoch)


def make_batches(
    split: Drawings | Bitmaps, classes: int, config: Config, training: bool = False
) -> Batches | PictureBatches:
    """The batches of a split; arguments as of `Batches`."""
    if isinstance(split, Bitmaps):
        return PictureBatches(split, classes, config, training)
    return Batches(split, classes, config, training)


def open_batches(batches: Batches | PictureBatches, first_epoch: int = 0) -> Any:
    """What `fit` of this backend reads fastest; a share of it where several processes train."""
    batches.start_epoch(first_epoch)
    return _as_tensors(batches) if keras.backend.backend() == "tensorflow" else share(batches)


def _as_tensors(batches: Batches | PictureBatches) -> Any:
    """A tf.data.Dataset, whose every pass is the next epoch."""
    import tensorflow as tf

    epochs = itertools.count(batches.epoch)

    def list_items() -> Iterator[int]:
        batches.start_epoch(next(epochs))
        yield from range(len(batches))

    example = batches[0]
    flat = keras.tree.flatten(example)

    def make(index: Any) -> Any:
        parts = tf.numpy_function(lambda i: keras.tree.flatten(batches[int(i)]), [index], [a.dtype for a in flat])
        for part, array in zip(parts, flat, strict=True):
            part.set_shape([None] * max(1, array.ndim - 1) + list(array.shape[1:][-1:]))
        return keras.tree.pack_sequence_as(example, parts)

    dataset = tf.data.Dataset.from_generator(list_items, output_signature=tf.TensorSpec([], tf.int64))
    dataset = dataset.map(make, num_parallel_calls=max(1, batches.config.workers), deterministic=True)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(4)


def _window_steps(config: Config) -> int:
    model = config.model
    if isinstance(model, RecurrentModel) and model.truncation == "stateful":
        return model.truncate_steps
    return 0


def _order(lengths: np.ndarray, batch_size: int, rng: np.random.Generator | None) -> list[np.ndarray]:
    """Row numbers per batch; shuffled where there is an `rng`."""
    rows = np.arange(len(lengths))
    if rng is None:
        return np.split(rows, range(batch_size, len(rows), batch_size))
    rng.shuffle(rows)
    batches = []
    for start in range(0, len(rows), batch_size * _BATCHES_PER_SORT):
        chunk = rows[start : start + batch_size * _BATCHES_PER_SORT]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        batches += np.split(chunk, range(batch_size, len(chunk), batch_size))
    return [batches[i] for i in rng.permutation(len(batches))]


def _fixed_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Row numbers per batch, the same in each epoch and all of one size, as carried states need them.

    Rows that are too many for that are left out at all lengths, or come twice where there are too few.
    """
    count = max(1, len(lengths) // batch_size)
    places = np.linspace(0, len(lengths) - 1, count * batch_size).round().astype(int)
    return np.split(np.argsort(lengths, kind="stable")[places], count)
