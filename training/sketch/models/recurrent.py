"""Recurrent encoders: plain, bidirectional, behind convolutions; read at the end, over all steps or by attention."""

from typing import Any

from keras import layers, ops

from training.recipe.recurrent import Recurrent
from training.recipe.steps import pool_mean_max, valid_steps
from training.sketch.model_config import RecurrentModel
from training.sketch.models.strokes import ConvolutionStem, StrokeFeatures

Tensor = Any


class RecurrentEncoder(layers.Layer):  # type: ignore[misc]
    """Ink and lengths -> [batch, width]."""

    def __init__(self, model: RecurrentModel, batch_size: int = 0) -> None:
        """`batch_size` is that of training with carried states, and not read otherwise."""
        super().__init__(autocast=False)
        self.model, windowed = model, model.truncation == "windowed"
        self.features = StrokeFeatures(model.input_normalization)
        self.stem = ConvolutionStem(model.channels)
        self.recurrent = [
            Recurrent(
                model.units,
                model.cell,
                model.bidirectional,
                model.initializer,
                model.normalization,
                model.recurrent_dropout,
                model.truncate_steps if windowed else 0,
            )
            for _ in range(model.layers)
        ]
        self.dropout = layers.Dropout(model.dropout)
        self.attention = AttentionPooling() if model.pooling == "attention" else None
        parts = 1 if model.cell == "gru" else 2
        self.carried = [
            [
                self.add_weight(shape=(batch_size, model.units), initializer="zeros", trainable=False)
                for _ in range(parts)
            ]
            for _ in range(model.layers if model.truncation == "stateful" and batch_size else 0)
        ]

    def call(self, ink: Tensor, lengths: Tensor, training: bool = False, window: Tensor | None = None) -> Tensor:
        """Args:
        window: number of the window of `truncate_steps` steps to read, int [batch], all equal; the states behind the
            window before are carried on. Everything is read without it.
        """
        x, lengths = self.stem(self.features(ink, lengths), lengths)
        if window is not None:
            return self._read_window(x, lengths, window[0], training)
        last: list[Any] = []
        for recurrent in self.recurrent:
            x, last = recurrent(self.dropout(x, training=training), lengths, training=training)
        if self.model.pooling == "last":
            return ops.concatenate([state[0] for state in last], axis=-1)
        return self.attention(x, lengths) if self.attention else pool_mean_max(x, lengths)

    def _read_window(self, x: Tensor, lengths: Tensor, window: Tensor, training: bool) -> Tensor:
        steps = self.model.truncate_steps
        x = ops.slice(x, (0, window * steps, 0), (x.shape[0] or ops.shape(x)[0], steps, x.shape[-1]))
        left = ops.clip(lengths - window * steps, 0, steps)
        for recurrent, carried in zip(self.recurrent, self.carried, strict=True):
            start = tuple(ops.where(window > 0, ops.cast(part, x.dtype), 0.0) for part in carried)
            x = self.dropout(x, training=training)
            x, (last,) = recurrent(x, ops.maximum(left, 1), training=training, start=[start])
            # a sequence that has ended before keeps its state
            last = tuple(ops.where(left[:, None] > 0, new, old) for new, old in zip(last, start, strict=True))
            for part, new in zip(carried, last, strict=True):
                part.assign(ops.stop_gradient(new))
        return last[0]


class AttentionPooling(layers.Layer):  # type: ignore[misc]
    """Additive attention over the steps (Bahdanau et al. 2014, arXiv:1409.0473) with one learned query:
    [batch, time, width] -> [batch, width]."""

    def build(self, x_shape: tuple[int | None, ...], lengths_shape: tuple[int | None, ...]) -> None:
        self.project = layers.Dense(x_shape[-1], activation="tanh")
        self.project.build(x_shape)
        self.score = layers.Dense(1, use_bias=False)
        self.score.build(x_shape)

    def call(self, x: Tensor, lengths: Tensor) -> Tensor:
        score = self.score(self.project(x))[..., 0]
        score = ops.where(valid_steps(x, lengths), score, ops.cast(-1e9, score.dtype))
        return ops.sum(ops.softmax(score, axis=-1)[..., None] * x, axis=1)
