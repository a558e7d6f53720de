"""Windows made worse, so that the model answers well on what clients send, not only on years of clean data."""

import numpy as np

from training.forecast.config import CONTEXT, MIN_OBSERVED


def spoil(rng: np.random.Generator, values: np.ndarray, first_day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shortens, thins, glitches, turns over and shifts in the calendar: each in some of the windows.

    values float64 [n, context + 7] and first forecast day int32 [n], and the same again.
    """
    count = len(values)
    past = values[:, :CONTEXT].copy()
    age = np.arange(CONTEXT, 0, -1)
    kept = np.where(rng.random(count) < 0.3, np.exp(rng.uniform(np.log(10), np.log(CONTEXT), count)), CONTEXT)
    past[age > kept[:, None]] = np.nan
    lost = rng.uniform(0, 0.5, count) * (rng.random(count) < 0.2)
    past[rng.random(past.shape) < lost[:, None]] = np.nan
    gap = rng.integers(1, 15, count) * (rng.random(count) < 0.1)
    past[age <= gap[:, None]] = np.nan
    glitch = rng.integers(0, 120, count)
    size = rng.choice([-1.0, 1.0], count) * np.exp(rng.uniform(0, 7, count)) * (rng.random(count) < 0.08)
    past[np.arange(count), CONTEXT - 1 - glitch] += size * np.nanstd(values[:, CONTEXT - 120 : CONTEXT], axis=1)
    too_few = np.isfinite(past).sum(axis=1) < MIN_OBSERVED
    past[too_few] = values[too_few, :CONTEXT]
    turned = np.where(rng.random(count) < 0.1, -1.0, 1.0)[:, None]
    shift = rng.integers(-5000, 5000, count) * (rng.random(count) < 0.2)
    spoiled = turned * np.concatenate([past, values[:, CONTEXT:]], axis=1)
    return spoiled, (first_day + shift).astype(np.int32)
