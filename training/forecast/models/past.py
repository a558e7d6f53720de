"""The features of a window as the families read them; `features.py` makes them."""

import numpy as np
import tensorflow as tf
from keras import ops

from training.forecast.calendar import FEATURES as CALENDAR
from training.forecast.config import HORIZON
from training.forecast.features import SUMMARY, Features
from training.forecast.models.head import LAG7

PROFILE = 2  # among the candidates: the median of the last weeks on the same weekday
VALUE, RESIDUAL, OBSERVED = 0, 1, 2  # of a past day: value and deviation from its weekday, as asinh; whether observed
_CALENDAR_OF_DAY = slice(3, 3 + CALENDAR)
_CALENDAR_OF_HORIZON = slice(-(HORIZON + SUMMARY + CALENDAR), -(HORIZON + SUMMARY))
_FAR = 50.0  # yardsticks; what lies beyond says no more


def yardstick(features: Features, rank: int) -> tf.Tensor:
    """What differences are measured by, [B, 1, ...] of the rank."""
    return ops.reshape(features["unsteadiness"], [-1] + [1] * (rank - 1))


def values(features: Features) -> tf.Tensor:
    """Past days on the window's scale, 0 where missing: [B, days]."""
    return ops.sinh(features["recent"][..., VALUE])


def deviations(features: Features, from_lag7: bool) -> tf.Tensor:
    """How past days differ from what was last seen on their weekday, or from the window's level, in yardsticks.

    A missing day is taken for what its weekday had in the last weeks. [B, days].
    """
    past, observed = values(features), features["recent"][..., OBSERVED]
    weeks = past.shape[1] // HORIZON  # whole ones, so that weekdays line up
    base = ops.tile(features["candidates"][..., LAG7], [1, weeks])
    usual = ops.tile(features["candidates"][..., PROFILE], [1, weeks])
    filled = ops.where(observed > 0, past, usual)
    return ops.clip((filled - base if from_lag7 else filled) / yardstick(features, 2), -_FAR, _FAR)


def calendar_of_weeks(features: Features) -> tf.Tensor:
    """Calendar of the week after each past week, the forecast one last: [B, weeks, 7, calendar]."""
    past = features["recent"][:, HORIZON:, _CALENDAR_OF_DAY]
    days = ops.concatenate([past, features["horizon"][..., _CALENDAR_OF_HORIZON]], axis=1)
    return by_week(days)


def by_week(days: tf.Tensor) -> tf.Tensor:
    """[B, days, ...] -> [B, weeks, 7, ...]."""
    return ops.reshape(days, [-1, days.shape[1] // HORIZON, HORIZON, *days.shape[2:]])


def interpolation(knots: int, days: int) -> np.ndarray:
    """Weights that draw straight lines through evenly spaced knots: float32 [knots, days]."""
    if knots == 1:
        return np.ones((1, days), np.float32)
    places = np.linspace(0, knots - 1, days)
    return np.stack([np.interp(places, np.arange(knots), row) for row in np.eye(knots)]).astype(np.float32)


def moving_average(days: int, over: int) -> np.ndarray:
    """Weights of a centred moving average whose ends repeat the first and last day: float32 [days, days]."""
    weights = np.zeros((days, days), np.float32)
    for day in range(days):
        near = np.clip(np.arange(day - over // 2, day + over // 2 + 1), 0, days - 1)
        np.add.at(weights[:, day], near, 1 / over)
    return weights
