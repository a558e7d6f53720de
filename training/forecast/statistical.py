"""What people pick instead: the automatic models of statsforecast, fitted anew before each forecast.

They read three years of history. A missing day gets what was last seen on its weekday.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from training.forecast.config import HORIZON, QUANTILE_LEVELS
from training.recipe.publication import fingerprint

HISTORY = 1096  # days
_WEEK, _YEAR = 7, 365
_INTERVALS = [95, 90, 80, 60, 40, 20]  # in percent; their ends are the quantile levels
Forecasts = tuple[np.ndarray, np.ndarray]  # mean float64 [n, days], quantiles float64 [n, days, levels]


def forecast_statistically(
    histories: Sequence[np.ndarray], cache: Path, processes: int = 1, days: int = HORIZON
) -> dict[str, Forecasts]:
    """Forecasts the days after each history, float64 [days], NaN where missing.

    Args:
        histories: any number; their last three years are used.
        cache: folder that keeps the forecasts, for they take long.
        processes: that share the work.
        days: to forecast.

    Returns:
        By model, in the order of the histories.
    """
    kept = [_fill(history[-HISTORY:]) for history in histories]
    names = [name for name, _ in _list_models()]
    key = fingerprint(np.array([version("statsforecast"), *names] + ([] if days == HORIZON else [str(days)])), *kept)
    path = cache / f"{key[:16]}.npz"
    if not path.is_file():
        answers = _forecast_all(kept, days, processes)
        cache.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft.npz")
        np.savez(draft, answers=answers)
        draft.replace(path)
    with np.load(path) as arrays:
        answers = arrays["answers"]
    return {name: (answers[:, i, :, 0], answers[:, i, :, 1:]) for i, name in enumerate(names)}


def _forecast_all(histories: Sequence[np.ndarray], days: int, processes: int) -> np.ndarray:
    """Float64 [n, models, days, 1 + levels]."""
    ask = partial(_forecast, days=days)
    if processes == 1:
        return np.array(list(map(ask, histories)))
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return np.array(list(pool.map(ask, histories, chunksize=4)))


def _list_models() -> list[tuple[str, Any]]:
    from statsforecast import models  # compiles for seconds when it is first used

    return [
        ("AutoETS", models.AutoETS(_WEEK)),
        ("AutoARIMA", models.AutoARIMA(season_length=_WEEK, approximation=True)),
        ("AutoTheta", models.AutoTheta(_WEEK)),
        ("DynamicOptimizedTheta", models.DynamicOptimizedTheta(_WEEK)),
        ("AutoCES", models.AutoCES(_WEEK)),
        ("MSTL", models.MSTL([_WEEK])),
        ("MSTL, weeks and years", models.MSTL([_WEEK, _YEAR])),
    ]


def _fill(values: np.ndarray) -> np.ndarray:
    weekday = np.arange(len(values)) % _WEEK
    return pd.Series(values).groupby(weekday).ffill().bfill().to_numpy(np.float64)


def _forecast(history: np.ndarray, days: int) -> np.ndarray:
    """Mean and quantiles of each model, float64 [models, days, 1 + levels]."""
    return np.stack([_ask(model, history, days) for _, model in _list_models()])


def _ask(model: Any, history: np.ndarray, days: int) -> np.ndarray:
    try:
        answer = model.forecast(history.copy(), days, level=_INTERVALS)  # some write into their input
    except Exception:  # of NumPy, Numba or their own, where a model cannot be fitted
        from statsforecast.models import SeasonalNaive

        answer = SeasonalNaive(_WEEK).forecast(history, days, level=_INTERVALS)
    low = [answer[f"lo-{interval}"] for interval in _INTERVALS]
    high = [answer[f"hi-{interval}"] for interval in reversed(_INTERVALS)]
    columns = np.stack([answer["mean"], *low, answer["mean"], *high], axis=-1)
    assert columns.shape[-1] == 1 + len(QUANTILE_LEVELS)
    return columns
