"""Daily series that nobody measured: a prior over what daily series look like.

Each window adds or multiplies some of: a level, a bending trend, a weekly and a yearly profile,
paydays, autocorrelated noise, level shifts, yearly holidays, decaying spikes, and days without demand.
"""

import numpy as np

from training.forecast.config import CONTEXT, HORIZON

DAYS = CONTEXT + HORIZON
Array = np.ndarray


def generate_windows(count: int, seed: int) -> tuple[Array, Array]:
    """Values float64 [count, context + 7] and the first forecast day int32 [count]."""
    rng = np.random.default_rng(seed)
    first_day = rng.integers(0, 25_000, count).astype(np.int32)
    pattern = _trend(rng, count) + _weekly(rng, first_day) + _yearly(rng, first_day)
    pattern += _monthly(rng, first_day) + _holidays(rng, first_day) + _level_shifts(rng, count)
    noise = _noise(rng, count) + _spikes(rng, count)
    amount = _some(rng, count, 0.9) * np.exp(rng.normal(-1.2, 0.9, (count, 1)))
    additive = pattern + amount * noise
    share = np.exp(rng.normal(-1.3, 0.6, (count, 1)))
    multiplicative = np.exp(np.clip(share * additive, -6, 6))
    counts = _counts(rng, additive)
    kind = rng.choice(3, count, p=[0.45, 0.35, 0.2])[:, None]
    values = np.select([kind == 0, kind == 1], [additive + rng.normal(0, 4, (count, 1)), multiplicative], counts)
    return values * np.exp(rng.normal(2, 3, (count, 1))), first_day


def _some(rng: np.random.Generator, count: int, share: float) -> Array:
    return (rng.random((count, 1)) < share).astype(float)


def _days(first_day: Array) -> Array:
    return first_day[:, None] + np.arange(-CONTEXT, HORIZON)


def _trend(rng: np.random.Generator, count: int) -> Array:
    bends = np.cumsum(rng.normal(0, 1, (count, 5)) * rng.exponential(0.5, (count, 1)), axis=1)
    position = np.linspace(0, 3.999, DAYS)
    left = position.astype(int)
    part = position - left
    return (bends[:, left] * (1 - part) + bends[:, left + 1] * part) * _some(rng, count, 0.6)


def _weekly(rng: np.random.Generator, first_day: Array) -> Array:
    count = len(first_day)
    free = rng.normal(0, 0.6, (count, 7))
    weekend = np.zeros((count, 7))
    weekend[:, 5:] = rng.normal(-1.5, 1.5, (count, 1)) + rng.normal(0, 0.5, (count, 2))
    profile = weekend * _some(rng, count, 0.6) + free * rng.random((count, 1))
    profile *= _some(rng, count, 0.8) * rng.exponential(1, (count, 1))
    return np.take_along_axis(profile, (_days(first_day) + 3) % 7, axis=1)


def _yearly(rng: np.random.Generator, first_day: Array) -> Array:
    angle = 2 * np.pi * _days(first_day) / 365.2425
    wave = sum(
        rng.normal(0, 1 / k, (len(first_day), 1)) * np.sin(k * angle + rng.uniform(0, 6.3, (len(first_day), 1)))
        for k in (1, 2, 3)
    )
    return wave * _some(rng, len(first_day), 0.6) * rng.exponential(1, (len(first_day), 1))


def _monthly(rng: np.random.Generator, first_day: Array) -> Array:
    """Paydays and bills: a date of every month, counted from its begin or its end, and the days after it."""
    days = _days(first_day).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    from_begin = (days - months.astype("datetime64[D]")).astype(int)
    from_end = (days - (months + 1).astype("datetime64[D]")).astype(int)
    count = len(first_day)
    place = np.where(rng.random((count, 1)) < 0.5, from_begin, from_end + 31)
    since = (place - rng.integers(0, 31, (count, 1))) % 31
    size = rng.normal(0, 1, (count, 1)) * rng.exponential(1, (count, 1)) * _some(rng, count, 0.3)
    return size * np.exp(-since / rng.uniform(0.3, 4, (count, 1)))


def _holidays(rng: np.random.Generator, first_day: Array) -> Array:
    """Up to 12 holidays a year, on a date (every 365 days) or a weekday (every 364 days)."""
    count = len(first_day)
    effects = np.zeros((count, DAYS))
    direction = rng.normal(-1, 1, (count, 1)) * rng.exponential(1.5, (count, 1)) * _some(rng, count, 0.5)
    for _ in range(12):
        start = rng.integers(0, 365, (count, 1))
        period = rng.choice([364, 365], (count, 1))
        size = direction * rng.uniform(0.4, 1.3, (count, 1))
        near = (np.arange(DAYS) - start) % period
        effects += size * (near == 0) + 0.4 * size * _some(rng, count, 0.4) * (near == 1)
    return effects


def _level_shifts(rng: np.random.Generator, count: int) -> Array:
    at = rng.integers(0, DAYS, (count, 2, 1))
    size = rng.normal(0, 1, (count, 2, 1)) * (rng.random((count, 2, 1)) < 0.2)
    return (size * (np.arange(DAYS) >= at)).sum(axis=1)


def _noise(rng: np.random.Generator, count: int) -> Array:
    """First-order autoregression, from white noise to a random walk, with tails of any weight."""
    memory = rng.choice([0.0, 0.3, 0.6, 0.8, 0.95, 1.0], (count, 1), p=[0.3, 0.2, 0.2, 0.15, 0.1, 0.05])
    shocks = rng.standard_t(np.exp(rng.uniform(1, 4, (count, 1))), (count, DAYS))
    noise = np.empty_like(shocks)
    noise[:, :1] = shocks[:, :1]
    for day in range(1, DAYS):
        noise[:, day] = memory[:, 0] * noise[:, day - 1] + shocks[:, day]
    return noise


def _spikes(rng: np.random.Generator, count: int) -> Array:
    """Rare jumps that fade, as floods and news do."""
    jumps = rng.exponential(5, (count, DAYS)) * (rng.random((count, DAYS)) < 0.02) * _some(rng, count, 0.25)
    fading = rng.uniform(0, 0.95, (count, 1))[:, 0]
    for day in range(1, DAYS):
        jumps[:, day] += fading * jumps[:, day - 1]
    return jumps


def _counts(rng: np.random.Generator, pattern: Array) -> Array:
    """Small counts around the pattern, many of them zero; some sell in lots, some rarely."""
    count = len(pattern)
    rate = np.exp(np.clip(0.4 * pattern + rng.uniform(-3, 2.5, (count, 1)), -8, 5))
    lots = 1 + rng.poisson(rng.exponential(4, (count, 1)) * _some(rng, count, 0.5), pattern.shape)
    return rng.poisson(rate) * lots * (rng.random(pattern.shape) < rng.uniform(0.3, 1, (count, 1)))
