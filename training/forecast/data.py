"""Daily series, split by date and cut into windows: what is learned from, what watches, what is judged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from training.forecast.config import CONTEXT, HORIZON, MIN_OBSERVED, Config
from training.forecast.formats.columns import Columns
from training.forecast.formats.daily import Daily
from training.forecast.formats.files import read_series
from training.forecast.sources import SOURCES
from training.forecast.spoiling import spoil
from training.forecast.synthetic import generate_windows

EPOCH = date(1970, 1, 1)
FIRST_ORIGIN = 28  # days of history that the first window of a series has at least
_JUDGED_SHARE, _JUDGED_WEEKS = 8, 52  # of a series that is not known: the last eighth, a year at most
_WATCHED_SHARE, _WATCHED_WEEKS = 12, 26
_SOURCE_POWER = 0.75
Windows = tuple[np.ndarray, np.ndarray]  # values float64 [n, context + 7], first forecast day int32 [n]
Pool = list[tuple[np.ndarray, np.ndarray, float]]  # values, first_day, and their weight in a batch


@dataclass(frozen=True)
class Series:
    """One daily series.

    Attributes:
        name: its own.
        source: name of its file.
        first_day: of `values`, in days since 1970-01-01.
        values: float64 [days], NaN where missing.
        watched: index of the first day of those that watch the training and calibrate it.
        judged: index of the first day that is only ever forecast.
    """

    name: str
    source: str
    first_day: int
    values: np.ndarray
    watched: int
    judged: int

    @property
    def judged_from(self) -> date:
        """The first day that is only ever forecast."""
        return date.fromordinal(EPOCH.toordinal() + self.first_day + self.judged)


def open_series(data: Path | None, columns: Columns) -> list[Series]:
    """Reads all series of a file or a folder; of its folder `series` where it has one. None gives none.

    Raises:
        DataError: a file cannot be read as daily series.
    """
    if data is None:
        return []
    folder = data / "series" if (data / "series").is_dir() else data
    return [_split(daily, source) for source, found in read_series(folder, columns).items() for daily in found]


def _split(daily: Daily, source: str) -> Series:
    days = len(daily.values)
    if source in SOURCES:
        judged = (SOURCES[source].judged_from - EPOCH).days - daily.first_day
    else:
        judged = days - HORIZON * _count_weeks(days, _JUDGED_SHARE, _JUDGED_WEEKS)
    judged = min(max(judged, 0), days)
    watched = judged - HORIZON * _count_weeks(judged, _WATCHED_SHARE, _WATCHED_WEEKS)
    return Series(daily.name, source, daily.first_day, daily.values, watched, judged)


def _count_weeks(days: int, share: int, most: int) -> int:
    return min(days // share // HORIZON, most)


def cut_windows(series: Series, origins: np.ndarray) -> Windows:
    """Context and target of forecasts starting at index `origins` [n] of the series; NaN before its start."""
    padded = np.concatenate([np.full(CONTEXT, np.nan), series.values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, CONTEXT + HORIZON)
    return windows[origins], (series.first_day + origins).astype(np.int32)


def roll_origins(start: int, stop: int) -> np.ndarray:
    """Every seventh index from `start` on whose whole week lies before `stop`."""
    return np.arange(start, stop - HORIZON + 1, HORIZON)


def judged_windows(series: Sequence[Series]) -> Windows:
    """The weeks that a model is judged by."""
    return join_windows([cut_windows(one, roll_origins(one.judged, len(one.values))) for one in series])


def watched_windows(series: Sequence[Series]) -> Windows:
    """The weeks before those, which watch the training and calibrate the intervals."""
    return join_windows([cut_windows(one, roll_origins(one.watched, one.judged)) for one in series])


def find_answerable(values: np.ndarray) -> np.ndarray:
    """Which windows have as many observed days as a model wants: bool [n]. values float64 [n, context + 7]."""
    return np.asarray(np.isfinite(values[:, :CONTEXT]).sum(axis=1) >= MIN_OBSERVED)


def group_by_source(series: Sequence[Series]) -> dict[str, list[Series]]:
    """The series of each file."""
    groups: dict[str, list[Series]] = {}
    for one in series:
        groups.setdefault(one.source, []).append(one)
    return groups


def fill_pool(config: Config, series: Sequence[Series]) -> Pool:
    """All windows to sample from: synthetic ones first, then those of each series; the chances add up to 1.

    A source counts by the number of its windows to the power of 0.75, so that neither a large one drowns the others nor
    a small one is learned by heart.
    """
    synthetic, parts = generate_windows(config.synthetic_windows, config.seed), []
    for source, members in group_by_source(series).items():
        windows = [cut_windows(one, np.arange(FIRST_ORIGIN, one.watched - HORIZON + 1)) for one in members]
        count = sum(len(values) for values, _ in windows)
        if source not in config.left_out and count:
            parts += [(values, first_day, len(values) * count ** (_SOURCE_POWER - 1)) for values, first_day in windows]
    share = config.synthetic_share if parts else 1.0
    total = sum(weight for _, _, weight in parts)
    return [(*synthetic, share), *((values, first_day, (1 - share) * w / total) for values, first_day, w in parts)]


def sample_batches(config: Config, pool: Pool, epoch: int) -> Iterator[Windows]:
    """The spoiled batches of one epoch; the same again for the same seed and epoch."""
    rng = np.random.default_rng([config.seed, epoch])
    chances = np.array([part[2] for part in pool])
    for _ in range(config.steps_per_epoch):
        picks = rng.choice(len(pool), config.optimisation.batch_size, p=chances)
        rows = [(pool[p], rng.integers(len(pool[p][0]))) for p in picks]
        values = np.stack([windows[0][row] for windows, row in rows])
        first_day = np.array([windows[1][row] for windows, row in rows], np.int32)
        yield spoil(rng, values, first_day)


def join_windows(parts: Sequence[Windows]) -> Windows:
    """All windows, in their order."""
    return np.concatenate([values for values, _ in parts]), np.concatenate([first_day for _, first_day in parts])
