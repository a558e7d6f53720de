"""How many users there are at a time of the run: the curves of the shapes, as functions of seconds."""

import math
from collections.abc import Callable

Tick = tuple[int, float]  # users, and users that are started or stopped per second
Curve = Callable[[float], Tick | None]  # None ends the run

_RISE = 0.05  # share of a soak's time in which it reaches its users
_SPIKE = (0.4, 0.6)  # shares of the time between which the spike is
_BASE = 8  # a spike begins and ends with an eighth of its users, unless something else is said


def ramp(users: int, seconds: float) -> Curve:
    """Rises evenly from one user to all."""
    return _until(seconds, users, lambda at_s: math.ceil(users * at_s / seconds))


def step(users: int, seconds: float, steps: int) -> Curve:
    """Rises in so many equal steps of equal length."""
    return _until(seconds, users, lambda at_s: math.ceil(users * (math.floor(at_s / seconds * steps) + 1) / steps))


def spike(users: int, seconds: float, base_users: int = 0) -> Curve:
    """Few users, all of them at once in the middle fifth of the time, then few again."""
    few = base_users or math.ceil(users / _BASE)
    first, last = (share * seconds for share in _SPIKE)
    return _until(seconds, users, lambda at_s: users if first <= at_s < last else few)


def soak(users: int, seconds: float) -> Curve:
    """Rises within a twentieth of the time, then stays."""
    return _until(seconds, users, lambda at_s: min(math.ceil(users * at_s / (_RISE * seconds)), users))


def _until(seconds: float, rate: float, count: Callable[[float], int]) -> Curve:
    return lambda at_s: None if at_s >= seconds else (max(count(at_s), 1), float(rate))
