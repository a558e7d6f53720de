"""I3D: an inflated network, and what it sees on average."""

from typing import Any

import keras
from keras import layers

from training.video.model_config import I3DModel
from training.video.models.backbone import adapt_frames
from training.video.models.convolutions import pool

Tensor = Any


class I3DEncoder(layers.Layer):  # type: ignore[misc]
    """[batch, frames, height, width, channels] from -1 to 1 -> [batch, 2 * width].

    Args:
        model: its settings.
        network: over clips, of `inflate`.
    """

    def __init__(self, model: I3DModel, network: keras.Model) -> None:
        super().__init__()
        self.backbone, self.network = model.backbone, network
        self.dropout = layers.SpatialDropout3D(model.dropout)

    def call(self, clips: Tensor, training: bool = False) -> Tensor:
        x = self.network(adapt_frames(self.backbone, clips), training=training)
        return pool(self.dropout(x, training=training))
