"""The network: convolutions and a GRU read the past, each forecast day attends to it.

Its forecast is a learned mixture of simple candidates plus a correction, and quantiles that are
cumulative sums of positive steps, so that they cannot cross.
"""

from itertools import pairwise

import keras
import tensorflow as tf
from keras import layers, ops

from training.forecast.config import HORIZON, QUANTILE_LEVELS, Config
from training.forecast.features import (
    CANDIDATES,
    DAY_FEATURES,
    HORIZON_FEATURES,
    RECENT_DAYS,
    YEAR_AGO_DAYS,
    build_features,
)
from training.forecast.window import open_window

MEDIAN = QUANTILE_LEVELS.index(0.5)


def build_model(config: Config) -> keras.Model:
    """Features -> quantiles of every member on the window's scale, float32 [B, members, 7, levels]."""
    inputs = {
        "candidates": keras.Input((HORIZON, CANDIDATES), name="candidates"),
        "unsteadiness": keras.Input((1,), name="unsteadiness"),
        "recent": keras.Input((RECENT_DAYS, DAY_FEATURES), name="recent"),
        "year_ago": keras.Input((YEAR_AGO_DAYS, DAY_FEATURES), name="year_ago"),
        "horizon": keras.Input((HORIZON, HORIZON_FEATURES), name="horizon"),
    }
    members = [_build_member(inputs, config.units) for _ in range(config.members)]
    return keras.Model(inputs, ops.stack(members, axis=1), name="forecast")


def _build_member(inputs: dict[str, keras.KerasTensor], units: int) -> keras.KerasTensor:
    by_day = layers.Conv1D(units, 7, padding="causal", activation="relu")
    recent, year_ago = by_day(inputs["recent"]), by_day(inputs["year_ago"])
    weeks = layers.Conv1D(units, 7, strides=7, activation="relu")(recent)
    state = HoistedGRU(units)(weeks)
    known = layers.Dense(units, activation="relu")(inputs["horizon"])
    query = layers.Concatenate()([known, layers.RepeatVector(HORIZON)(state)])
    past = layers.Concatenate(axis=1)([recent, year_ago])
    read = layers.MultiHeadAttention(2, units // 2)(query, past)
    x = layers.Concatenate()([query, read])
    x = layers.Dense(2 * units, activation="relu")(x)
    # Neighbouring forecast days share holidays and weather.
    x = layers.Concatenate()([x, layers.Conv1D(units, 3, padding="same", activation="relu")(x)])
    x = layers.Dense(units, activation="relu")(x)
    return _build_head(x, inputs["candidates"], inputs["unsteadiness"])


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


def _build_head(
    x: keras.KerasTensor, candidates: keras.KerasTensor, unsteadiness: keras.KerasTensor
) -> keras.KerasTensor:
    """Quantiles [B, 7, levels]: the median from the candidates, the others step by step away from it."""
    weights = layers.Dense(CANDIDATES, activation="softmax")(x)
    mixture = ops.sum(weights * candidates, axis=-1, keepdims=True)
    disagreement = ops.sum(weights * ops.abs(candidates - mixture), axis=-1, keepdims=True)
    yardstick = ops.expand_dims(unsteadiness, 1)
    median = mixture + yardstick * layers.Dense(1, kernel_initializer="zeros")(x)
    steps = ops.softplus(layers.Dense(len(QUANTILE_LEVELS) - 1, bias_initializer=_narrow())(x))
    wider = ops.softplus(layers.Dense(1, bias_initializer=_narrow())(x))
    steps = steps * (yardstick + wider * disagreement)
    below = ops.flip(ops.cumsum(ops.flip(steps[..., :MEDIAN], -1), -1), -1)
    above = ops.cumsum(steps[..., MEDIAN:], -1)
    return ops.concatenate([median - below, median, median + above], axis=-1)


def _narrow() -> keras.initializers.Initializer:
    return keras.initializers.Constant(-1.5)  # softplus 0.2: quantiles start near each other


def forecast(model: keras.Model, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What is served: raw windows -> mean float64 [B, 7] and quantiles float64 [B, 7, levels].

    `values` float64 [B, context], NaN where missing; `first_day` int32 [B].
    """
    window = open_window(inputs["values"])
    members = model(build_features(window, inputs["first_day"]), training=False)
    quantiles = tf.reduce_mean(members, axis=1)
    mean = tf.linalg.matvec(quantiles, tf.constant(mean_weights(), tf.float32))
    return {"mean": window.restore(mean), "quantiles": window.restore(quantiles)}


def mean_weights() -> list[float]:
    """Weight of each quantile in the mean: the probability that is nearest to its level."""
    edges = [(a + b) / 2 for a, b in pairwise(QUANTILE_LEVELS)]
    return [b - a for a, b in pairwise([0.0, *edges, 1.0])]
