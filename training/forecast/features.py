"""What the network sees of a window, computed inside the exported graph.

The context is whole weeks, so that [B, 7, weeks] lines up past days with forecast days: row h has
the weekday of forecast day h. Everything is on the window's own scale (z).
"""

import tensorflow as tf

from training.forecast.calendar import FEATURES as CALENDAR
from training.forecast.calendar import calendar_features, find_same_date_lag
from training.forecast.config import CONTEXT, HORIZON
from training.forecast.window import Window, last_observed, masked_mean, masked_median, masked_spread

CANDIDATES = 11
LEVELLED = 8  # the candidate that last year's anomalies are added to
RECENT = slice(CONTEXT - 112, CONTEXT)
RECENT_DAYS = RECENT.stop - RECENT.start
YEAR_AGO = slice(CONTEXT - 385, CONTEXT - 343)  # six weeks around the same days of last year
YEAR_AGO_DAYS = YEAR_AGO.stop - YEAR_AGO.start
AROUND = 3  # days before and after the same days of last year whose anomalies are shown
DAY_FEATURES = 3 + CALENDAR
SUMMARY = 4
HORIZON_FEATURES = CANDIDATES + 4 + 2 * AROUND + HORIZON + CALENDAR + HORIZON + SUMMARY
UNSTEADINESS = (0.02, 10.0)
GLITCH = 20.0  # a deviation counts up to this many times the unsteadiness in a mean

Features = dict[str, tf.Tensor]


def build_features(window: Window, first_day: tf.Tensor) -> Features:
    """Features of a batch; `first_day` int32 [B] is the first forecast day since 1970-01-01.

    candidates   float32 [B, 7, 11]  simple forecasts that the network mixes
    unsteadiness float32 [B, 1]      mean change from one week to the next, the yardstick of its spread
    recent       float32 [B, 112, 17], year_ago float32 [B, 42, 17]  past days
    horizon      float32 [B, 7, n]   what is known of each forecast day
    """
    z, observed = window.z, window.observed
    profile = _weekday_profile(z, observed)
    residual = tf.where(observed, z - tf.tile(profile, [1, CONTEXT // 7]), 0)
    unsteadiness = _unsteadiness(z, residual, observed)
    steady = tf.clip_by_value(residual, -GLITCH * unsteadiness, GLITCH * unsteadiness)
    anomaly, seen = _year_ago_anomalies(z, observed)
    anomaly = tf.clip_by_value(anomaly, -GLITCH * unsteadiness, GLITCH * unsteadiness)
    same_date = _at_same_date(anomaly, first_day)
    candidates = _candidates(z, residual, steady, observed, profile)
    levelled = candidates[..., LEVELLED : LEVELLED + 1]
    candidates = tf.concat([candidates, levelled + _stack(_aligned(anomaly), same_date)], axis=-1)
    week_change = candidates[..., 0] - profile
    past = (z, residual / unsteadiness, observed, first_day)
    known = [
        tf.asinh(candidates),
        tf.stack([_aligned(anomaly), same_date, week_change], axis=-1) / unsteadiness[:, :, None],
        _aligned(seen)[:, :, None],
        _to_each_day(tf.asinh(anomaly[:, 14 - AROUND : 14 + HORIZON + AROUND] / unsteadiness)),
        calendar_features(first_day[:, None] + tf.range(HORIZON)),
        tf.tile(tf.eye(HORIZON)[None], [tf.shape(z)[0], 1, 1]),
        _to_each_day(_summary(residual, observed, unsteadiness)),
    ]
    return {
        "candidates": tf.cast(candidates, tf.float32),
        "unsteadiness": tf.cast(unsteadiness, tf.float32),
        "recent": _past_days(RECENT, *past),
        "year_ago": _past_days(YEAR_AGO, *past),
        "horizon": tf.concat([_soften(tf.cast(k, tf.float32)) for k in known], axis=-1),
    }


def _soften(x: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(x, -12.0, 12.0)


def _by_weekday(x: tf.Tensor) -> tf.Tensor:
    """[B, C] -> [B, 7, weeks]."""
    return tf.transpose(tf.reshape(x, [-1, CONTEXT // 7, 7]), [0, 2, 1])


def _weekday_profile(z: tf.Tensor, observed: tf.Tensor, weeks: int = 8) -> tf.Tensor:
    """Median of the last weeks per weekday, of all weeks where those are empty. -> [B, 7]."""
    z, observed = _by_weekday(z), _by_weekday(observed)
    return masked_median(z[..., -weeks:], observed[..., -weeks:], masked_median(z, observed))


def _unsteadiness(z: tf.Tensor, residual: tf.Tensor, observed: tf.Tensor) -> tf.Tensor:
    """Mean absolute change from week to week; around the weekday profile where none is seen. -> [B, 1]."""
    change = tf.abs(z[:, 7:] - z[:, :-7])[:, -RECENT_DAYS:]
    both = (observed[:, 7:] & observed[:, :-7])[:, -RECENT_DAYS:]
    mean = masked_spread(change, both, masked_spread(tf.abs(residual), observed, 1.0))
    return tf.clip_by_value(mean[:, None], *UNSTEADINESS)


def _year_ago_anomalies(z: tf.Tensor, observed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """How days 14..49 of the context differ from the same weekday of the weeks around. -> 2 x [B, 35].

    Day 28 is 364 days before the first forecast day: position 14 here.
    """
    start, stop = 14, 49
    around = tf.stack([z[:, start + s : stop + s] for s in (-14, -7, 7, 14)], axis=-1)
    around_seen = tf.stack([observed[:, start + s : stop + s] for s in (-14, -7, 7, 14)], axis=-1)
    seen = observed[:, start:stop] & tf.reduce_any(around_seen, axis=-1)
    anomaly = tf.where(seen, z[:, start:stop] - masked_median(around, around_seen), 0)
    return anomaly, tf.cast(seen, z.dtype)


def _aligned(anomaly: tf.Tensor) -> tf.Tensor:
    return anomaly[:, 14 : 14 + HORIZON]


def _at_same_date(anomaly: tf.Tensor, first_day: tf.Tensor) -> tf.Tensor:
    lag = find_same_date_lag(first_day[:, None] + tf.range(HORIZON))
    return tf.gather(anomaly, 14 + 364 - lag + tf.range(HORIZON), batch_dims=1, axis=1)


def _candidates(
    z: tf.Tensor, residual: tf.Tensor, steady: tf.Tensor, observed: tf.Tensor, profile: tf.Tensor
) -> tf.Tensor:
    """Simple forecasts, [B, 7, 9]: the network learns when to trust which.

    The means are of `steady` deviations, which a glitch cannot move far; the last values and the
    median of the last week are what follows a jump.
    """
    last_same = last_observed(_by_weekday(z), _by_weekday(observed), profile)
    month_same = masked_mean(_by_weekday(steady)[..., -4:], _by_weekday(observed)[..., -4:])
    last = last_observed(z, observed)[:, None]
    week = masked_median(z[:, -7:], observed[:, -7:], last[:, 0])[:, None]
    last_residual = last_observed(residual, observed)[:, None]
    week_residual = masked_mean(steady[:, -7:], observed[:, -7:])[:, None]
    month_residual = masked_mean(steady[:, -28:], observed[:, -28:])[:, None]
    flat = tf.zeros_like(profile)
    return _stack(
        last_same,
        profile + month_same,
        profile,
        flat,
        flat + last,
        flat + week,
        profile + last_residual,
        profile + month_residual,
        profile + week_residual,
    )


def _stack(*columns: tf.Tensor) -> tf.Tensor:
    return tf.stack(columns, axis=-1)


def _past_days(days: slice, z: tf.Tensor, residual: tf.Tensor, observed: tf.Tensor, first_day: tf.Tensor) -> tf.Tensor:
    """Value, deviation from the weekday profile, whether observed, calendar. -> float32 [B, days, 17]."""
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
