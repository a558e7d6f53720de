"""The video classifier: frames are brought to one scale, an encoder reads them, a layer chooses among the classes."""

from typing import Any

import keras
from keras import layers, ops

from training.video.config import Config
from training.video.model_config import (
    C3DModel,
    FrameRecurrentModel,
    I3DModel,
    Model,
    PairModel,
    ResidualModel,
    SegmentModel,
    ShiftModel,
    TransformerModel,
    TwoStreamModel,
)
from training.video.models.backbone import build_backbone
from training.video.models.c3d import C3DEncoder
from training.video.models.frame_recurrent import FrameRecurrentEncoder
from training.video.models.i3d import I3DEncoder
from training.video.models.inflation import inflate
from training.video.models.pairs import PairEncoder
from training.video.models.residual import ResidualEncoder
from training.video.models.transformer import TransformerEncoder
from training.video.models.tsm import ShiftEncoder
from training.video.models.tsn import SegmentEncoder
from training.video.models.two_stream import TwoStreamHead
from training.video.rendered.dataset import LUMA
from training.video.shape import ClipShape

Tensor = Any
_FAINTEST = 2.0  # luma levels; a clip of less contrast is not stretched further, for it is noise
_ENCODERS: dict[type, Any] = {
    PairModel: PairEncoder,
    C3DModel: C3DEncoder,
    SegmentModel: SegmentEncoder,
    TransformerModel: TransformerEncoder,
    ResidualModel: ResidualEncoder,
    ShiftModel: ShiftEncoder,
}


class VideoClassifier(keras.Model):  # type: ignore[misc]
    """{"frames": [batch, frames, height, width, 3], RGB of 0 to 255} -> logits float32 [batch, classes].

    Where `config.grey`, frames of one channel, luma, are taken as well. A two-stream model wants "flow" beside them,
    float32 [batch, frames - 1, height, width, 2], pixels per frame.
    """

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(name="video")
        self.config, model = config, config.model
        self.streams = TwoStreamHead(model, classes) if isinstance(model, TwoStreamModel) else None
        if self.streams is None:
            self.encoder = _make_encoder(model, config.shape, 1 if config.grey else 3)
            self.dropout = layers.Dropout(model.dropout)
            self.classify = layers.Dense(classes, dtype="float32")

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        clips = self.prepare(inputs["frames"])
        if self.streams:
            return self.streams(clips, inputs["flow"], training=training)
        return self.classify(self.dropout(self.encoder(clips, training=training), training=training))

    def prepare(self, frames: Tensor) -> Tensor:
        """Frames as the encoder reads them: float32 [batch, frames, height, width, 1 or 3]."""
        frames = ops.cast(frames, "float32")
        if self.config.grey and frames.shape[-1] == 3:
            frames = ops.sum(frames * LUMA, axis=-1, keepdims=True)
        if self.config.single_frame:
            middle = frames.shape[1] // 2
            frames = ops.repeat(frames[:, middle : middle + 1], frames.shape[1], axis=1)
        return standardize(frames) if self.config.normalization == "contrast" else frames / 127.5 - 1


def standardize(clips: Tensor) -> Tensor:
    """Takes each frame's mean and each clip's contrast away: exposure tells nothing of motion."""
    centered = clips - ops.mean(clips, axis=(2, 3, 4), keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(centered), axis=(1, 2, 3, 4), keepdims=True))
    return centered / ops.maximum(deviation, _FAINTEST)


def build_model(config: Config, classes: int) -> VideoClassifier:
    """Builds the model that `config.model` describes, with its first weights.

    Raises:
        ConfigError: the backbone cannot be had, see `build_backbone`.
    """
    model = VideoClassifier(config, classes)
    model(example_inputs(config))
    return model


def example_inputs(config: Config) -> dict[str, Tensor]:
    """A batch of one black clip, to build models with."""
    shape = config.shape
    inputs = {"frames": ops.zeros((1, shape.frames, shape.height, shape.width, 3), "uint8")}
    if isinstance(config.model, TwoStreamModel):
        inputs["flow"] = ops.zeros((1, shape.frames - 1, shape.height, shape.width, 2))
    return inputs


def _make_encoder(model: Model, shape: ClipShape, channels: int) -> layers.Layer:
    if isinstance(model, FrameRecurrentModel):
        return FrameRecurrentEncoder(model, build_backbone(model.backbone, shape.height, shape.width, channels))
    if isinstance(model, I3DModel):
        over_frames = build_backbone(model.backbone, shape.height, shape.width, channels)
        network = inflate(over_frames, shape.frames, model.temporal_kernel, model.halve_time_after)
        return I3DEncoder(model, network)
    return _ENCODERS[type(model)](model)
