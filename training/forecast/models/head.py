"""What every family ends with: from features of the forecast days to their quantiles."""

from typing import Any

import keras
from keras import layers, ops

from training.forecast.levels import MEDIAN, QUANTILE_LEVELS
from training.forecast.model_config import Skip

Tensor = Any
LAG7 = 0  # among the candidates: the value last seen on the same weekday


class QuantileHead(layers.Layer):  # type: ignore[misc]
    """Features [B, ..., 7, any] of forecast days -> quantiles [B, ..., 7, levels] on the window's scale.

    The median is the skip, which is a simple forecast, plus a correction measured by the yardstick. The others lie
    positive steps away from it, so that they cannot cross.
    """

    def __init__(self, skip: Skip, candidates: int) -> None:
        super().__init__()
        self.skip = skip
        self.weigh = layers.Dense(candidates, activation="softmax") if skip == "mixture" else None
        self.correct = layers.Dense(1, kernel_initializer="zeros")
        self.step = layers.Dense(len(QUANTILE_LEVELS) - 1, bias_initializer=_narrow())
        self.widen = layers.Dense(1, bias_initializer=_narrow()) if skip == "mixture" else None

    def call(self, x: Tensor, candidates: Tensor, yardstick: Tensor, correction: Tensor | None = None) -> Tensor:
        """Args:
        candidates: simple forecasts, [B, ..., 7, any].
        yardstick: the window's mean change from week to week, [B, 1, ...] of the same rank.
        correction: [B, ..., 7, 1] in yardsticks, added to the one that the features tell.
        """
        skip, disagreement = self._skip(x, candidates)
        correct = self.correct(x) if correction is None else self.correct(x) + correction
        median = skip + yardstick * correct
        steps = ops.softplus(self.step(x))
        # wider where the candidates disagree
        steps = steps * (yardstick + ops.softplus(self.widen(x)) * disagreement if self.widen else yardstick)
        below = ops.flip(ops.cumsum(ops.flip(steps[..., :MEDIAN], -1), -1), -1)
        above = ops.cumsum(steps[..., MEDIAN:], -1)
        return ops.concatenate([median - below, median, median + above], axis=-1)

    def _skip(self, x: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """The simple forecast, [B, ..., 7, 1], and how far the candidates are from it on average."""
        if self.weigh:
            weights = self.weigh(x)
            mixture = ops.sum(weights * candidates, axis=-1, keepdims=True)
            return mixture, ops.sum(weights * ops.abs(candidates - mixture), axis=-1, keepdims=True)
        lag7 = candidates[..., LAG7 : LAG7 + 1]
        return (lag7 if self.skip == "lag7" else ops.zeros_like(lag7)), None


def _narrow() -> keras.initializers.Initializer:
    return keras.initializers.Constant(-1.5)  # softplus 0.2: quantiles start near each other
