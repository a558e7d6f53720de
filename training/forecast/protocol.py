"""The NN5 protocol of the Monash archive: 56 days of 111 series of cash withdrawals from one origin, mean MAE.

Godahewa et al. 2021, arXiv:2105.06643. The archive forecasts the 56 days that follow those of the data pack, so here
the pack's last 56 days take their place, and methods that are in both tables tell how far the two weigh the same.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.forecast.config import CONTEXT, HORIZON
from training.forecast.data import Series
from training.forecast.evaluate import Serve
from training.forecast.levels import MEDIAN
from training.forecast.measures import LAG7, OURS
from training.forecast.statistical import forecast_statistically
from training.recipe.report.markdown import format_rows

SOURCE, DAYS = "nn5_daily", 56
MONASH_MAE = {  # mean MAE in the archive's table, of its own 56 days
    "SES": 6.63,
    "Theta": 3.80,
    "TBATS": 3.70,
    "ETS": 3.72,
    "(DHR-)ARIMA": 4.41,
    "PR": 5.47,
    "CatBoost": 4.22,
    "FFNN": 4.06,
    "DeepAR": 3.94,
    "N-BEATS": 4.92,
    "WaveNet": 3.97,
    "Transformer": 4.16,
}
_THE_SAME = {"AutoETS": "ETS", "AutoTheta": "Theta", "AutoARIMA": "(DHR-)ARIMA"}


def run_protocol(serve: Serve, series: Sequence[Series], cache: Path, processes: int) -> dict[str, float]:
    """Mean absolute error of 56 days from one origin, by method; missing days filled as the archive fills them.

    Args:
        serve: a seven-day model, whose medians become history until all days are forecast.
        series: those of NN5.
    """
    filled = [fill_by_weekday_median(one.values) for one in series]
    histories = [values[:-DAYS] for values in filled]
    actual = np.stack([values[-DAYS:] for values in filled])
    first_day = np.array([one.first_day + len(one.values) - DAYS for one in series], np.int32)
    forecasts: dict[str, np.ndarray] = {OURS: roll(serve, histories, first_day, DAYS)}
    forecasts[LAG7] = np.stack([np.resize(history[-HORIZON:], DAYS) for history in histories])
    forecasts |= {name: mean for name, (mean, _) in forecast_statistically(histories, cache, processes, DAYS).items()}
    return {name: float(np.abs(mean - actual).mean()) for name, mean in forecasts.items()}


def roll(serve: Serve, histories: Sequence[np.ndarray], first_day: np.ndarray, days: int) -> np.ndarray:
    """Forecasts further than a week: each week's medians are the history of the next. float64 [n, days]."""
    known = np.full((len(histories), CONTEXT), np.nan)
    for row, history in zip(known, histories, strict=True):
        kept = history[-CONTEXT:]
        row[CONTEXT - len(kept) :] = kept
    for week in range(0, days, HORIZON):
        inputs = {
            "values": tf.constant(known[:, -CONTEXT:]),
            "first_day": tf.constant((first_day + week).astype(np.int32)),
        }
        median = serve(inputs)["quantiles"].numpy()[..., MEDIAN]
        known = np.concatenate([known, median], axis=1)
    return known[:, CONTEXT : CONTEXT + days]


def fill_by_weekday_median(values: np.ndarray) -> np.ndarray:
    """Missing days get the median of their weekday over the whole series, as the archive did. float64 [days]."""
    weekday = np.arange(len(values)) % HORIZON
    medians = np.array([np.nanmedian(values[weekday == day]) for day in range(HORIZON)])
    return np.where(np.isfinite(values), values, medians[weekday])


def tell_protocol(found: Mapping[str, float]) -> str:
    """A Markdown table of what was found beside what the archive states."""
    rows = []
    for name, mae in sorted(found.items(), key=lambda item: item[1]):
        twin = _THE_SAME.get(name)
        rows.append([name, f"{mae:.3f}", f"{MONASH_MAE[twin]:.2f} ({twin})" if twin else ""])
    others = [item for item in MONASH_MAE.items() if item[0] not in _THE_SAME.values()]
    rows += [[name, "", f"{mae:.2f}"] for name, mae in sorted(others, key=lambda item: item[1])]
    return format_rows(["method", "MAE here", "MAE in the archive"], rows)
