"""The sketch classifier: strided convolutions, bidirectional GRUs, masked pooling.

Everything is computed from the lengths, not from Keras masks, and every layer zeroes what lies behind a
drawing's end: padding cannot change an answer.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from training.sketch.config import Config

Tensor = Any
_KERNEL = 5  # with two zeros on each side, a stride of 2 gives ceil(time / 2) steps for any time


def build_model(config: Config, classes: int) -> keras.Model:
    """Builds {"ink": [batch, time, 3], "lengths": [batch]} -> logits [batch, classes]."""
    model = SketchClassifier(config, classes)
    model({"ink": ops.zeros((1, 8, 3)), "lengths": ops.ones((1,), "int32")})
    return model


class SketchClassifier(keras.Model):  # type: ignore[misc]
    """Reads absolute ink; its own first step removes position and size."""

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(name="sketch")
        self.convolutions = [layers.Conv1D(c, _KERNEL, strides=2) for c in config.channels]
        self.norms = [layers.LayerNormalization() for _ in config.channels]
        self.recurrent = [BidirectionalGRU(config.units) for _ in range(config.layers)]
        self.dropout = layers.Dropout(config.dropout)
        self.classify = layers.Dense(classes)

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        ink = inputs["ink"]
        lengths = ops.clip(inputs["lengths"], 1, ops.shape(ink)[1])  # rows that only fill a batch have 0
        x = stroke_features(ink, lengths)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = ops.gelu(norm(convolution(ops.pad(x, [[0, 0], [2, 2], [0, 0]]))))
            lengths = (lengths + 1) // 2
            x = zero_after(x, lengths)
        for recurrent in self.recurrent:
            x = recurrent(self.dropout(x, training=training), lengths)
        return self.classify(self.dropout(pool(x, lengths), training=training))


class BidirectionalGRU(layers.Layer):  # type: ignore[misc]
    """Both directions of a GRU (`reset_after=True`) in one loop: [batch, time, any] -> [.., 2 * units].

    The input projections stay outside of the loop, and the two directions of a step do not wait for each
    other. The backward half starts at each sequence's own end.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units
        self.project = layers.Dense(6 * units)

    def build(self, x_shape: tuple[int | None, ...], lengths_shape: tuple[int | None, ...]) -> None:
        self.project.build(x_shape)
        self.kernel = self.add_weight(
            shape=(2, self.units, 3 * self.units), initializer=_both_orthogonal, name="kernel"
        )
        self.bias = self.add_weight(shape=(2, 1, 3 * self.units), initializer="zeros", name="bias")

    def call(self, x: Tensor, lengths: Tensor) -> Tensor:
        steps = ops.transpose(x, (1, 0, 2))  # time first: what a step reads lies together
        kernels, biases = ops.split(self.project.kernel, 2, axis=-1), ops.split(self.project.bias, 2)
        inputs = (steps, _reverse(steps, lengths))
        gates = tuple(ops.tensordot(i, k, 1) + b for i, k, b in zip(inputs, kernels, biases, strict=True))
        weights = tuple(zip(ops.unstack(self.kernel), ops.unstack(self.bias[:, 0]), strict=True))

        def step(states: tuple[Tensor, ...], gates: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(_advance(s, g, *w) for s, g, w in zip(states, gates, weights, strict=True))

        start = ops.zeros((ops.shape(x)[0], self.units))
        forward, backward = tf.scan(step, gates, (start, start))
        both = ops.concatenate([forward, _reverse(backward, lengths)], axis=-1)
        return zero_after(ops.transpose(both, (1, 0, 2)), lengths)


def _advance(state: Tensor, gates: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """One step of a GRU: state [batch, units], input part of the gates [batch, 3 * units] -> next state."""
    update_in, reset_in, new_in = ops.split(gates, 3, axis=-1)
    recurrent = tf.nn.bias_add(state @ kernel, bias)  # TensorFlow fuses the two
    update_state, reset_state, new_state = ops.split(recurrent, 3, axis=-1)
    new = ops.tanh(new_in + ops.sigmoid(reset_in + reset_state) * new_state)
    return new + ops.sigmoid(update_in + update_state) * (state - new)


def _reverse(steps: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence of `steps` [time, batch, width] backwards from its own end on."""
    return tf.reverse_sequence(steps, lengths, seq_axis=0, batch_axis=1)


def stroke_features(ink: Tensor, lengths: Tensor) -> Tensor:
    """Ink -> [batch, time, 8]: place in the bounding box, step from the point before, its length and
    direction, pen lifted here, stroke starts here. The box's longer side measures 2."""
    valid = _valid(ink, lengths)
    points, pen = ink[..., :2], ink[..., 2:]
    low = ops.min(ops.where(valid, points, ops.max(points)), axis=1, keepdims=True)
    high = ops.max(ops.where(valid, points, ops.min(points)), axis=1, keepdims=True)
    side = ops.max(high - low, axis=-1, keepdims=True)
    place = (2 * points - low - high) / ops.where(side > 0, side, 1.0)
    step = ops.pad(place[:, 1:] - place[:, :-1], [[0, 0], [1, 0], [0, 0]])
    distance = ops.sqrt(ops.sum(ops.square(step), axis=-1, keepdims=True) + 1e-12)
    starts = ops.pad(pen[:, :-1], [[0, 0], [1, 0], [0, 0]], constant_values=1.0)
    features = ops.concatenate([place, 4 * step, 4 * distance, step / distance, pen, starts], axis=-1)
    return zero_after(features, lengths)


def pool(x: Tensor, lengths: Tensor) -> Tensor:
    """Mean and maximum over each sequence's own steps: [batch, time, width] -> [batch, 2 * width]."""
    mean = ops.sum(x, axis=1) / ops.cast(lengths, x.dtype)[:, None]
    return ops.concatenate([mean, ops.max(ops.where(_valid(x, lengths), x, -1e9), axis=1)], axis=-1)


def zero_after(x: Tensor, lengths: Tensor) -> Tensor:
    """Zeroes the steps of `x` [batch, time, width] from each length on."""
    return ops.where(_valid(x, lengths), x, 0.0)


def _valid(x: Tensor, lengths: Tensor) -> Tensor:
    return (ops.arange(ops.shape(x)[1]) < lengths[:, None])[..., None]


def _both_orthogonal(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
    orthogonal = keras.initializers.Orthogonal()
    return ops.stack([orthogonal(shape[1:], dtype) for _ in range(shape[0])])
