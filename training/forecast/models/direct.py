"""Convolutions and a GRU read the past, each forecast day attends to it."""

import tensorflow as tf
from keras import layers, ops

from training.forecast.config import HORIZON
from training.forecast.features import CANDIDATES, Features
from training.forecast.model_config import DirectModel
from training.forecast.models.head import QuantileHead
from training.forecast.models.network import Network
from training.forecast.models.past import yardstick


class Direct(Network):
    """Features -> quantiles [B, 7, levels]."""

    def __init__(self, model: DirectModel) -> None:
        super().__init__()
        units = model.units
        self.by_day = layers.Conv1D(units, 7, padding="causal", activation="relu")
        self.weeks = layers.Conv1D(units, 7, strides=7, activation="relu")
        self.state = HoistedGRU(units)
        self.know = layers.Dense(units, activation="relu")
        self.attend = layers.MultiHeadAttention(2, units // 2)
        self.join = layers.Dense(2 * units, activation="relu")
        self.near = layers.Conv1D(units, 3, padding="same", activation="relu")  # holidays and weather are shared
        self.mix = layers.Dense(units, activation="relu")
        self.head = QuantileHead(model.skip, CANDIDATES)

    def call(self, features: Features, training: bool = False) -> tf.Tensor:
        recent, year_ago = self.by_day(features["recent"]), self.by_day(features["year_ago"])
        state = self.state(self.weeks(recent))
        query = ops.concatenate([self.know(features["horizon"]), ops.repeat(state[:, None], HORIZON, axis=1)], axis=-1)
        past = ops.concatenate([recent, year_ago], axis=1)
        x = self.join(ops.concatenate([query, self.attend(query, past)], axis=-1))
        x = self.mix(ops.concatenate([x, self.near(x)], axis=-1))
        return self.head(x, features["candidates"], yardstick(features, 3))


class HoistedGRU(layers.GRU):  # type: ignore[misc]
    """A `keras.layers.GRU` that projects the inputs of all steps at once: [B, steps, any] -> last state [B, units].

    Unrolled, for there are few steps. It has no mask and starts at zero.
    """

    def call(
        self,
        sequences: tf.Tensor,
        initial_state: tf.Tensor | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        input_bias, state_bias = ops.unstack(self.cell.bias)
        gates = ops.tensordot(sequences, self.cell.kernel, 1) + input_bias
        state = ops.zeros((ops.shape(sequences)[0], self.units))
        for step in ops.unstack(gates, axis=1):
            recurrent = tf.nn.bias_add(state @ self.cell.recurrent_kernel, state_bias)  # TensorFlow fuses the two
            update_in, reset_in, new_in = ops.split(step, 3, axis=-1)
            update_state, reset_state, new_state = ops.split(recurrent, 3, axis=-1)
            new = ops.tanh(new_in + ops.sigmoid(reset_in + reset_state) * new_state)
            state = new + ops.sigmoid(update_in + update_state) * (state - new)
        return state
