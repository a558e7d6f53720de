"""The same days one and two years ago, and of the last two months: how they differed from what was usual then."""

from typing import NamedTuple

import tensorflow as tf

from training.forecast.calendar import find_last_month_lag, find_same_date_lag
from training.forecast.config import CONTEXT, HORIZON
from training.forecast.window import masked_mean, masked_median

YEARS = 2
AROUND = 3  # days before and after the same days whose anomalies are shown
YEAR_FEATURES = 4 + HORIZON + 2 * AROUND
MONTHS = 2
MONTH_FEATURES = 3 * MONTHS
_YEAR = 364  # days: the same weekdays
_MARGIN = 14  # days before and after the same days of which anomalies are taken


class Anniversary(NamedTuple):
    """What a window tells of the days a number of years before the forecast days, on its own scale.

    aligned, dated: float64 [B, 7], anomaly on the same weekday and on the same date.  seen: float64 [B, 7], 1 or 0.
    drift: float64 [B, 1], the level of the two weeks from then on less that of the four weeks before.
    around: float64 [B, 13], anomalies from three days before to three days after the week.
    """

    aligned: tf.Tensor
    dated: tf.Tensor
    seen: tf.Tensor
    drift: tf.Tensor
    around: tf.Tensor

    def of_days(self) -> list[tf.Tensor]:
        """What is measured in the window's scale of each forecast day, 3 x [B, 7]."""
        return [self.aligned, self.dated, tf.zeros_like(self.aligned) + self.drift]


def find_anniversary(
    z: tf.Tensor, observed: tf.Tensor, first_day: tf.Tensor, limit: tf.Tensor, years: int
) -> Anniversary:
    """Looks `years` back. z [B, C]; first_day int32 [B]; an anomaly counts up to `limit` [B, 1]."""
    start = CONTEXT - years * _YEAR - _MARGIN
    stop = CONTEXT - years * _YEAR + HORIZON + _MARGIN
    around = tf.stack([z[:, start + s : stop + s] for s in (-14, -7, 7, 14)], axis=-1)
    around_seen = tf.stack([observed[:, start + s : stop + s] for s in (-14, -7, 7, 14)], axis=-1)
    seen = observed[:, start:stop] & tf.reduce_any(around_seen, axis=-1)
    anomaly = tf.where(seen, z[:, start:stop] - masked_median(around, around_seen), 0)
    anomaly = tf.clip_by_value(anomaly, -limit, limit)
    lag = find_same_date_lag(first_day[:, None] + tf.range(HORIZON), years)
    week = slice(_MARGIN, _MARGIN + HORIZON)
    return Anniversary(
        aligned=anomaly[:, week],
        dated=tf.gather(anomaly, _MARGIN + years * _YEAR - lag + tf.range(HORIZON), batch_dims=1, axis=1),
        seen=tf.cast(seen[:, week], z.dtype),
        drift=tf.clip_by_value(_drift(z, observed, CONTEXT - years * _YEAR)[:, None], -limit, limit),
        around=anomaly[:, week.start - AROUND : week.stop + AROUND],
    )


def _drift(z: tf.Tensor, observed: tf.Tensor, now: int) -> tf.Tensor:
    after, before = slice(now, now + 14), slice(now - 28, now)
    known = tf.reduce_any(observed[:, after], axis=1) & tf.reduce_any(observed[:, before], axis=1)
    change = masked_mean(z[:, after], observed[:, after]) - masked_mean(z[:, before], observed[:, before])
    return tf.where(known, change, 0)


def find_paydays(steady: tf.Tensor, first_day: tf.Tensor) -> tf.Tensor:
    """Deviations from the weekday profile on the same date of the last months, and on the days before and after it.

    steady: float64 [B, C].  first_day: int32 [B].  -> [B, 7, 6].
    """
    place = CONTEXT + tf.zeros_like(first_day)[:, None] + tf.range(HORIZON)
    columns = []
    for _ in range(MONTHS):
        place -= find_last_month_lag(first_day[:, None] + place - CONTEXT)
        columns += [tf.gather(steady, place + step, batch_dims=1, axis=1) for step in (-1, 0, 1)]
    return tf.stack(columns, axis=-1)
