"""Recurrent layers that read lengths instead of masks, for training on any backend and fast serving.

Keras's own layers multiply their input within the loop, once per step, and carry a mask through it. Here the
input is projected for all steps at once, both directions share one loop, and the backward half starts at each
sequence's own end, so padding cannot change an answer. Cells: GRU with `reset_after` (Cho et al. 2014,
arXiv:1406.1078) and LSTM with a forget bias of 1 (Hochreiter & Schmidhuber 1997; Jozefowicz et al. 2015).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
from keras import layers, ops

from training.recipe.steps import add_bias, last_step, reverse, scan, valid_steps, zero_after

Tensor = Any
State = tuple[Tensor, ...]  # (hidden,) of a GRU, (hidden, cell) of an LSTM, [batch, units] each
Cell = Literal["gru", "lstm"]
Normalization = Literal["none", "layer", "batch", "weight"]
_GATES = {"gru": 3, "lstm": 4}
_EPSILON = 1e-3


class Recurrent(layers.Layer):  # type: ignore[misc]
    """One recurrent layer: [batch, time, any], lengths int [batch] -> outputs [batch, time, directions * units], zero
    behind each sequence's end, and for each direction the state behind its last step.

    It begins with `start`, states as it returns them, or with zeros.

    Args:
        units: width of the state, per direction.
        cell: "gru" or "lstm".
        bidirectional: also read from the end, and join both readings.
        initializer: of the recurrent kernel: "orthogonal" (Saxe et al. 2013, arXiv:1312.6120) or "glorot_uniform".
        normalization: "layer" normalises the gates' sums of each step (Ba et al. 2016, arXiv:1607.06450); "batch"
            the projected inputs over all real steps of a batch (Laurent et al. 2015, arXiv:1510.01378); "weight"
            splits each kernel into direction and length (Salimans & Kingma 2016, arXiv:1602.07868).
        recurrent_dropout: share of the state hidden from the gates, the same units at every step (Gal & Ghahramani
            2016, arXiv:1512.05287).
        truncate_steps: gradients do not flow back over the boundaries of windows of so many steps; 0: all the way.
    """

    def __init__(
        self,
        units: int,
        cell: Cell = "gru",
        bidirectional: bool = True,
        initializer: str = "orthogonal",
        normalization: Normalization = "none",
        recurrent_dropout: float = 0.0,
        truncate_steps: int = 0,
    ) -> None:
        super().__init__()
        self.units, self.cell, self.initializer = units, cell, initializer
        self.normalization, self.truncate_steps = normalization, truncate_steps
        self.directions = 2 if bidirectional else 1
        self.hidden = layers.Dropout(recurrent_dropout)
        self.batch_norm = layers.BatchNormalization() if normalization == "batch" else None

    def build(self, x_shape: tuple[int | None, ...], lengths_shape: tuple[int | None, ...]) -> None:
        directions, width = self.directions, _GATES[self.cell] * self.units
        shape, joined = (directions, width), directions * width
        self.input_kernel = self.add_weight(
            shape=(x_shape[-1], joined), initializer="glorot_uniform", name="input_kernel"
        )
        self.input_bias = self.add_weight(shape=shape, initializer=self._first_bias, name="input_bias")
        self.kernel = self.add_weight(
            shape=(directions, self.units, width), initializer=self._first_kernel, name="kernel"
        )
        self.bias = self.add_weight(shape=shape, initializer="zeros", name="bias")
        if self.normalization in ("layer", "weight"):
            self.input_gain = self.add_weight(shape=shape, initializer="ones", name="input_gain")
            self.gain = self.add_weight(shape=shape, initializer="ones", name="gain")
        if self.batch_norm:
            self.batch_norm.build((*x_shape[:-1], joined))

    def call(
        self, x: Tensor, lengths: Tensor, training: bool = False, start: Sequence[State] | None = None
    ) -> tuple[Tensor, list[State]]:
        elements = self._project(x, lengths, training)
        step = self._make_step(self._keep(x, training), x.dtype)
        if self.truncate_steps:
            elements = (elements, ops.arange(ops.shape(x)[1]) % self.truncate_steps == 0)
        states = scan(step, elements, tuple(start or [self._zeros(x)] * self.directions))
        last = [tuple(last_step(ops.transpose(part, (1, 0, 2)), lengths) for part in state) for state in states]
        outputs = [state[0] for state in states]
        both = ops.concatenate([outputs[0], *(reverse(o, lengths) for o in outputs[1:])], axis=-1)
        return zero_after(ops.transpose(both, (1, 0, 2)), lengths), last

    def _project(self, x: Tensor, lengths: Tensor, training: bool) -> tuple[Tensor, ...]:
        """The input's part of the gates, [time, batch, gates * units] for each direction."""
        kernels = ops.split(ops.cast(self.input_kernel, x.dtype), self.directions, axis=-1)
        gains = _per_direction(self.input_gain, x.dtype) if self.normalization in ("layer", "weight") else []
        if self.normalization == "weight":
            kernels = [_unit_columns(kernel) * gain for kernel, gain in zip(kernels, gains, strict=True)]
        parts = [ops.tensordot(x, kernel, 1) for kernel in kernels]
        if self.normalization == "layer":
            parts = [_standardize(part) * gain for part, gain in zip(parts, gains, strict=True)]
        if self.batch_norm:
            joined = ops.concatenate(parts, axis=-1)
            joined = self.batch_norm(joined, training=training, mask=valid_steps(x, lengths))
            parts = ops.split(joined, self.directions, axis=-1)
        biases = _per_direction(self.input_bias, x.dtype)
        steps = [ops.transpose(part + bias, (1, 0, 2)) for part, bias in zip(parts, biases, strict=True)]
        return (steps[0], *(reverse(each, lengths) for each in steps[1:]))  # time first: a step lies together

    def _make_step(self, keep: Tensor | None, dtype: str) -> Callable[[Any, Any], Any]:
        """(state of each direction, gates' inputs of each direction) -> next state of each direction."""
        kernels, biases = _per_direction(self.kernel, dtype), _per_direction(self.bias, dtype)
        gains = _per_direction(self.gain, dtype) if self.normalization in ("layer", "weight") else []
        if self.normalization == "weight":
            kernels = [_unit_columns(kernel) * gain for kernel, gain in zip(kernels, gains, strict=True)]
        advance = _advance_gru if self.cell == "gru" else _advance_lstm

        def recur(hidden: Tensor, direction: int) -> Tensor:
            product = ops.matmul(hidden if keep is None else hidden * keep, kernels[direction])
            if self.normalization == "layer":
                product = _standardize(product) * gains[direction]
            return add_bias(product, biases[direction])

        def step(states: Any, element: Any) -> Any:
            gates = element
            if self.truncate_steps:
                gates, cut = element
                states = [tuple(ops.where(cut, ops.stop_gradient(s), s) for s in state) for state in states]
            return tuple(advance(s, g, recur(s[0], i)) for i, (s, g) in enumerate(zip(states, gates, strict=True)))

        return step

    def _keep(self, x: Tensor, training: bool) -> Tensor | None:
        """Scaled mask of the units that the gates see: one draw per sequence, the same at all steps."""
        if not training or not self.hidden.rate:
            return None
        return self.hidden(ops.ones((ops.shape(x)[0], self.units), x.dtype), training=True)

    def _zeros(self, x: Tensor) -> State:
        zeros = ops.zeros((ops.shape(x)[0], self.units), x.dtype)
        return (zeros,) if self.cell == "gru" else (zeros, zeros)

    def _first_kernel(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        draw = keras.initializers.get(self.initializer)
        return ops.stack([draw.clone()(shape[1:], dtype) if i else draw(shape[1:], dtype) for i in range(shape[0])])

    def _first_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        if self.cell == "gru":
            return ops.zeros(shape, dtype)
        ones = ops.ones((shape[0], self.units), dtype)  # an LSTM begins by remembering
        zeros = ops.zeros_like(ones)
        return ops.concatenate([zeros, ones, zeros, zeros], axis=-1)


def _advance_gru(state: State, gates: Tensor, recurrent: Tensor) -> State:
    """One step of a GRU: input's and state's parts of the gates [batch, 3 * units] -> next state."""
    (hidden,) = state
    update_in, reset_in, new_in = ops.split(gates, 3, axis=-1)
    update_state, reset_state, new_state = ops.split(recurrent, 3, axis=-1)
    new = ops.tanh(new_in + ops.sigmoid(reset_in + reset_state) * new_state)
    return (new + ops.sigmoid(update_in + update_state) * (hidden - new),)


def _advance_lstm(state: State, gates: Tensor, recurrent: Tensor) -> State:
    """One step of an LSTM: input's and state's parts of the gates [batch, 4 * units] -> next state."""
    write, forget, new, show = ops.split(gates + recurrent, 4, axis=-1)
    memory = ops.sigmoid(forget) * state[1] + ops.sigmoid(write) * ops.tanh(new)
    return ops.sigmoid(show) * ops.tanh(memory), memory


def _per_direction(weight: Tensor, dtype: str) -> list[Tensor]:
    return list(ops.unstack(ops.cast(weight, dtype)))


def _standardize(x: Tensor) -> Tensor:
    mean, variance = ops.moments(x, axes=-1, keepdims=True)
    return (x - mean) * ops.rsqrt(variance + _EPSILON)


def _unit_columns(kernel: Tensor) -> Tensor:
    return kernel * ops.rsqrt(ops.sum(ops.square(kernel), axis=0, keepdims=True) + _EPSILON**2)
