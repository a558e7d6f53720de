"""What the network sees of a window on its own scale (z), computed inside the exported graph."""

import tensorflow as tf

from training.forecast.anniversaries import (
    MONTH_FEATURES,
    YEAR_FEATURES,
    YEARS,
    Anniversary,
    find_anniversary,
    find_paydays,
)
from training.forecast.calendar import FEATURES as CALENDAR
from training.forecast.calendar import calendar_features
from training.forecast.candidates import CLASSICS, LEVELLED, find_profile, list_classics
from training.forecast.config import CONTEXT, HORIZON
from training.forecast.window import Window, last_observed, masked_mean, masked_spread

CANDIDATES = CLASSICS + 2 * YEARS
RECENT = slice(CONTEXT - 112, CONTEXT)
RECENT_DAYS = RECENT.stop - RECENT.start
YEAR_AGO = slice(CONTEXT - 385, CONTEXT - 343)  # six weeks around the same days of last year
YEAR_AGO_DAYS = YEAR_AGO.stop - YEAR_AGO.start
DAY_FEATURES = 3 + CALENDAR
SUMMARY = 4
HORIZON_FEATURES = CANDIDATES + 1 + MONTH_FEATURES + CALENDAR + HORIZON + SUMMARY + YEARS * YEAR_FEATURES
UNSTEADINESS = (0.02, 10.0)
GLITCH = 20.0  # a deviation counts up to this many times the unsteadiness in a mean

Features = dict[str, tf.Tensor]


def build_features(window: Window, first_day: tf.Tensor) -> Features:
    """Features of a batch; `first_day` int32 [B] is the first forecast day since 1970-01-01.

    candidates   float32 [B, 7, 20]  simple forecasts that the network mixes
    unsteadiness float32 [B, 1]      mean change from one week to the next, the yardstick of its spread
    recent       float32 [B, 112, 21], year_ago float32 [B, 42, 21]  past days
    horizon      float32 [B, 7, n]   what is known of each forecast day
    """
    z, observed = window.z, window.observed
    profile = find_profile(z, observed)
    residual = tf.where(observed, z - tf.tile(profile, [1, CONTEXT // 7]), 0)
    unsteadiness = _unsteadiness(z, residual, observed)
    limit = GLITCH * unsteadiness
    steady = tf.clip_by_value(residual, -limit, limit)
    classics = list_classics(z, residual, steady, observed, profile)
    years = [find_anniversary(z, observed, first_day, limit, year) for year in range(1, YEARS + 1)]
    candidates = tf.concat([classics, _repeat_years(classics[..., LEVELLED], years)], axis=-1)
    known = [
        tf.asinh(candidates),
        ((candidates[..., 0] - profile) / unsteadiness)[..., None],
        tf.asinh(find_paydays(steady, first_day) / unsteadiness[..., None]),
    ]
    for year in years:
        known += [tf.stack(year.of_days(), axis=-1) / unsteadiness[..., None], year.seen[..., None]]
        known += [_to_each_day(tf.asinh(year.around / unsteadiness))]
    known += [
        calendar_features(first_day[:, None] + tf.range(HORIZON)),
        tf.tile(tf.eye(HORIZON)[None], [tf.shape(z)[0], 1, 1]),
        _to_each_day(_summary(residual, observed, unsteadiness)),
    ]
    past = (z, residual / unsteadiness, observed, first_day)
    return {
        "candidates": tf.cast(candidates, tf.float32),
        "unsteadiness": tf.cast(unsteadiness, tf.float32),
        "recent": _past_days(RECENT, *past),
        "year_ago": _past_days(YEAR_AGO, *past),
        "horizon": tf.concat([_soften(tf.cast(k, tf.float32)) for k in known], axis=-1),
    }


def _repeat_years(level: tf.Tensor, years: list[Anniversary]) -> tf.Tensor:
    """`level` [B, 7] with the anomalies of last year, and with the mean of all years: on weekdays and on dates."""
    count = tf.maximum(sum(year.seen for year in years), 1)
    aligned = sum(year.aligned * year.seen for year in years) / count
    dated = sum(year.dated * year.seen for year in years) / count
    return tf.stack([level + anomaly for anomaly in (years[0].aligned, years[0].dated, aligned, dated)], axis=-1)


def _soften(x: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(x, -12.0, 12.0)


def _unsteadiness(z: tf.Tensor, residual: tf.Tensor, observed: tf.Tensor) -> tf.Tensor:
    """Mean absolute change from week to week; around the weekday profile where none is seen. -> [B, 1]."""
    change = tf.abs(z[:, 7:] - z[:, :-7])[:, -RECENT_DAYS:]
    both = (observed[:, 7:] & observed[:, :-7])[:, -RECENT_DAYS:]
    mean = masked_spread(change, both, masked_spread(tf.abs(residual), observed, 1.0))
    return tf.clip_by_value(mean[:, None], *UNSTEADINESS)


def _past_days(days: slice, z: tf.Tensor, residual: tf.Tensor, observed: tf.Tensor, first_day: tf.Tensor) -> tf.Tensor:
    """Value, deviation from the weekday profile, whether observed, calendar. -> float32 [B, days, 21]."""
    z, residual, observed = z[:, days], residual[:, days], observed[:, days]
    values = tf.stack([tf.asinh(z), tf.asinh(residual), tf.cast(observed, z.dtype)], axis=-1)
    calendar = calendar_features(first_day[:, None] + tf.range(days.start - CONTEXT, days.stop - CONTEXT))
    return tf.concat([tf.cast(values, tf.float32), calendar], axis=-1)


def _summary(residual: tf.Tensor, observed: tf.Tensor, unsteadiness: tf.Tensor) -> tf.Tensor:
    """Length of the history, gap before the forecast, size of the last deviations. -> [B, 4]."""
    seen = tf.reduce_sum(tf.cast(observed, residual.dtype), axis=1)
    days = tf.range(CONTEXT, 0, -1)
    gap = last_observed(tf.zeros_like(residual) + tf.cast(days, residual.dtype), observed, CONTEXT)
    week = masked_mean(tf.abs(residual[:, -7:]), observed[:, -7:]) / unsteadiness[:, 0]
    return tf.stack([tf.math.log1p(seen), tf.math.log(gap), tf.asinh(week), tf.math.log(unsteadiness[:, 0])], -1)


def _to_each_day(x: tf.Tensor) -> tf.Tensor:
    """[B, n] -> [B, 7, n]."""
    return tf.tile(x[:, None], [1, HORIZON, 1])
