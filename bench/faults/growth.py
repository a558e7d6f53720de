"""Whether something grows: functions of samples over time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EDGE_SHARE = 0.1  # of the samples, at each end, whose median is the start or the end
NOISE_ERRORS = 3.0  # standard errors within which a slope is noise
SMALL_PER_HOUR = 0.05  # growth, as a share of the mean, that is nobody's worry in an hour


@dataclass(frozen=True)
class Growth:
    """How a quantity went over time.

    Attributes:
        start: median of the first samples.
        end: median of the last ones.
        per_hour: slope of the line through all.
        error_per_hour: its standard error.
        mean: mean of all.
    """

    start: float
    end: float
    per_hour: float
    error_per_hour: float
    mean: float

    @property
    def is_flat(self) -> bool:
        """The slope is within the noise, or small."""
        is_noise = abs(self.per_hour) <= NOISE_ERRORS * self.error_per_hour
        return is_noise or self.per_hour <= SMALL_PER_HOUR * abs(self.mean)


def measure_growth(times_s: Sequence[float], values: Sequence[float]) -> Growth:
    """Fits a line by least squares.

    Args:
        times_s: when each sample was taken, rising.
        values: the samples.

    Raises:
        ValueError: there are fewer than three samples.
    """
    if len(values) < 3:
        raise ValueError(f"{len(values)} samples; at least 3")
    hours, y = np.asarray(times_s, float) / 3600, np.asarray(values, float)
    centred = hours - hours.mean()
    spread = float((centred**2).sum())
    slope = float((centred * (y - y.mean())).sum()) / spread
    left = y - y.mean() - slope * centred
    error = float(np.sqrt((left**2).sum() / (len(y) - 2) / spread))
    edge = max(round(len(y) * EDGE_SHARE), 1)
    return Growth(float(np.median(y[:edge])), float(np.median(y[-edge:])), slope, error, float(y.mean()))
