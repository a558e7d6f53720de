"""The bundled models as plain Keras code, with the bundled weights: what the exported graphs are compared with.

The same layers and the same numbers, written the usual way: masks instead of lengths, `keras.layers.GRU` with its
loop over time, `keras.layers.Bidirectional`. Preprocessing is the recipes' own, so that only the networks differ.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from training.forecast.config import PRESETS as FORECAST_PRESETS
from training.forecast.models.forecaster import build_model as build_forecast
from training.forecast.models.forecaster import forecast
from training.recipe.recurrent import Recurrent
from training.recipe.steps import pool_mean_max, zero_after
from training.sketch.config import PRESETS as SKETCH_PRESETS
from training.sketch.models.classifier import build_model as build_sketch
from training.video.config import PRESETS as VIDEO_PRESETS
from training.video.models.classifier import build_model as build_video

Tensors = dict[str, tf.Tensor]
Serve = Callable[[Tensors], Tensors]


def export_plain(name: str, version: Path, folder: Path) -> Any:
    """Rebuilds the bundled model `name`, exports it with `keras.export` and loads its signature.

    Args:
        name: "sketch", "forecast" or "video".
        version: folder of the bundled version, for its weights and signature.
        folder: where the plain SavedModel goes.

    Returns:
        The loaded SavedModel; its signature "serving_default" reads what the bundled one reads.

    Raises:
        ValueError: the version's weights are not those of the recipe's bundled preset.
    """
    bundled = tf.saved_model.load(str(version))
    weights = [v.numpy() for v in bundled.variables]
    options = json.loads((version / "manifest.json").read_text())["options"]
    builders = {
        "sketch": lambda w: _sketch(w, options["temperature"]),
        "forecast": lambda w: _forecast(w, options["interval_factors"]),
        "video": lambda w: _video(w, options["temperature"]),
    }
    model, serve = builders[name](weights)
    specs = bundled.signatures["serving_default"].structured_input_signature[1]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serve, input_signature=[dict(specs)])
    archive.write_out(str(folder), verbose=False)
    return tf.saved_model.load(str(folder))


def _sketch(weights: Sequence[np.ndarray], temperature: float) -> tuple[keras.Model, Serve]:
    """The recurrent half the usual way; the raster half, which has no time, as it is."""
    ours = build_sketch(SKETCH_PRESETS["bundled"], len(weights[-1]))
    _assign(ours, weights)
    sequence, raster = ours.encoders
    ink = keras.Input((None, 3))
    features = keras.Input((None, sequence.stem.convolutions[0].kernel.shape[1]))
    lengths = keras.Input((), dtype="int32")
    x, left = features, lengths
    plain = []
    for convolution in sequence.stem.convolutions:
        plain += [layers.Conv1D.from_config(convolution.get_config()), layers.LayerNormalization()]
        x = ops.gelu(plain[-1](plain[-2](layers.ZeroPadding1D(2)(x))))
        left = (left + 1) // 2
        x = _ZeroAfter()(x, left)
    mask = _Mask()(x, left)
    for layer in sequence.recurrent:
        plain.append(layers.Bidirectional(layers.GRU(layer.units, return_sequences=True)))
        x = plain[-1](x, mask=mask)
    plain.append(layers.Dense(len(weights[-1])))
    scores = plain[-1](ops.concatenate([_Pool()(x, left), raster(ink, lengths)], axis=-1))
    stages = [w for pair in zip(sequence.stem.convolutions, sequence.stem.norms, strict=True) for w in pair]
    theirs = [*(s.get_weights() for s in stages), *map(_halve, sequence.recurrent), ours.classify.get_weights()]
    for layer, values in zip(plain, theirs, strict=True):
        layer.set_weights(values)
    model = keras.Model([features, lengths, ink], scores)

    def serve(inputs: Tensors) -> Tensors:
        count = tf.clip_by_value(inputs["lengths"], 1, tf.shape(inputs["ink"])[1])
        logits = model([sequence.features(inputs["ink"], count), count, inputs["ink"]], training=False)
        return {"probabilities": tf.nn.softmax(logits / temperature)}

    return model, serve


def _halve(layer: Recurrent) -> list[np.ndarray]:
    """Weights of a bidirectional layer of ours -> those of Keras's, which holds each direction by itself."""
    parts = np.split(np.asarray(layer.input_kernel), 2, axis=1), np.asarray(layer.input_bias)
    halves = zip(*parts, np.asarray(layer.kernel), np.asarray(layer.bias), strict=True)
    return [
        weight
        for input_kernel, input_bias, kernel, bias in halves
        for weight in (input_kernel, kernel, np.stack([input_bias, bias]))
    ]


class _ZeroAfter(layers.Layer):
    def call(self, x: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        return zero_after(x, lengths)


class _Mask(layers.Layer):
    def call(self, x: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        return tf.sequence_mask(lengths, tf.shape(x)[1])


class _Pool(layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.supports_masking = True  # it has the lengths, and drops the mask on purpose

    def call(self, x: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        return pool_mean_max(zero_after(x, lengths), lengths)


def _forecast(weights: Sequence[np.ndarray], factors: Sequence[float]) -> tuple[keras.Model, Serve]:
    config = FORECAST_PRESETS["bundled"]
    model = build_forecast(config)
    _assign(model, weights)
    return model, lambda inputs: forecast(model, config, inputs, factors)


def _video(weights: Sequence[np.ndarray], temperature: float) -> tuple[keras.Model, Serve]:
    model = build_video(VIDEO_PRESETS["bundled"], len(weights[-1]))
    _assign(model, weights)
    recurrent = model.encoder.recurrent
    recurrent.forward_layer.unroll = recurrent.backward_layer.unroll = False

    def serve(inputs: Tensors) -> Tensors:
        return {"probabilities": tf.nn.softmax(model(inputs, training=False) / temperature)}

    return model, serve


def _assign(model: keras.Model, weights: Sequence[np.ndarray]) -> None:
    for variable, value in zip(model.variables, weights, strict=True):
        if variable.shape != value.shape:
            raise ValueError(f"{variable.path} has shape {variable.shape}, the bundled weight {value.shape}")
        variable.assign(value)
