"""Batches of clips for training, which depend on the seed, the epoch and their number only."""

import itertools
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from training.video.augmentation import Augmenter
from training.video.clips import Clips, stack_clips
from training.video.config import Config
from training.video.flow import compute_flow
from training.video.model_config import TwoStreamModel

Batch = tuple[dict[str, np.ndarray], np.ndarray]


def open_batches(
    clips: Clips, classes: int, config: Config, augmenter: Augmenter, first_epoch: int = 0
) -> tf.data.Dataset:
    """Batches of ({"frames": uint8 [batch, frames, height, width, 1 or 3], ...}, one-hot [batch, classes]) to learn
    from, altered anew and in a new order each time that the data set is read, which is the next epoch."""
    epochs = itertools.count(first_epoch)
    steps = len(clips) // config.optimisation.batch_size
    return _stream(lambda: sample_batches(clips, classes, config, augmenter, next(epochs)), steps)


def open_validation(clips: Clips, classes: int, config: Config) -> tf.data.Dataset:
    """The same of clips as they are, in their order."""

    def batches() -> Iterator[Batch]:
        for rows in split_rows(len(clips), config.optimisation.batch_size):
            yield join_inputs(stack_clips(clips, rows), config), np.eye(classes, dtype=np.float32)[clips.classes[rows]]

    return _stream(batches, len(split_rows(len(clips), config.optimisation.batch_size)))


def sample_batches(clips: Clips, classes: int, config: Config, augmenter: Augmenter, epoch: int) -> Iterator[Batch]:
    """The batches of one epoch; clips that do not fill one are left out of it."""
    rng, size = np.random.default_rng([config.seed, epoch]), config.optimisation.batch_size
    order = rng.permutation(len(clips))
    for rows in split_rows(len(clips) // size * size, size):
        altered = [augmenter.alter(rng, clips.draw(rng, row), int(clips.classes[row])) for row in order[rows]]
        frames, labels = zip(*altered, strict=True)
        yield join_inputs(np.stack(frames), config), np.eye(classes, dtype=np.float32)[list(labels)]


def join_inputs(frames: np.ndarray, config: Config) -> dict[str, np.ndarray]:
    """What the model wants to know of clips uint8 [batch, frames, height, width, 1 or 3]."""
    if isinstance(config.model, TwoStreamModel):
        return {"frames": frames, "flow": compute_flow(freeze(frames, config), config.model.flow)}
    return {"frames": frames}


def freeze(frames: np.ndarray, config: Config) -> np.ndarray:
    """The clips as the model will see them: of `config.single_frame`, one frame each, as often as it has frames."""
    if not config.single_frame:
        return frames
    middle = frames.shape[1] // 2
    return frames[:, middle : middle + 1].repeat(frames.shape[1], axis=1)


def split_rows(count: int, size: int) -> list[np.ndarray]:
    """Row numbers per batch, in order."""
    return np.split(np.arange(count), range(size, count, size)) if count else []


def _stream(read: Callable[[], Iterator[Batch]], steps: int) -> tf.data.Dataset:
    example = next(read())
    signature = keras.tree.map_structure(lambda a: tf.TensorSpec([None, *a.shape[1:]], a.dtype), example)
    dataset = tf.data.Dataset.from_generator(read, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(4)
