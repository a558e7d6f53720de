"""C3D: convolutions over space and time, and pooling."""

from typing import Any

import numpy as np
from keras import layers, ops

from training.video.model_config import C3DModel
from training.video.models.convolutions import normalize

Tensor = Any


class C3DEncoder(layers.Layer):  # type: ignore[misc]
    """[batch, frames, height, width, channels] -> [batch, units]."""

    def __init__(self, model: C3DModel) -> None:
        super().__init__()
        self.convolutions = [layers.Conv3D(width, 3, padding="same", use_bias=False) for width in model.channels]
        self.norms = [normalize() for _ in model.channels]
        pools = [(1, 2, 2), *[(2, 2, 2)] * (len(model.channels) - 1)]
        self.pools = [layers.MaxPooling3D(pool, padding="same") for pool in pools]
        self.dense = layers.Dense(model.units, activation="relu")
        self.dropout = layers.Dropout(model.dropout)

    def call(self, clips: Tensor, training: bool = False) -> Tensor:
        x = clips
        for convolution, norm, pool in zip(self.convolutions, self.norms, self.pools, strict=True):
            x = pool(ops.relu(norm(convolution(x), training=training)))
        x = ops.reshape(x, (-1, int(np.prod(x.shape[1:]))))
        return self.dense(self.dropout(x, training=training))
