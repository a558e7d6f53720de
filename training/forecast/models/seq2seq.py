"""An encoder, and a decoder with attention (Sutskever et al. 2014, arXiv:1409.3215; Bahdanau et al. 2015,
arXiv:1409.0473)."""

import keras
import tensorflow as tf
from keras import layers, ops

from training.forecast.config import HORIZON
from training.forecast.features import CANDIDATES, Features
from training.forecast.levels import MEDIAN
from training.forecast.model_config import Seq2SeqModel
from training.forecast.models.head import QuantileHead
from training.forecast.models.network import Network
from training.forecast.models.past import PROFILE, RESIDUAL, yardstick

State = list[tf.Tensor]
CELLS = {"gru": layers.GRU, "lstm": layers.LSTM}
_DECODER_CELLS = {"gru": layers.GRUCell, "lstm": layers.LSTMCell}


class Seq2Seq(Network):
    """Features -> quantiles [B, 7, levels].

    In training, `future` float32 [B, 7, 2] among the features holds the true value of each forecast day and whether it
    is known; nothing else reads it.
    """

    def __init__(self, model: Seq2SeqModel) -> None:
        super().__init__()
        self.model = model
        self.by_day = layers.Conv1D(model.units, 7, padding="causal", activation="relu")
        self.weeks = layers.Conv1D(model.units, 7, strides=7, activation="relu")
        self.encoder = CELLS[model.cell](model.units, return_state=True, unroll=True)  # weeks are few
        self.know = layers.Dense(model.units, activation="relu")
        self.attention = Attention(model.units, additive=model.attention == "additive")
        self.decoder = _DECODER_CELLS[model.cell](model.units)
        self.mix = layers.Dense(model.units, activation="relu")
        self.head = QuantileHead(model.skip, CANDIDATES)
        self.chance = keras.random.SeedGenerator()

    def call(self, features: Features, training: bool = False) -> tf.Tensor:
        recent, year_ago = self.by_day(features["recent"]), self.by_day(features["year_ago"])
        past = self.attention.open(ops.concatenate([recent, year_ago], axis=1))
        state: State = list(self.encoder(self.weeks(recent))[1:])
        known = self.know(features["horizon"])
        shown = _show_truth(features) if training and self.model.teacher_forcing else None
        before, days = features["recent"][:, -1, : RESIDUAL + 1], []
        for day in range(HORIZON):
            seen = [before] if self.model.fed == "value" else []
            context = self.attention(state[0], past)
            written, state = self.decoder(ops.concatenate([known[:, day], context, *seen], axis=-1), state)
            x = self.mix(ops.concatenate([written, known[:, day], context], axis=-1))
            candidates = features["candidates"][:, day : day + 1]
            days.append(self.head(x[:, None], candidates, yardstick(features, 3)))
            own = _see(days[-1][:, 0, MEDIAN], features, day)
            before = own if shown is None else self._choose(own, shown[:, day])
        return ops.concatenate(days, axis=1)

    def _choose(self, own: tf.Tensor, shown: tf.Tensor) -> tf.Tensor:
        """The truth [B, 3], where it is known, for the share of rows that is taught; own [B, 2] for the others."""
        taught = keras.random.uniform((ops.shape(own)[0],), seed=self.chance) < self.model.teacher_forcing
        return ops.where((taught & (shown[:, 2] > 0))[:, None], shown[:, :2], own)


class Attention(layers.Layer):  # type: ignore[misc]
    """What a query [B, units] finds among steps [B, steps, units]: their weighted mean, [B, units].

    Weights are a softmax of v . tanh(W q + U k), or of W q . k.
    """

    def __init__(self, units: int, additive: bool) -> None:
        super().__init__()
        self.of_query = layers.Dense(units)
        self.of_key = layers.Dense(units, use_bias=False)
        self.score = layers.Dense(1, use_bias=False) if additive else None
        self.scale = units**-0.5

    def open(self, steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Keys and values of steps that several queries look at."""
        return self.of_key(steps), steps

    def call(self, query: tf.Tensor, opened: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        keys, steps = opened
        wanted = self.of_query(query)[:, None]
        score = self.score(ops.tanh(wanted + keys))[..., 0] if self.score else ops.sum(wanted * keys, -1) * self.scale
        return ops.sum(ops.softmax(score, axis=-1)[..., None] * steps, axis=1)


def _see(value: tf.Tensor, features: Features, day: int) -> tf.Tensor:
    """A forecast day of that value [B] as past days are: asinh of value and deviation from its weekday, [B, 2]."""
    usual = features["candidates"][:, day, PROFILE]
    return ops.arcsinh(ops.stack([value, value - usual], axis=-1))


def _show_truth(features: Features) -> tf.Tensor:
    """The forecast days as the decoder sees them, and whether they are known, [B, 7, 3]."""
    value, known = ops.unstack(features["future"], axis=-1)
    days = [_see(value[:, day], features, day) for day in range(HORIZON)]
    return ops.concatenate([ops.stack(days, axis=1), known[..., None]], axis=-1)
