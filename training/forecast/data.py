"""Real daily series, cut into windows: reading, splitting by date, sampling, spoiling."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from training.forecast.config import CONTEXT, HORIZON, MIN_OBSERVED, Config
from training.forecast.synthetic import generate_windows

EPOCH = date(1970, 1, 1)
VALIDATION_DAYS = 59  # 1 January to 28 February 2019 for the CTA
NN5_WEIGHT = 2 / 111  # its 111 series together count as two
Windows = tuple[np.ndarray, np.ndarray]
Pool = list[tuple[np.ndarray, np.ndarray, float]]  # values, first_day, and their weight in a batch


@dataclass(frozen=True)
class Source:
    """One file of the data pack. Days from `evaluated_from` on are only ever forecast."""

    file: str
    evaluated_from: date
    licence: str
    trained: bool = True


CTA = "Chicago Data Portal (CTA daily boardings), City of Chicago open data terms; no SPDX licence stated"
SOURCES = (
    Source("cta_rail", date(2019, 3, 1), CTA),
    Source("cta_bus", date(2019, 3, 1), CTA),
    Source("us_births_1969_1988", date(1987, 1, 1), "US NCHS, government data; copy from a GPL>=2 R package"),
    Source("us_births_2000_2014_ssa", date(2012, 1, 1), "SSA by way of FiveThirtyEight, CC BY 4.0"),
    Source("saugeen_river_flow", date(1977, 1, 1), "Environment Canada; copy from a GPL>=2 R package, unclear"),
    Source("nn5_daily", date(1998, 1, 26), "NN5 competition; copy from a GPL-3 R package, unclear"),
    Source("wiki_log_pageviews_peyton_manning", date(2014, 1, 1), "Wikipedia page views; MIT", trained=False),
    Source("seattle_temp_max", date(2014, 1, 1), "NOAA; US public domain", trained=False),
    Source("bike_sharing_cnt", date(2012, 7, 1), "UCI Bike Sharing; CC BY 4.0", trained=False),
)


@dataclass(frozen=True)
class Series:
    """One daily series: `values` float64 [days], NaN where missing, from `first_day` (since 1970-01-01)."""

    name: str
    source: Source
    first_day: int
    values: np.ndarray

    def position(self, day: date) -> int:
        """Index of `day` in `values`."""
        return (day - EPOCH).days - self.first_day


def load_series(folder: Path) -> list[Series]:
    """Reads every source of the data pack `folder`; nn5_daily gives 111 series."""
    return [series for source in SOURCES for series in _read(source, folder / f"{source.file}.csv")]


def _read(source: Source, path: Path) -> Iterator[Series]:
    frame = pd.read_csv(path, parse_dates=["ds"]).set_index("ds").asfreq("D")
    first_day = (frame.index[0].date() - EPOCH).days
    for column in frame.columns:
        name = source.file if column == "y" else column
        yield Series(name, source, first_day, frame[column].to_numpy(np.float64))


def cut_windows(series: Series, origins: np.ndarray) -> Windows:
    """Context and target of forecasts starting at index `origins` [n] of the series.

    Returns values float64 [n, context + 7], NaN before the start, and first_day int32 [n].
    """
    padded = np.concatenate([np.full(CONTEXT, np.nan), series.values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, CONTEXT + HORIZON)
    return windows[origins], (series.first_day + origins).astype(np.int32)


def rolling_origins(series: Series, start: date, stop: date | None = None) -> np.ndarray:
    """Every seventh index from `start` on whose whole week lies before `stop` and inside the series."""
    end = len(series.values) if stop is None else series.position(stop)
    return np.arange(series.position(start), end - HORIZON + 1, HORIZON)


def training_pool(series: list[Series]) -> Pool:
    """Windows of each trained series that end before its validation days, and its weight in a batch."""
    pool = []
    for one in series:
        stop = one.position(one.source.evaluated_from) - VALIDATION_DAYS
        values, first_day = cut_windows(one, np.arange(28, stop - HORIZON + 1))
        weight = NN5_WEIGHT if one.source.file == "nn5_daily" else 1.0
        if one.source.trained:
            pool.append((values, first_day, weight))
    return pool


def validation_windows(series: list[Series]) -> Windows:
    """Rolling weeks of the days just before the evaluation: values [n, context + 7], first_day [n]."""
    cuts = []
    for one in series:
        start = one.source.evaluated_from - timedelta(days=VALIDATION_DAYS)
        if one.source.trained:
            cuts.append(cut_windows(one, rolling_origins(one, start, one.source.evaluated_from)))
    return np.concatenate([c[0] for c in cuts]), np.concatenate([c[1] for c in cuts])


def fill_pool(config: Config, series: list[Series]) -> Pool:
    """All windows to sample from: synthetic ones first, then those of each trained series; the chances add up to 1."""
    synthetic, real = generate_windows(config.synthetic_windows, config.seed), training_pool(series)
    share = config.synthetic_share if real else 1.0
    total = sum(weight for _, _, weight in real)
    parts = [(values, first_day, (1 - share) * weight / total) for values, first_day, weight in real]
    return [(*synthetic, share), *parts]


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


def spoil(rng: np.random.Generator, values: np.ndarray, first_day: np.ndarray) -> Windows:
    """Shortens, thins, glitches, turns over and shifts in the calendar: each in some of the windows.

    So that the model answers well on what clients send, not only on years of clean data.
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
