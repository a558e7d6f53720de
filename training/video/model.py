"""A shared convolution over pairs of frames, then a bidirectional GRU over the pairs."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from training.video.config import Config
from training.video.data import LUMA
from training.video.rendered.camera import LABELS

_FAINTEST = 2.0  # luma levels; a clip of less contrast is not stretched further, for it is noise


def build_model(config: Config) -> keras.Model:
    """Normalised luma float32 [batch, frames, height, width] -> logits float32 [batch, classes]."""
    shape = config.shape
    frames = keras.Input((shape.frames, shape.height, shape.width))
    x = _PairFrames()(frames)
    for i, width in enumerate(config.channels):
        x = layers.Conv2D(width, 5 if i == 0 else 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Flatten()(x)  # keeps where in the view each motion is, which tells zoom and roll
    x = layers.Dense(config.pair_units)(x)
    x = layers.ReLU()(layers.LayerNormalization()(x))
    x = _Unfold(shape.frames - 1)(x)
    x = layers.Dropout(config.dropout)(x)
    x = layers.Bidirectional(layers.GRU(config.units, return_sequences=True, unroll=True))(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
    x = layers.Dropout(config.dropout)(x)
    return keras.Model(frames, layers.Dense(len(LABELS))(x))


def classify(model: keras.Model, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """frames uint8 [batch, frames, height, width, 3] RGB -> probabilities float32 [batch, classes]."""
    luma = tf.tensordot(tf.cast(inputs["frames"], tf.float32), tf.constant(LUMA), 1)
    return {"probabilities": tf.nn.softmax(model(normalize_luma(luma), training=False))}


def normalize_luma(luma: tf.Tensor) -> tf.Tensor:
    """Takes each frame's mean and each clip's contrast away: exposure tells nothing of motion.

    luma: 0 to 255 [batch, frames, height, width], any number type -> float32 of that shape.
    """
    luma = tf.cast(luma, tf.float32)
    centered = luma - tf.reduce_mean(luma, axis=(2, 3), keepdims=True)
    deviation = tf.sqrt(tf.reduce_mean(tf.square(centered), axis=(1, 2, 3), keepdims=True))
    return centered / tf.maximum(deviation, _FAINTEST)


class _PairFrames(layers.Layer):
    """[batch, T, h, w] -> [batch * (T - 1), h, w, 3]: a frame, its change to the next, and the change around both."""

    def call(self, frames: tf.Tensor) -> tf.Tensor:
        steps = frames.shape[1] - 1
        before = np.maximum(np.arange(steps) - 1, 0)
        after = np.minimum(np.arange(steps) + 2, steps)
        first, second = frames[:, :-1], frames[:, 1:]
        wide = tf.gather(frames, after, axis=1) - tf.gather(frames, before, axis=1)
        pairs = tf.stack([(first + second) / 2, 2 * (second - first), wide], axis=-1)
        return tf.reshape(pairs, [-1, *pairs.shape[2:]])


class _Unfold(layers.Layer):
    """[batch * steps, features] -> [batch, steps, features]."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, [-1, self.steps, x.shape[-1]])
