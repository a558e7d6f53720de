"""A window of raw values on its own scale: the first step inside the exported graph.

Location and scale move with the series, so that (positively) scaling the values scales the forecast, and, but for
the transform "log1p", shifting shifts it. B is the batch, C the context in days; all statistics are taken along the
last axis and over observed days only.
"""

from typing import Literal, NamedTuple

import tensorflow as tf

NORMALISED_OVER = 91  # last observed days that set location and scale
OUTLIER_SPREADS = 8  # deviations count up to this many times their 90 % quantile
CONSTANT_BELOW = 1e-9  # spread relative to the level that is rounding, not movement
CLIPPED_AT = 1e4  # float32 keeps its digits below
LOGARITHM_LIMIT = 50.0  # of what is expanded again


Normalization = Literal["robust", "mean_std", "last"]
Transform = Literal["none", "log1p"]


class Window(NamedTuple):
    """A normalised window: `value = expand(z * scale + location) * unit`, where `expand` undoes the transform.

    z: float64 [B, C], 0 where missing.  observed: bool [B, C].
    location, scale, unit: float64 [B, 1]; scale is 0 for a constant series.
    floor: float64 [B, 1], the lowest forecast allowed: 0 if no value was negative, else -inf.
    logarithmic: bool [B, 1], whether the values were transformed by log1p.
    """

    z: tf.Tensor
    observed: tf.Tensor
    location: tf.Tensor
    scale: tf.Tensor
    unit: tf.Tensor
    floor: tf.Tensor
    logarithmic: tf.Tensor

    def normalise(self, values: tf.Tensor) -> tf.Tensor:
        """Values [B, n] -> z [B, n]."""
        scale = tf.where(self.scale > 0, self.scale, 1)
        x = _transform(values / self.unit, self.logarithmic)
        return tf.clip_by_value((x - self.location) / scale, -CLIPPED_AT, CLIPPED_AT)

    def restore(self, z: tf.Tensor) -> tf.Tensor:
        """z [B, 7, ...] -> values float64 [B, 7, ...], not below the floor."""
        shape = [-1] + [1] * (z.shape.rank - 1)
        scale, location, unit, floor, logarithmic = (
            tf.reshape(t, shape) for t in (self.scale, self.location, self.unit, self.floor, self.logarithmic)
        )
        x = tf.cast(z, tf.float64) * scale + location
        x = tf.where(logarithmic, tf.math.expm1(tf.minimum(x, LOGARITHM_LIMIT)), x)
        return tf.maximum(x * unit, floor)


def open_window(values: tf.Tensor, normalization: Normalization = "robust", transform: Transform = "none") -> Window:
    """Normalises values float64 [B, C].

    Args:
        normalization: location and scale of the last observed days: "robust", their median and mean absolute deviation;
            "mean_std", mean and standard deviation; "last", the last value and the mean absolute deviation from it.
        transform: "log1p" takes the logarithm of 1 + value / mean value first, where no value is negative.
    """
    observed = tf.math.is_finite(values)
    values = tf.where(observed, values, 0)
    peak = tf.reduce_max(tf.abs(values), axis=1, keepdims=True)  # divided by, sums of huge values do not overflow
    negative = tf.reduce_any(values < 0, axis=1, keepdims=True)
    recent = observed & (tf.cumsum(tf.cast(observed, tf.int32), axis=1, reverse=True) <= NORMALISED_OVER)
    unit, logarithmic = tf.where(peak > 0, peak, 1), tf.zeros_like(negative)
    if transform == "log1p":
        mean = masked_mean(values / unit, recent)[:, None]
        logarithmic = ~negative & (mean > CONSTANT_BELOW)
        unit = tf.where(logarithmic, unit * mean, unit)
    x = _transform(values / unit, logarithmic)
    location, spread = _measure(x, recent, normalization)
    scale = tf.where(spread > CONSTANT_BELOW * tf.abs(location), spread, 0)
    floor = tf.where(negative, tf.constant(float("-inf"), tf.float64), 0)
    window = Window(x, observed, location, scale, unit, floor, logarithmic)
    return window._replace(z=tf.where(observed, window.normalise(values), 0))


def _transform(x: tf.Tensor, logarithmic: tf.Tensor) -> tf.Tensor:
    return tf.where(logarithmic, tf.math.log1p(tf.maximum(x, 0)), x)


def _measure(x: tf.Tensor, recent: tf.Tensor, normalization: Normalization) -> tuple[tf.Tensor, tf.Tensor]:
    """Location and spread of each window, 2 x [B, 1]."""
    if normalization == "mean_std":
        mean = masked_mean(x, recent)[:, None]
        return mean, tf.sqrt(masked_mean(tf.square(x - mean), recent))[:, None]
    location = (masked_median(x, recent) if normalization == "robust" else last_observed(x, recent))[:, None]
    return location, masked_spread(tf.abs(x - location), recent)[:, None]


def masked_mean(x: tf.Tensor, mask: tf.Tensor, fallback: tf.Tensor | float = 0.0) -> tf.Tensor:
    """Mean of `x` [..., n] where `mask`; `fallback` [...] where there is nothing."""
    weight = tf.cast(mask, x.dtype)
    count = tf.reduce_sum(weight, axis=-1)
    mean = tf.reduce_sum(x * weight, axis=-1) / tf.maximum(count, 1)
    return tf.where(count > 0, mean, tf.cast(fallback, x.dtype))


def masked_quantile(x: tf.Tensor, mask: tf.Tensor, level: float) -> tf.Tensor:
    """Interpolated quantile of `x` [..., n] where `mask`; 0 where there is nothing."""
    ordered = tf.sort(tf.where(mask, x, x.dtype.max), axis=-1)
    last = tf.reduce_sum(tf.cast(mask, tf.int32), axis=-1) - 1
    position = level * tf.cast(tf.maximum(last, 0), x.dtype)
    below = tf.cast(position, tf.int32)
    above = tf.minimum(below + 1, tf.maximum(last, 0))
    low = tf.gather(ordered, below, batch_dims=below.shape.rank, axis=-1)
    high = tf.gather(ordered, above, batch_dims=above.shape.rank, axis=-1)
    part = position - tf.cast(below, x.dtype)
    return tf.where(last >= 0, low * (1 - part) + high * part, 0)


def masked_median(x: tf.Tensor, mask: tf.Tensor, fallback: tf.Tensor | float = 0.0) -> tf.Tensor:
    """Median of `x` [..., n] where `mask`; `fallback` [...] where there is nothing."""
    return tf.where(tf.reduce_any(mask, axis=-1), masked_quantile(x, mask, 0.5), tf.cast(fallback, x.dtype))


def masked_spread(deviation: tf.Tensor, mask: tf.Tensor, fallback: tf.Tensor | float = 0.0) -> tf.Tensor:
    """Mean of deviations [..., n] where `mask`, each capped so that one glitch does not set it."""
    cap = OUTLIER_SPREADS * masked_quantile(deviation, mask, 0.9)[..., None]
    return masked_mean(tf.where(cap > 0, tf.minimum(deviation, cap), deviation), mask, fallback)


def last_observed(x: tf.Tensor, mask: tf.Tensor, fallback: tf.Tensor | float = 0.0) -> tf.Tensor:
    """The last of `x` [..., n] where `mask`; `fallback` [...] where there is nothing."""
    index = tf.reduce_max(tf.where(mask, tf.range(x.shape[-1]), -1), axis=-1)
    last = tf.gather(x, tf.maximum(index, 0), batch_dims=index.shape.rank, axis=-1)
    return tf.where(index >= 0, last, tf.cast(fallback, x.dtype))
