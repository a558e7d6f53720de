"""Daily series to send: windows of real ones where they are here, else weekly and yearly waves with noise."""

import csv
import math
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

import numpy as np

SHORTEST_DAYS, LONGEST_DAYS = 30, 800  # lengths are log-uniform: a month is as likely as two years
CONTEXT = 784
MISSING_SHARE = 0.01
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class DailySeries:
    """A daily series; None is a missing day."""

    start: date
    values: list[float | None]


def read_series(data: Path) -> list[DailySeries]:
    """The series of the data pack with one column; none where the data is not there."""
    found = []
    for file in sorted((data / "series").glob("*.csv")):
        with file.open(newline="") as lines:
            rows = csv.reader(lines)
            if next(rows) == ["ds", "y"]:
                days = [(date.fromisoformat(day), float(value) if value else None) for day, value in rows]
                found.append(DailySeries(days[0][0], [value for _, value in days]))
    return [series for series in found if len(series.values) > LONGEST_DAYS]


class SeriesMaker:
    """Makes series."""

    def __init__(self, data: Path) -> None:
        """Reads the real ones, if there are any."""
        self._real = read_series(data)

    def make(self, rng: Random) -> DailySeries:
        """A series that is not like any other: a window, scaled, with some days missing."""
        days = round(math.exp(rng.uniform(math.log(SHORTEST_DAYS), math.log(LONGEST_DAYS))))
        series = self._cut(days, rng) if self._real else _wave(days, rng)
        scale = rng.uniform(0.5, 2)
        values = [None if v is None or rng.random() < MISSING_SHARE else round(v * scale, 3) for v in series.values]
        return DailySeries(series.start, values)

    def _cut(self, days: int, rng: Random) -> DailySeries:
        whole = rng.choice(self._real)
        first = rng.randrange(len(whole.values) - days)
        return DailySeries(whole.start + timedelta(days=first), whole.values[first : first + days])


def _wave(days: int, rng: Random) -> DailySeries:
    start = date(2018, 1, 1) + timedelta(days=rng.randrange(2000))
    level, week, year, noise = rng.uniform(50, 5000), rng.uniform(0, 0.4), rng.uniform(0, 0.3), rng.uniform(0.02, 0.15)
    weekdays = [1 - week * (day >= 5) for day in range(7)]
    values: list[float | None] = [
        level
        * weekdays[(start + timedelta(days=i)).weekday()]
        * (1 + year * math.sin(math.tau * i / 365.25) + rng.gauss(0, noise))
        for i in range(days)
    ]
    return DailySeries(start, values)


def to_window(series: DailySeries) -> tuple[np.ndarray, np.ndarray]:
    """The tensors that the forecast model reads.

    Returns:
        values: float64 [1, 784], NaN on the left and where days are missing; first_day: int32 [1], since 1970-01-01.
    """
    values = np.full((1, CONTEXT), np.nan)
    last = [np.nan if v is None else v for v in series.values[-CONTEXT:]]
    values[0, CONTEXT - len(last) :] = last
    following = series.start + timedelta(days=len(series.values))
    return values, np.array([(following - _EPOCH).days], np.int32)
