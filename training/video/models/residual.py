"""R3D and R(2+1)D: residual blocks over space and time."""

from typing import Any

from keras import layers, ops

from training.video.model_config import ResidualModel
from training.video.models.convolutions import normalize, pool

Tensor = Any
Convolve = Any


class ResidualEncoder(layers.Layer):  # type: ignore[misc]
    """[batch, frames, height, width, channels] -> [batch, 2 * channels[-1]]."""

    def __init__(self, model: ResidualModel) -> None:
        super().__init__()
        first = model.channels[0]
        self.stem = layers.Conv3D(first, (3, 5, 5), (1, 2, 2), padding="same", use_bias=False)
        self.norm = normalize()
        self.blocks = [
            ResidualBlock(width, 2 if stage and not block else 1, model.convolution)
            for stage, width in enumerate(model.channels)
            for block in range(model.blocks)
        ]

    def call(self, clips: Tensor, training: bool = False) -> Tensor:
        x = ops.relu(self.norm(self.stem(clips), training=training))
        for block in self.blocks:
            x = block(x, training=training)
        return pool(x)


class ResidualBlock(layers.Layer):  # type: ignore[misc]
    """Two convolutions, and the input beside them: the size of each axis but channels divided by `stride`."""

    def __init__(self, width: int, stride: int, kind: str) -> None:
        super().__init__()
        self.width, self.stride, self.kind = width, stride, kind

    def build(self, shape: tuple[int, ...]) -> None:
        channels = shape[-1]
        self.convolutions = [
            _convolve(self.kind, into, self.width, stride)
            for into, stride in ((channels, self.stride), (self.width, 1))
        ]
        self.norms = [normalize() for _ in range(2)]
        changes = self.stride > 1 or channels != self.width
        self.shortcut = layers.Conv3D(self.width, 1, self.stride, use_bias=False) if changes else None

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        kept = self.shortcut(x) if self.shortcut else x
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = norm(convolution(x, training=training), training=training)
            x = ops.relu(x + kept if number else x)
        return x


class Whole(layers.Layer):  # type: ignore[misc]
    """A 3 x 3 x 3 convolution."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.convolution = layers.Conv3D(width, 3, stride, padding="same", use_bias=False)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return self.convolution(x)


class Factorised(layers.Layer):  # type: ignore[misc]
    """A convolution over the frame, one over time, and a rectifier between; `middle` channels there."""

    def __init__(self, middle: int, width: int, stride: int) -> None:
        super().__init__()
        self.space = layers.Conv3D(middle, (1, 3, 3), (1, stride, stride), padding="same", use_bias=False)
        self.norm = normalize()
        self.time = layers.Conv3D(width, (3, 1, 1), (stride, 1, 1), padding="same", use_bias=False)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return self.time(ops.relu(self.norm(self.space(x), training=training)))


def _convolve(kind: str, channels: int, width: int, stride: int) -> layers.Layer:
    if kind == "3d":
        return Whole(width, stride)
    middle = 27 * channels * width // (9 * channels + 3 * width)  # as many parameters as the whole one has
    return Factorised(middle, width, stride)
