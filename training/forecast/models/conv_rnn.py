"""Convolutions and a stack of recurrent layers that forecast after every week, not after the last one only.

That is sequence-to-sequence training (Géron 2022, Hands-On Machine Learning, 3rd edition, chapter 15): each layer
returns its whole sequence, and the loss of every step teaches all steps before it.
"""

import tensorflow as tf
from keras import layers, ops

from training.forecast.features import Features
from training.forecast.model_config import ConvRNNModel
from training.forecast.models.head import QuantileHead
from training.forecast.models.network import Network
from training.forecast.models.past import OBSERVED, by_week, calendar_of_weeks, values, yardstick
from training.forecast.models.seq2seq import CELLS

STEP_CANDIDATES = 5
_MONTH = 4  # weeks


class ConvRNN(Network):
    """Features -> quantiles of the week after the last one, [B, 7, levels]; in training, where every step is trained,
    after every one, [B, weeks, 7, levels].

    All steps answer by the same weights. What is known of the forecast week only, as last year's anomalies, is added
    there.
    """

    def __init__(self, model: ConvRNNModel) -> None:
        super().__init__()
        self.every = model.train_steps == "every"
        self.by_day = layers.Conv1D(model.units, 7, padding="causal", activation="relu")
        self.weeks = layers.Conv1D(model.units, 7, strides=7, activation="relu")
        cell = CELLS[model.cell]
        self.recurrent = [cell(model.units, return_sequences=True, unroll=True) for _ in range(model.layers)]
        self.of_week, self.of_day = layers.Dense(2 * model.units), layers.Dense(2 * model.units, use_bias=False)
        self.of_forecast_week = layers.Dense(2 * model.units, use_bias=False)
        self.mix = layers.Dense(model.units, activation="relu")
        self.head = QuantileHead(model.skip, STEP_CANDIDATES)

    def call(self, features: Features, training: bool = False) -> tf.Tensor:
        x = self.weeks(self.by_day(features["recent"]))
        for layer in self.recurrent:
            x = layer(x)
        calendar, candidates = calendar_of_weeks(features), step_candidates(features)
        if not (training and self.every):
            x, calendar, candidates = x[:, -1:], calendar[:, -1:], candidates[:, -1:]
        seen = ops.arcsinh(candidates / yardstick(features, 4))
        days = self.of_day(ops.concatenate([calendar, seen], axis=-1))
        known = self.of_forecast_week(features["horizon"])[:, None]
        known = ops.pad(known, [[0, 0], [x.shape[1] - 1, 0], [0, 0], [0, 0]])
        x = self.mix(ops.relu(self.of_week(x)[:, :, None] + days + known))
        quantiles = self.head(x, candidates, yardstick(features, 4))
        return quantiles if training and self.every else quantiles[:, 0]


def step_candidates(features: Features) -> tf.Tensor:
    """Simple forecasts of the week after each past week, from that week and those before it: [B, weeks, 7, 5].

    The value last seen on the weekday, the mean of its last four weeks, the mean of the last week, the weekday's mean
    at the level of the last week, and the window's level.
    """
    seen = by_week(features["recent"][..., OBSERVED])
    past = by_week(values(features)) * seen
    last = [past[:, 0]]
    for week in range(1, past.shape[1]):
        last.append(ops.where(seen[:, week] > 0, past[:, week], last[-1]))
    lag7 = ops.stack(last, axis=1)
    count = _sum_month(seen)
    month = ops.where(count > 0, _sum_month(past) / ops.maximum(count, 1.0), lag7)
    level = ops.mean(lag7, axis=-1, keepdims=True)
    shifted = month + level - ops.mean(month, axis=-1, keepdims=True)
    return ops.stack([lag7, month, ops.zeros_like(lag7) + level, shifted, ops.zeros_like(lag7)], axis=-1)


def _sum_month(weeks: tf.Tensor) -> tf.Tensor:
    """Sum over each week and the three before it: [B, weeks, 7]."""
    count = weeks.shape[1]
    padded = ops.pad(weeks, [[0, 0], [_MONTH - 1, 0], [0, 0]])
    return sum(padded[:, i : i + count] for i in range(_MONTH))
