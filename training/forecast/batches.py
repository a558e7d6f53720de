"""Windows as the network is given them: training batches by epoch, and the weeks that watch the training."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from training.forecast.config import CONTEXT, HORIZON, Config
from training.forecast.data import Pool, Series, Windows, join_windows, sample_batches, watched_windows
from training.forecast.evaluate import SYNTHETIC
from training.forecast.features import RECENT, Features, build_features
from training.forecast.models.forecaster import reads_future
from training.forecast.synthetic import generate_windows
from training.forecast.window import Normalization, Transform, open_window

TARGET_LIMIT = 50.0  # on the window's scale; a spike beyond teaches no more
_SYNTHETIC_WATCHED = 1000


def watch(config: Config, series: Sequence[Series]) -> tuple[np.ndarray, Windows]:
    """The weeks that watch the training, and the source of each; none of a source that is left out."""
    kept = [one for one in series if one.source not in config.left_out]
    if not kept:
        windows = generate_windows(_SYNTHETIC_WATCHED, config.seed + 1)
        return np.full(_SYNTHETIC_WATCHED, SYNTHETIC), windows
    parts = [watched_windows([one]) for one in kept]
    sources = [one.source for one, (values, _) in zip(kept, parts, strict=True) for _ in values]
    return np.array(sources), join_windows(parts)


def open_batches(config: Config, pool: Pool, first_epoch: int) -> tf.data.Dataset:
    """Training examples; every pass is the next epoch."""
    epochs = itertools.count(first_epoch)

    def sample() -> Iterator[Windows]:
        yield from sample_batches(config, pool, next(epochs))

    signature = (tf.TensorSpec([None, CONTEXT + HORIZON], tf.float64), tf.TensorSpec([None], tf.int32))
    dataset = tf.data.Dataset.from_generator(sample, output_signature=signature)
    dataset = dataset.map(make_example(config), num_parallel_calls=2, deterministic=True)
    return dataset.apply(tf.data.experimental.assert_cardinality(config.steps_per_epoch)).prefetch(4)


def make_example(config: Config) -> Callable[[tf.Tensor, tf.Tensor], tuple[Features, tf.Tensor]]:
    """`to_example` as the configuration asks for it."""
    return partial(
        to_example,
        normalization=config.normalization,
        transform=config.transform,
        show_future=reads_future(config),
    )


def to_example(
    values: tf.Tensor,
    first_day: tf.Tensor,
    normalization: Normalization = "robust",
    transform: Transform = "none",
    show_future: bool = False,
) -> tuple[Features, tf.Tensor]:
    """Values [B, context + 7] -> features, and what is to be forecast: recent and future days, [B, days + 7, 2].

    Those have the value on the window's scale, whose scale and location come from the context alone, and the weight of
    the day: a window counts by its own difficulty, so that calm and wild series teach alike; a missing day has none.

    Args:
        normalization, transform: of the window, see there.
        show_future: the features have `future`, float32 [B, 7, 2]: true values, and 1 where they are known.
    """
    window = open_window(values[:, :CONTEXT], normalization, transform)
    features = build_features(window, first_day)
    future = values[:, CONTEXT:]
    known = tf.math.is_finite(future) & (window.scale > 0)
    value = tf.concat([window.z[:, RECENT], window.normalise(tf.where(known, future, 0))], axis=1)
    value = tf.cast(tf.clip_by_value(value, -TARGET_LIMIT, TARGET_LIMIT), tf.float32)
    seen = tf.concat([window.observed[:, RECENT] & (window.scale > 0), known], axis=1)
    weight = tf.cast(seen, tf.float32) / tf.maximum(features["unsteadiness"], 0.1)
    if show_future:
        features["future"] = tf.stack([value[:, -HORIZON:], tf.cast(known, tf.float32)], axis=-1)
    return features, tf.stack([value, weight], axis=-1)
