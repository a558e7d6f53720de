"""Inflates a network over frames into one over clips (Carreira & Zisserman 2017, arXiv:1705.07750).

Each kernel is repeated along time and divided by how often; time is padded by the frames at its ends. So a clip that
stands still gets the very answer that its frame gets, frame by frame.
"""

from typing import Any

import keras
from keras import layers, ops

from training.video.models.convolutions import fold_time, unfold_time

Tensor = Any
_JOINS = (layers.Add, layers.Multiply, layers.Concatenate)  # of several inputs; the same for frames and for clips


def inflate(network: keras.Model, frames: int, kernel: int, halve_time_after: int) -> keras.Model:
    """[batch, height, width, c] -> [batch, rows, columns, width] becomes [batch, frames, height, width, c] ->
    [batch, times, rows, columns, width].

    Args:
        network: functional, over frames; its weights are copied.
        frames: of a clip.
        kernel: frames that every convolution of more than one pixel sees; odd.
        halve_time_after: strided layers of `network` that leave time as it is; those after them halve it.
    """
    inflated: list[tuple[layers.Layer, InflatedConvolution | FrameWise]] = []
    strided: dict[tuple[Any, ...], int] = {}  # layers that read the same map halve alike: a block and its shortcut

    def clone(layer: layers.Layer) -> layers.Layer:
        if isinstance(layer, layers.InputLayer):
            return layer
        if isinstance(layer, _JOINS):
            options = layer.get_config() | ({"axis": -1} if isinstance(layer, layers.Concatenate) else {})
            return type(layer).from_config(options)
        stride = 1
        if max(_strides(layer)) > 1:
            number = strided.setdefault(tuple(layer.output.shape[1:3]), len(strided))
            stride = 2 if number >= halve_time_after else 1
        whole = type(layer) is layers.Conv2D and max(layer.kernel_size) > 1
        new = InflatedConvolution(layer, kernel, stride) if whole else FrameWise(layer, stride)
        inflated.append((layer, new))
        return new

    clips = keras.Input((frames, *network.input_shape[1:]))
    result = keras.models.clone_model(network, input_tensors=clips, clone_function=clone)
    for layer, new in inflated:
        new.take_weights(layer)
    result.trainable = network.trainable
    return result


class InflatedConvolution(layers.Layer):  # type: ignore[misc]
    """A Conv2D over clips: [batch, frames, height, width, c] -> [batch, frames / stride, rows, columns, filters]."""

    def __init__(self, layer: layers.Conv2D, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.same, self.spatial_stride = kernel, layer.padding == "same", layer.strides
        self.spatial_kernel = layer.kernel_size
        self.convolution = layers.Conv3D(
            layer.filters,
            (kernel, *layer.kernel_size),
            (stride, *layer.strides),
            activation=layer.activation,
            use_bias=layer.use_bias,
        )

    def call(self, x: Tensor) -> Tensor:
        half = self.kernel // 2
        if half:
            x = ops.concatenate([ops.repeat(x[:, :1], half, 1), x, ops.repeat(x[:, -1:], half, 1)], axis=1)
        if self.same:
            pads = [
                _pad_same(side, size, stride)
                for side, size, stride in zip(x.shape[2:4], self.spatial_kernel, self.spatial_stride, strict=True)
            ]
            x = ops.pad(x, [[0, 0], [0, 0], *pads, [0, 0]])
        return self.convolution(x)

    def take_weights(self, layer: layers.Conv2D) -> None:
        kernel, *bias = (keras.ops.convert_to_numpy(weight) for weight in layer.weights)
        self.convolution.set_weights([kernel[None].repeat(self.kernel, axis=0) / self.kernel, *bias])


class FrameWise(layers.Layer):  # type: ignore[misc]
    """Any layer over each frame by itself; of the results, every `stride`-th is kept."""

    def __init__(self, layer: layers.Layer, stride: int) -> None:
        super().__init__()
        self.layer, self.stride = type(layer).from_config(layer.get_config()), stride

    def call(self, x: Tensor, training: bool = False, mask: None = None) -> Tensor:  # Keras hands a mask to some
        x = x[:, :: self.stride]
        options = {"training": training} if self.layer._call_has_training_arg else {}
        return unfold_time(self.layer(fold_time(x), **options), x.shape[1])

    def take_weights(self, layer: layers.Layer) -> None:
        self.layer.set_weights(layer.get_weights())


def _strides(layer: layers.Layer) -> tuple[int, ...]:
    strides = getattr(layer, "strides", 1)
    return strides if isinstance(strides, tuple) else (strides,)


def _pad_same(side: int, size: int, stride: int) -> list[int]:
    """What "same" puts before and after `side` pixels."""
    total = max((-(-side // stride) - 1) * stride + size - side, 0)
    return [total // 2, total - total // 2]
