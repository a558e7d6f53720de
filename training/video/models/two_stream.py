"""Two streams: what a frame shows, and how the clip moves; fused late."""

from typing import Any

import keras
from keras import layers, ops

from training.video.model_config import TwoStreamModel
from training.video.models.convolutions import FrameEncoder

Tensor = Any


class TwoStreamHead(layers.Layer):  # type: ignore[misc]
    """Clips [batch, frames, height, width, c] and their flow [batch, frames - 1, height, width, 2], pixels per frame,
    -> logits of the classes.

    In training each clip teaches one of the streams, drawn anew, so that each learns as it would alone.
    """

    def __init__(self, model: TwoStreamModel, classes: int) -> None:
        super().__init__()
        self.bound = float(model.flow_bound)
        self.appearance, self.motion = FrameEncoder(model.channels), FrameEncoder(model.channels)
        self.dropout = layers.Dropout(model.dropout)
        self.classify = [layers.Dense(classes, dtype="float32") for _ in range(2)]
        self.seeds = keras.random.SeedGenerator()

    def call(self, clips: Tensor, flow: Tensor, training: bool = False) -> Tensor:
        seen, moved = self.ask_streams(clips, flow, training)
        if not training:
            return (seen + moved) / 2
        choice = keras.random.uniform((ops.shape(seen)[0], 1), seed=self.seeds) < 0.5
        return ops.where(choice, seen, moved)

    def ask_streams(self, clips: Tensor, flow: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """Logits of the stream that sees the middle frame, and of the one that sees the flow."""
        height, width = flow.shape[2:4]
        planes = ops.transpose(ops.clip(flow, -self.bound, self.bound), (0, 2, 3, 1, 4))
        planes = ops.reshape(planes, (-1, height, width, flow.shape[1] * 2))
        encoded = (
            self.appearance(clips[:, clips.shape[1] // 2], training=training),
            self.motion(planes, training=training),
        )
        seen, moved = (
            classify(self.dropout(x, training=training)) for classify, x in zip(self.classify, encoded, strict=True)
        )
        return seen, moved
