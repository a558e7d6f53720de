"""Batches of drawings for training, as a tf.data pipeline."""

import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from training.sketch.augmentation import augment
from training.sketch.config import Augmentation
from training.sketch.data import Drawings, pad_inks

_BATCHES_PER_SORT = 16


def make_batches(
    drawings: Drawings, batch_size: int, augmentation: Augmentation | None = None, seed: int = 0
) -> tf.data.Dataset:
    """Batches of ({"ink": [batch, time, 3], "lengths": [batch]}, classes [batch]); time varies.

    With `augmentation` each pass comes in a new order and altered anew; like lengths share a batch.
    """
    epochs = itertools.count()

    def generate() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        rng = np.random.default_rng([seed, next(epochs)])
        for rows in _order(drawings, batch_size, rng if augmentation else None):
            ink, lengths = pad_inks([drawings.inks[i] for i in rows])
            if augmentation:
                ink, lengths = augment(ink, lengths, augmentation, rng)
            yield {"ink": ink, "lengths": lengths}, drawings.classes[rows]

    ink_spec = {"ink": tf.TensorSpec([None, None, 3]), "lengths": tf.TensorSpec([None], tf.int32)}
    dataset = tf.data.Dataset.from_generator(generate, output_signature=(ink_spec, tf.TensorSpec([None], tf.int32)))
    steps = -(-len(drawings.inks) // batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(4)


def _order(drawings: Drawings, batch_size: int, rng: np.random.Generator | None) -> list[np.ndarray]:
    """Row numbers per batch; shuffled where there is an `rng`."""
    rows = np.arange(len(drawings.inks))
    if rng is None:
        return np.split(rows, range(batch_size, len(rows), batch_size))
    rng.shuffle(rows)
    lengths = np.array([len(ink) for ink in drawings.inks])
    batches = []
    for start in range(0, len(rows), batch_size * _BATCHES_PER_SORT):
        chunk = rows[start : start + batch_size * _BATCHES_PER_SORT]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        batches += np.split(chunk, range(batch_size, len(chunk), batch_size))
    return [batches[i] for i in rng.permutation(len(batches))]
