"""Simple forecasts of each of the next seven days, which the network mixes: what the classics would say.

The context is whole weeks, so that [B, 7, weeks] lines up past days with forecast days: row h has the weekday of
forecast day h. Everything is on the window's own scale (z). `steady` are deviations from the weekday profile that a
glitch cannot move far.
"""

import numpy as np
import tensorflow as tf

from training.forecast.window import last_observed, masked_mean, masked_median

PROFILE_WEEKS = 8
PROFILE_HALF_LIVES_WEEKS = (3.0, 10.0)
LEVEL_HALF_LIVES_DAYS = (1.5, 4.0, 10.0, 30.0)
FADING_OVER = 112  # days that fading means look back
CLASSICS = 8 + len(PROFILE_HALF_LIVES_WEEKS) * len(LEVEL_HALF_LIVES_DAYS)
LEVELLED = 13  # a slow profile at a level of some days; last year's anomalies are added to it


def by_weekday(x: tf.Tensor) -> tf.Tensor:
    """[B, days] -> [B, 7, weeks]."""
    return tf.transpose(tf.reshape(x, [-1, x.shape[1] // 7, 7]), [0, 2, 1])


def find_profile(z: tf.Tensor, observed: tf.Tensor) -> tf.Tensor:
    """Median of the last eight weeks per weekday, of all weeks where those are empty. -> [B, 7]."""
    z, observed = by_weekday(z), by_weekday(observed)
    recent = slice(-PROFILE_WEEKS, None)
    return masked_median(z[..., recent], observed[..., recent], masked_median(z, observed))


def list_classics(
    z: tf.Tensor, residual: tf.Tensor, steady: tf.Tensor, observed: tf.Tensor, profile: tf.Tensor
) -> tf.Tensor:
    """The candidates that need no calendar, float64 [B, 7, 16].

    First the value last seen on the weekday, the mean of its last four, the profile, the window's level, the last value
    and the last week's median, and the profile at the last day's and at the last week's level; then exponential
    smoothing (as in Holt-Winters, without trend) of weekdays and level at several rates each.
    """
    weekdays, seen_weekdays = by_weekday(steady), by_weekday(observed)
    last = last_observed(z, observed)[:, None]
    last_residual = last_observed(residual, observed)[:, None]
    week_residual = masked_median(residual[:, -7:], observed[:, -7:], last_residual[:, 0])[:, None]
    flat = tf.zeros_like(profile)
    columns = [
        last_observed(by_weekday(z), seen_weekdays, profile),
        profile + masked_mean(weekdays[..., -4:], seen_weekdays[..., -4:]),
        profile,
        flat,
        flat + last,
        flat + masked_median(z[:, -7:], observed[:, -7:], last[:, 0])[:, None],
        profile + last_residual,
        profile + week_residual,
    ]
    return tf.stack(columns + _smooth(steady[:, -FADING_OVER:], observed[:, -FADING_OVER:], profile), axis=-1)


def _smooth(steady: tf.Tensor, observed: tf.Tensor, profile: tf.Tensor) -> list[tf.Tensor]:
    columns = []
    for weeks in PROFILE_HALF_LIVES_WEEKS:
        shape = _fading_mean(by_weekday(steady), by_weekday(observed), weeks)
        left = steady - tf.tile(shape, [1, FADING_OVER // 7])
        columns += [profile + shape + _fading_mean(left, observed, d)[:, None] for d in LEVEL_HALF_LIVES_DAYS]
    return columns


def _fading_mean(x: tf.Tensor, mask: tf.Tensor, half_life: float) -> tf.Tensor:
    """Mean of x [..., n] where `mask`, the last counting most; 0 where there is nothing."""
    fading = tf.constant(0.5 ** (np.arange(x.shape[-1])[::-1] / half_life), x.dtype)
    weight = tf.cast(mask, x.dtype) * fading
    return tf.math.divide_no_nan(tf.reduce_sum(x * weight, -1), tf.reduce_sum(weight, -1))
