"""What models do with padded sequences [batch, time, width] that come with their lengths, int [batch]."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensor = Any


def valid_steps(x: Tensor, lengths: Tensor) -> Tensor:
    """Which steps are real: bool [batch, time]."""
    return ops.arange(ops.shape(x)[1]) < lengths[:, None]


def zero_after(x: Tensor, lengths: Tensor) -> Tensor:
    """Zeroes the steps from each length on."""
    return ops.where(valid_steps(x, lengths)[..., None], x, ops.zeros((), x.dtype))


def last_step(x: Tensor, lengths: Tensor) -> Tensor:
    """The last real step of each sequence: [batch, width]."""
    return ops.take_along_axis(x, lengths[:, None, None] - 1, axis=1)[:, 0]


def pool_mean_max(x: Tensor, lengths: Tensor) -> Tensor:
    """Mean and maximum over each sequence's own steps, all zero behind them: [batch, 2 * width]."""
    mean = ops.sum(x, axis=1) / ops.cast(lengths, x.dtype)[:, None]
    seen = ops.where(valid_steps(x, lengths)[..., None], x, ops.cast(-1e9, x.dtype))
    return ops.concatenate([mean, ops.max(seen, axis=1)], axis=-1)


def reverse(steps: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence of `steps` [time, batch, width] backwards from its own end on; padding stays where it is."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.reverse_sequence(steps, lengths, seq_axis=0, batch_axis=1)
    places = ops.arange(steps.shape[0])[:, None]
    turned = ops.where(places < lengths, lengths - 1 - places, places)
    return ops.take_along_axis(steps, turned[..., None], axis=0)


def scan(step: Callable[[Any, Any], Any], elements: Any, start: Any) -> Any:
    """Carries a state along the first axis of `elements` and returns the state behind each step, stacked.

    Args:
        step: (state, element) -> next state, of the structure and shapes of `start`.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.scan(step, elements, start)

    def carry(state: Any, element: Any) -> tuple[Any, Any]:
        state = step(state, element)
        return state, state

    return ops.scan(carry, start, elements)[1]


def add_bias(x: Tensor, bias: Tensor) -> Tensor:
    """x [batch, width] + bias [width]."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.nn.bias_add(x, bias)  # fused with the matrix product before it
    return x + bias
