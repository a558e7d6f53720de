"""The sketch classifier: one or two encoders, and a layer that chooses among the classes.

Everything is computed from the lengths, not from Keras masks: padding cannot change an answer.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from training.sketch.config import Config
from training.sketch.drawings import Inks
from training.sketch.model_config import FusionModel, Model, RasterModel, TransformerModel
from training.sketch.models.raster import RasterEncoder
from training.sketch.models.recurrent import RecurrentEncoder
from training.sketch.models.transformer import TransformerEncoder

Tensor = Any
_ADAPT_POINTS = 10_000_000


class SketchClassifier(keras.Model):  # type: ignore[misc]
    """{"ink": [batch, time, 3], "lengths": [batch]} -> logits float32 [batch, classes].

    Reads absolute ink; its own first step removes position and size. In place of ink, a raster model takes
    {"image": [batch, side, side]} of 0 to 1.
    """

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(name="sketch", autocast=False)
        self.encoders = _make_encoders(config.model, config.optimisation.batch_size)
        self.dropout = layers.Dropout(config.model.dropout)
        self.classify = layers.Dense(classes, dtype="float32")

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        parts = self._look(inputs, training) if "image" in inputs else self._read(inputs, training)
        encoded = ops.concatenate([ops.cast(part, "float32") for part in parts], axis=-1)
        return self.classify(self.dropout(encoded, training=training))

    def adapt(self, inks: Inks) -> None:
        """Learns from the training drawings what is to be known of them before training: the spread of their steps."""
        some = inks.points[:_ADAPT_POINTS].astype(np.float32)
        steps = np.diff(some[:, :2], axis=0)[some[:-1, 2] == 0]  # within a stroke
        for encoder in self.encoders:
            if not isinstance(encoder, RasterEncoder):
                encoder.features.adapt(float(steps.std()) or 1.0)

    def _look(self, inputs: dict[str, Tensor], training: bool) -> list[Tensor]:
        return [encoder.look(inputs["image"], training) for encoder in self.encoders]

    def _read(self, inputs: dict[str, Tensor], training: bool) -> list[Tensor]:
        ink = inputs["ink"]
        lengths = ops.clip(inputs["lengths"], 1, ops.shape(ink)[1])  # rows that only fill a batch have 0
        options = {"window": inputs["window"]} if "window" in inputs else {}
        return [encoder(ink, lengths, training=training, **options) for encoder in self.encoders]


def build_model(config: Config, classes: int) -> SketchClassifier:
    """Builds the model that `config.model` describes, with its first weights."""
    model = SketchClassifier(config, classes)
    model(example_inputs())
    return model


def example_inputs() -> dict[str, Tensor]:
    """A batch of one drawing, to build models with."""
    return {"ink": ops.zeros((1, 8, 3)), "lengths": ops.ones((1,), "int32")}


def _make_encoders(model: Model, batch_size: int) -> list[layers.Layer]:
    if isinstance(model, FusionModel):
        return [*_make_encoders(model.sequence, batch_size), *_make_encoders(model.raster, batch_size)]
    if isinstance(model, TransformerModel):
        return [TransformerEncoder(model)]
    if isinstance(model, RasterModel):
        return [RasterEncoder(model)]
    return [RecurrentEncoder(model, batch_size)]
