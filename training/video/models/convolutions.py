"""Convolutions over frames and over clips, with batch normalisation, and the network over frames of our own."""

from typing import Any

from keras import layers, ops

Tensor = Any
_MOMENTUM = 0.9  # of batch statistics: trainings are short


def normalize() -> layers.Layer:
    """Batch normalisation."""
    return layers.BatchNormalization(momentum=_MOMENTUM)


class FrameStage(layers.Layer):  # type: ignore[misc]
    """[batch, height, width, any] -> [batch, height / 2, width / 2, width]: two 3 x 3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolutions = [layers.Conv2D(width, 3, s, padding="same", use_bias=False) for s in (2, 1)]
        self.norms = [normalize() for _ in self.convolutions]

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = ops.relu(norm(convolution(x), training=training))
        return x


class FrameEncoder(layers.Layer):  # type: ignore[misc]
    """[batch, height, width, any] -> [batch, 2 * channels[-1]]: stages, then mean and maximum over the frame."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.stages = [FrameStage(width) for width in channels]

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        for stage in self.stages:
            x = stage(x, training=training)
        return pool(x)


def pool(x: Tensor) -> Tensor:
    """Mean and maximum over all but batch and channels: [batch, 2 * channels]."""
    places = tuple(range(1, len(x.shape) - 1))
    return ops.concatenate([ops.mean(x, axis=places), ops.max(x, axis=places)], axis=-1)


def fold_time(clips: Tensor) -> Tensor:
    """[batch, frames, ...] -> [batch * frames, ...]"""
    return ops.reshape(clips, (-1, *clips.shape[2:]))


def unfold_time(x: Tensor, frames: int) -> Tensor:
    """[batch * frames, ...] -> [batch, frames, ...]"""
    return ops.reshape(x, (-1, frames, *x.shape[1:]))
