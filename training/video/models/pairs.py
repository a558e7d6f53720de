"""A shared convolution over pairs of frames, then a bidirectional GRU over the pairs."""

from typing import Any

import numpy as np
from keras import layers, ops

from training.video.model_config import PairModel
from training.video.models.convolutions import fold_time, normalize, unfold_time

Tensor = Any


class PairEncoder(layers.Layer):  # type: ignore[misc]
    """[batch, frames, height, width, channels] -> [batch, 4 * units]."""

    def __init__(self, model: PairModel) -> None:
        super().__init__()
        kernels = (5, *[3] * (len(model.channels) - 1))
        self.convolutions = [
            layers.Conv2D(width, kernel, 2, padding="same", use_bias=False)
            for width, kernel in zip(model.channels, kernels, strict=True)
        ]
        self.norms = [normalize() for _ in model.channels]
        self.describe = layers.Dense(model.pair_units)
        self.norm = layers.LayerNormalization()
        self.dropout = layers.Dropout(model.dropout)
        self.recurrent = layers.Bidirectional(layers.GRU(model.units, return_sequences=True, unroll=True))

    def call(self, clips: Tensor, training: bool = False) -> Tensor:
        x = fold_time(join_pairs(clips))
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = ops.relu(norm(convolution(x), training=training))
        x = ops.reshape(x, (-1, int(np.prod(x.shape[1:]))))  # keeps where in the view each motion is
        x = unfold_time(ops.relu(self.norm(self.describe(x))), clips.shape[1] - 1)
        x = self.recurrent(self.dropout(x, training=training), training=training)
        return ops.concatenate([ops.mean(x, axis=1), ops.max(x, axis=1)], axis=-1)


def join_pairs(clips: Tensor) -> Tensor:
    """[batch, frames, ..., c] -> [batch, frames - 1, ..., 3 * c]: the mean of two frames, their difference, and that
    of the frames around them."""
    steps = clips.shape[1] - 1
    before = np.maximum(np.arange(steps) - 1, 0)
    after = np.minimum(np.arange(steps) + 2, steps)
    first, second = clips[:, :-1], clips[:, 1:]
    wide = ops.take(clips, after, axis=1) - ops.take(clips, before, axis=1)
    return ops.concatenate([(first + second) / 2, 2 * (second - first), wide], axis=-1)
