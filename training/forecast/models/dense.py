"""The bundled family: dense layers over what is known of each forecast day; neighbouring days see each other."""

import tensorflow as tf
from keras import layers, ops

from training.forecast.config import HORIZON
from training.forecast.features import CANDIDATES, Features
from training.forecast.model_config import DenseModel
from training.forecast.models.head import QuantileHead
from training.forecast.models.network import Network
from training.forecast.models.past import OBSERVED, RESIDUAL, yardstick


class DenseNetwork(Network):
    """Features -> quantiles [B, 7, levels]."""

    def __init__(self, model: DenseModel) -> None:
        super().__init__()
        self.past = slice(-model.past_days, None)
        self.read = layers.Dense(model.units // 2, activation="relu")
        self.join = layers.Dense(model.units, activation="relu")
        self.drop = layers.Dropout(model.dropout)
        self.near = layers.Conv1D(model.units // 2, 3, padding="same", activation="relu")
        self.mix = layers.Dense(model.units, activation="relu")
        self.end = layers.Dense(model.units // 2, activation="relu")
        self.head = QuantileHead(model.skip, CANDIDATES)

    def call(self, features: Features, training: bool = False) -> tf.Tensor:
        past = features["recent"][:, self.past, RESIDUAL : OBSERVED + 1]
        read = self.read(ops.reshape(past, [-1, past.shape[1] * past.shape[2]]))
        x = self.join(ops.concatenate([features["horizon"], _repeat(read)], axis=-1))
        x = self.drop(x, training=training)
        week = _repeat(ops.mean(x, axis=1))
        x = self.mix(ops.concatenate([x, self.near(x), week], axis=-1))
        x = self.end(self.drop(x, training=training))
        return self.head(x, features["candidates"], yardstick(features, 3))


def _repeat(x: tf.Tensor) -> tf.Tensor:
    """[B, n] -> [B, 7, n]."""
    return ops.repeat(x[:, None], HORIZON, axis=1)
