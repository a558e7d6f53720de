"""N-HiTS (Challu et al. 2023, arXiv:2201.12886): stacks at several rates, each explaining what is left of the past."""

import tensorflow as tf
from keras import layers, ops

from training.forecast.config import HORIZON
from training.forecast.features import CANDIDATES, RECENT_DAYS, Features
from training.forecast.model_config import NHiTSModel
from training.forecast.models.head import QuantileHead
from training.forecast.models.network import Network
from training.forecast.models.past import deviations, interpolation, yardstick


class NHiTS(Network):
    """Features -> quantiles [B, 7, levels]. The sum of the stacks' forecasts is the correction."""

    def __init__(self, model: NHiTSModel) -> None:
        super().__init__()
        self.from_lag7 = model.skip != "none"
        last = len(model.pools) - 1
        rates = enumerate(zip(model.pools, model.knots, strict=True))
        self.stacks = [Stack(model.width, pool, knots, explains=i < last) for i, (pool, knots) in rates]
        self.know = layers.Dense(model.units, activation="relu")
        self.join = layers.Dense(model.units, activation="relu")
        self.mix = layers.Dense(model.units, activation="relu")
        self.head = QuantileHead(model.skip, CANDIDATES)

    def call(self, features: Features, training: bool = False) -> tf.Tensor:
        left = ops.arcsinh(deviations(features, self.from_lag7))
        hidden, forecasts = [], []
        for stack in self.stacks:
            state, forecast, backcast = stack(left)
            if backcast is not None:
                left = left - backcast
            hidden.append(state)
            forecasts.append(forecast)
        joined = ops.repeat(self.join(ops.concatenate(hidden, axis=-1))[:, None], HORIZON, axis=1)
        by_stack = ops.stack(forecasts, axis=-1)  # [B, 7, stacks]
        x = self.mix(ops.concatenate([self.know(features["horizon"]), joined, by_stack], axis=-1))
        correction = ops.sum(by_stack, axis=-1, keepdims=True)
        return self.head(x, features["candidates"], yardstick(features, 3), correction)


class Stack(layers.Layer):  # type: ignore[misc]
    """Pools the past and interpolates what it says: [B, days] -> hidden state [B, width], forecast [B, 7], and, of a
    stack that explains, backcast [B, days]."""

    def __init__(self, width: int, pool: int, knots: int, explains: bool) -> None:
        super().__init__()
        self.pool = pool
        self.hide = [layers.Dense(width, activation="relu") for _ in range(2)]
        past_knots = RECENT_DAYS // pool
        self.tell_past = layers.Dense(past_knots) if explains else None
        self.tell_future = layers.Dense(knots)
        self.past_lines = interpolation(past_knots, RECENT_DAYS)
        self.future_lines = interpolation(knots, HORIZON)

    def call(self, past: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        groups = RECENT_DAYS // self.pool
        state = ops.max(ops.reshape(past[:, -groups * self.pool :], [-1, groups, self.pool]), axis=-1)
        for layer in self.hide:
            state = layer(state)
        backcast = ops.matmul(self.tell_past(state), self.past_lines) if self.tell_past else None
        return state, ops.matmul(self.tell_future(state), self.future_lines), backcast
