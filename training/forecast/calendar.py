"""The civil calendar as TensorFlow integer arithmetic, so that it lives inside the exported graph."""

import math

import tensorflow as tf

_HARMONICS = (1, 2, 3)
FEATURES = 2 * 3 * len(_HARMONICS)  # a sine and a cosine of weekday, day of month and day of year


def split_day(day: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Month 1..12, day of month 1..31 and weekday 0..6 (Monday 0) of days since 1970-01-01.

    The years are counted from March, as in Howard Hinnant's `civil_from_days`, so that the
    leap day comes last. int32 [...] -> three int32 [...].
    """
    shifted = day + 719_468  # days since 0000-03-01
    era_day = shifted % 146_097
    year = (era_day - era_day // 1460 + era_day // 36_524 - era_day // 146_096) // 365
    year_day = era_day - (365 * year + year // 4 - year // 100)
    month = (5 * year_day + 2) // 153
    day_of_month = year_day - (153 * month + 2) // 5 + 1
    return (month + 2) % 12 + 1, day_of_month, (day + 3) % 7


def calendar_features(day: tf.Tensor) -> tf.Tensor:
    """Sines and cosines of weekday, day of month and day of year. int32 [...] -> float32 [..., 18]."""
    month, day_of_month, weekday = split_day(day)
    day_of_year = 30.5 * tf.cast(month - 1, tf.float32) + tf.cast(day_of_month, tf.float32)
    phases = [tf.cast(weekday, tf.float32) * (k / 7) for k in _HARMONICS]
    phases += [tf.cast(day_of_month, tf.float32) * (k / 31) for k in _HARMONICS]
    phases += [day_of_year * (k / 366) for k in _HARMONICS]
    angles = 2 * math.pi * tf.stack(phases, axis=-1)
    return tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)


def find_same_date_lag(day: tf.Tensor, years: int = 1) -> tf.Tensor:
    """Days back to the same date `years` (1 or 2) ago, to 28 February from 29. int32 [...]."""
    _, now, _ = split_day(day)
    _, then, _ = split_day(day - 365 * years)
    return 365 * years + tf.where(now == then, 0, 1)


def find_last_month_lag(day: tf.Tensor) -> tf.Tensor:
    """Days back to the same date of last month, to its last day where it is shorter: 28 to 31. int32 [...]."""
    _, day_of_month, _ = split_day(day)
    _, length, _ = split_day(day - day_of_month)  # of its last day
    return tf.maximum(length, day_of_month)
