"""DLinear (Zeng et al. 2023, arXiv:2205.13504): one linear map of a moving average, one of the remainder."""

import tensorflow as tf
from keras import layers, ops

from training.forecast.config import HORIZON
from training.forecast.features import CANDIDATES, RECENT_DAYS, Features
from training.forecast.model_config import DLinearModel
from training.forecast.models.head import QuantileHead
from training.forecast.models.network import Network
from training.forecast.models.past import deviations, moving_average, yardstick


class DLinear(Network):
    """Features -> quantiles [B, 7, levels]."""

    def __init__(self, model: DLinearModel) -> None:
        super().__init__()
        self.from_lag7 = model.skip != "none"
        self.average = moving_average(RECENT_DAYS, model.average_days)
        self.of_average = layers.Dense(HORIZON, kernel_initializer="zeros")
        self.of_remainder = layers.Dense(HORIZON, kernel_initializer="zeros", use_bias=False)
        self.know = layers.Dense(model.units, activation="relu")
        self.head = QuantileHead(model.skip, CANDIDATES)

    def call(self, features: Features, training: bool = False) -> tf.Tensor:
        past = deviations(features, self.from_lag7)
        average = ops.matmul(past, self.average)
        correction = self.of_average(average) + self.of_remainder(past - average)
        known = self.know(features["horizon"])
        return self.head(known, features["candidates"], yardstick(features, 3), correction[..., None])
