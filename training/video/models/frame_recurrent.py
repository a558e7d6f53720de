"""A network over each frame, then a recurrent layer over the frames."""

from typing import Any

import keras
from keras import layers, ops

from training.recipe.recurrent import Recurrent
from training.video.model_config import FrameRecurrentModel
from training.video.models.backbone import adapt_frames
from training.video.models.convolutions import fold_time, pool, unfold_time

Tensor = Any


class FrameRecurrentEncoder(layers.Layer):  # type: ignore[misc]
    """[batch, frames, height, width, channels] from -1 to 1 -> [batch, 2 * directions * units].

    Args:
        model: its settings.
        network: over frames, of `build_backbone`.
    """

    def __init__(self, model: FrameRecurrentModel, network: keras.Model) -> None:
        super().__init__()
        self.backbone, self.network = model.backbone, network
        self.norm = layers.LayerNormalization()
        self.dropout = layers.Dropout(model.dropout)
        self.recurrent = Recurrent(model.units, model.cell, model.bidirectional)

    def call(self, clips: Tensor, training: bool = False) -> Tensor:
        frames = clips.shape[1]
        seen = self.network(adapt_frames(self.backbone, fold_time(clips)), training=training)
        x = self.dropout(unfold_time(self.norm(pool(seen)), frames), training=training)
        lengths = ops.full((ops.shape(x)[0],), frames, "int32")
        x, _ = self.recurrent(x, lengths, training=training)
        return ops.concatenate([ops.mean(x, axis=1), ops.max(x, axis=1)], axis=-1)
