"""Self-attention over patches of whole weeks, as in PatchTST (Nie et al. 2023, arXiv:2211.14730)."""

import tensorflow as tf
from keras import layers, ops

from training.forecast.config import HORIZON
from training.forecast.features import CANDIDATES, RECENT_DAYS, YEAR_AGO_DAYS, Features
from training.forecast.model_config import PatchTransformerModel
from training.forecast.models.head import QuantileHead
from training.forecast.models.network import Network
from training.forecast.models.past import OBSERVED, yardstick

_CHANNELS = OBSERVED + 1  # value, deviation from the weekday, observed: the calendar is known of the forecast days


class PatchTransformer(Network):
    """Features -> quantiles [B, 7, levels]. What is left of a whole number of patches is the oldest, and not read."""

    def __init__(self, model: PatchTransformerModel) -> None:
        super().__init__()
        self.days, self.units = model.patch_days, model.units
        patches = RECENT_DAYS // self.days + YEAR_AGO_DAYS // self.days
        self.embed = layers.Dense(model.units)
        self.place = self.add_weight(shape=(patches, model.units), initializer="random_normal", name="place")
        self.blocks = [Block(model.units, model.heads) for _ in range(model.layers)]
        self.norm = layers.LayerNormalization()
        self.spread = layers.Dense(HORIZON * model.units // 2)
        self.know = layers.Dense(model.units, activation="relu")
        self.mix = layers.Dense(model.units, activation="relu")
        self.head = QuantileHead(model.skip, CANDIDATES)

    def call(self, features: Features, training: bool = False) -> tf.Tensor:
        patches = [self._cut(features[name][..., :_CHANNELS]) for name in ("recent", "year_ago")]
        x = self.embed(ops.concatenate(patches, axis=1)) + self.place
        for block in self.blocks:
            x = block(x)
        flat = ops.reshape(self.norm(x), [-1, x.shape[1] * self.units])
        by_day = ops.reshape(self.spread(flat), [-1, HORIZON, self.units // 2])
        x = self.mix(ops.concatenate([self.know(features["horizon"]), ops.gelu(by_day)], axis=-1))
        return self.head(x, features["candidates"], yardstick(features, 3))

    def _cut(self, past: tf.Tensor) -> tf.Tensor:
        """[B, days, channels] -> [B, patches, days of a patch * channels]."""
        count = past.shape[1] // self.days
        return ops.reshape(past[:, -count * self.days :], [-1, count, self.days * _CHANNELS])


class Block(layers.Layer):  # type: ignore[misc]
    """Self-attention and a feed-forward layer, each normalised before (Xiong et al. 2020, arXiv:2002.04745)."""

    def __init__(self, units: int, heads: int) -> None:
        super().__init__()
        self.norms = [layers.LayerNormalization() for _ in range(2)]
        self.attend = layers.MultiHeadAttention(heads, units // heads)
        self.widen = layers.Dense(2 * units, activation="gelu")
        self.narrow = layers.Dense(units)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        normed = self.norms[0](x)
        x = x + self.attend(normed, normed)
        return x + self.narrow(self.widen(self.norms[1](x)))
