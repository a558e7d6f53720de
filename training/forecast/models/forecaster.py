"""The forecaster: several networks of one family side by side, and what is served of them."""

from collections.abc import Sequence
from itertools import pairwise

import keras
import tensorflow as tf
from keras import ops

from training.forecast.calibration import UNCALIBRATED
from training.forecast.config import CONTEXT, QUANTILE_LEVELS, Config
from training.forecast.features import Features, build_features
from training.forecast.levels import MEDIAN
from training.forecast.model_config import (
    ConvRNNModel,
    DenseModel,
    DirectModel,
    DLinearModel,
    Model,
    NHiTSModel,
    PatchTransformerModel,
    Seq2SeqModel,
)
from training.forecast.models.conv_rnn import ConvRNN
from training.forecast.models.dense import DenseNetwork
from training.forecast.models.direct import Direct
from training.forecast.models.dlinear import DLinear
from training.forecast.models.network import Network
from training.forecast.models.nhits import NHiTS
from training.forecast.models.patch_transformer import PatchTransformer
from training.forecast.models.seq2seq import Seq2Seq
from training.forecast.window import open_window

_NETWORKS = {
    DenseModel: DenseNetwork,
    DirectModel: Direct,
    Seq2SeqModel: Seq2Seq,
    ConvRNNModel: ConvRNN,
    DLinearModel: DLinear,
    NHiTSModel: NHiTS,
    PatchTransformerModel: PatchTransformer,
}


class Forecaster(keras.Model):  # type: ignore[misc]
    """Features -> quantiles of every member on the window's scale, float32 [B, members, 7, levels].

    In training, a family that is trained after every past week gives [B, members, weeks, 7, levels].
    """

    def __init__(self, model: Model) -> None:
        super().__init__(name="forecast")
        self.networks: list[Network] = [_NETWORKS[type(model)](model) for _ in range(model.members)]

    def build(self, features_shape: object) -> None:
        """As of `Network`."""

    def call(self, features: Features, training: bool = False) -> tf.Tensor:
        return ops.stack([network(features, training=training) for network in self.networks], axis=1)


def build_model(config: Config) -> keras.Model:
    """Builds the forecaster that `config.model` describes, with its first weights; see `Forecaster`."""
    model = Forecaster(config.model)
    window = open_window(tf.zeros([1, CONTEXT], tf.float64))
    model(build_features(window, tf.zeros([1], tf.int32)))
    return model


def reads_future(config: Config) -> bool:
    """Whether training shows the model the true values of the forecast days, as `future` among the features."""
    return isinstance(config.model, Seq2SeqModel) and config.model.teacher_forcing > 0


def forecast(
    model: keras.Model, config: Config, inputs: dict[str, tf.Tensor], factors: Sequence[float] = UNCALIBRATED
) -> dict[str, tf.Tensor]:
    """What is served: raw windows -> mean float64 [B, 7] and quantiles float64 [B, 7, levels].

    Of each quantile the median over the members; `mean` is that of the distribution which the quantiles describe.

    Args:
        inputs: `values` float64 [B, context], NaN where missing; `first_day` int32 [B].
        factors: of `calibration.fit_factors`.
    """
    window = open_window(inputs["values"], config.normalization, config.transform)
    members = model(build_features(window, inputs["first_day"]), training=False)
    quantiles = window.restore(widen(_take_median(members), factors))
    return {"mean": tf.linalg.matvec(quantiles, tf.constant(mean_weights(), tf.float64)), "quantiles": quantiles}


def widen(quantiles: tf.Tensor, factors: Sequence[float]) -> tf.Tensor:
    """Multiplies the distance of each quantile from the median, and keeps their order. [B, 7, levels]."""
    median = quantiles[..., MEDIAN]
    distance = tf.unstack((quantiles - median[..., None]) * tf.constant(factors, quantiles.dtype), axis=-1)
    for i in range(MEDIAN + 1, len(distance)):
        distance[i] = tf.maximum(distance[i], distance[i - 1])
    for i in reversed(range(MEDIAN)):
        distance[i] = tf.minimum(distance[i], distance[i + 1])
    return median[..., None] + tf.stack(distance, axis=-1)


def _take_median(members: tf.Tensor) -> tf.Tensor:
    """[B, members, 7, levels] -> [B, 7, levels]: order statistics keep quantiles in order."""
    count = members.shape[1]
    ordered = tf.sort(members, axis=1) if count > 2 else members
    return tf.reduce_mean(ordered[:, (count - 1) // 2 : count // 2 + 1], axis=1)


def mean_weights() -> list[float]:
    """Weight of each quantile in the mean: the probability that is nearest to its level."""
    edges = [(a + b) / 2 for a, b in pairwise(QUANTILE_LEVELS)]
    return [b - a for a, b in pairwise([0.0, *edges, 1.0])]
