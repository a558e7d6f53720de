"""The bundled models as plain Keras code, with the bundled weights: what the exported graphs are compared with.

The same layers and the same numbers, written the usual way: masks instead of lengths, `keras.layers.GRU` with its
loop over time, `keras.layers.Bidirectional`. Preprocessing is the recipes' own, so that only the networks differ.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from training.forecast.config import PRESETS as FORECAST_PRESETS
from training.forecast.model import build_model as build_forecast
from training.forecast.model import forecast
from training.sketch.config import PRESETS as SKETCH_PRESETS
from training.sketch.model import pool, stroke_features, zero_after
from training.video.config import PRESETS as VIDEO_PRESETS
from training.video.model import build_model as build_video
from training.video.model import classify

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
    model, serve = {"sketch": _sketch, "forecast": _forecast, "video": _video}[name](weights)
    specs = bundled.signatures["serving_default"].structured_input_signature[1]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serve, input_signature=[dict(specs)])
    archive.write_out(str(folder), verbose=False)
    return tf.saved_model.load(str(folder))


def _sketch(weights: Sequence[np.ndarray]) -> tuple[keras.Model, Serve]:
    config = SKETCH_PRESETS["bundled"]
    features = keras.Input((None, weights[0].shape[1]))
    lengths = keras.Input((), dtype="int32")
    x, left = features, lengths
    for channels in config.channels:
        x = layers.Conv1D(channels, 5, strides=2)(layers.ZeroPadding1D(2)(x))
        x = ops.gelu(layers.LayerNormalization()(x))
        left = (left + 1) // 2
        x = _ZeroAfter()(x, left)
    mask = _Mask()(x, left)
    for _ in range(config.layers):
        x = layers.Bidirectional(layers.GRU(config.units, return_sequences=True))(x, mask=mask)
    scores = layers.Dense(weights[-1].shape[0])(_Pool()(x, left))
    model = keras.Model([features, lengths], scores)
    model.set_weights(_to_keras_order(weights, config.layers))

    def serve(inputs: Tensors) -> Tensors:
        count = tf.clip_by_value(inputs["lengths"], 1, tf.shape(inputs["ink"])[1])
        logits = model([stroke_features(inputs["ink"], count), count], training=False)
        return {"probabilities": tf.nn.softmax(logits)}

    return model, serve


def _to_keras_order(weights: Sequence[np.ndarray], recurrent_layers: int) -> list[np.ndarray]:
    """Weights of the recipe's sketch model -> those of `_sketch`, whose GRUs hold each direction by itself."""
    numbers = [w for w in weights if w.dtype == np.float32]  # the others are dropout's random state
    kernels, norms, rest = numbers[:4], numbers[4:8], numbers[8:]
    ordered = [*kernels[:2], *norms[:2], *kernels[2:], *norms[2:]]
    for i in range(recurrent_layers):
        recurrent, recurrent_bias, kernel, bias = rest[4 * i : 4 * i + 4]
        halves = zip(np.split(kernel, 2, axis=1), np.split(bias, 2), recurrent, recurrent_bias, strict=True)
        for input_kernel, input_bias, state_kernel, state_bias in halves:
            ordered += [input_kernel, state_kernel, np.stack([input_bias, state_bias[0]])]
    return [*ordered, *rest[4 * recurrent_layers :]]


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
        return pool(zero_after(x, lengths), lengths)


def _forecast(weights: Sequence[np.ndarray]) -> tuple[keras.Model, Serve]:
    hoisted = build_forecast(FORECAST_PRESETS["bundled"])
    _assign(hoisted, weights)
    model = keras.models.clone_model(hoisted, clone_function=_to_keras_gru)
    model.set_weights(hoisted.get_weights())
    return model, lambda inputs: forecast(model, inputs)


def _to_keras_gru(layer: layers.Layer) -> layers.Layer:
    kind = layers.GRU if isinstance(layer, layers.GRU) else type(layer)
    return kind.from_config(layer.get_config())


def _video(weights: Sequence[np.ndarray]) -> tuple[keras.Model, Serve]:
    model = build_video(VIDEO_PRESETS["bundled"])
    _assign(model, weights)
    for layer in model.layers:
        if isinstance(layer, layers.Bidirectional):
            layer.forward_layer.unroll = layer.backward_layer.unroll = False
    return model, lambda inputs: classify(model, inputs)


def _assign(model: keras.Model, weights: Sequence[np.ndarray]) -> None:
    for variable, value in zip(model.variables, weights, strict=True):
        if variable.shape != value.shape:
            raise ValueError(f"{variable.path} has shape {variable.shape}, the bundled weight {value.shape}")
        variable.assign(value)
