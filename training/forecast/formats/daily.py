"""One daily series as every reader hands it over: sorted, each day once, gaps explicit."""

from dataclasses import dataclass

import numpy as np

from training.forecast.formats.frequency import refuse_clock, refuse_steps
from training.recipe.errors import DataError

_MOST_DAYS = 36_525  # 100 years
_FIRST, _AFTER_LAST = np.datetime64("1800-01-01"), np.datetime64("2200-01-01")


@dataclass(frozen=True)
class Daily:
    """A daily series.

    Attributes:
        name: within its file.
        first_day: of `values`, since 1970-01-01.
        values: float64 [days], NaN where missing; the first and the last are observed.
    """

    name: str
    first_day: int
    values: np.ndarray


def to_daily(name: str, days: np.ndarray, values: np.ndarray, where: str) -> Daily:
    """Makes a series of rows in any order, in which rows may be missing or repeated.

    A time of day is dropped if all rows have the same. Missing values at both ends are dropped, too.

    Args:
        name: of the series.
        days: datetime64 [rows] on the wall clock, or integers [rows] since 1970-01-01.
        values: float64 [rows], NaN where missing.
        where: the file, for messages.

    Raises:
        DataError: the values are not daily, are all missing, infinite, or differ for one day, or a date is far off.
    """
    place = f"{where}, series '{name}'"
    observed = ~np.isnan(values)
    if not observed.any():
        raise DataError(f"{place}: has no value; expected at least one")
    unit = "datetime64[s]" if days.dtype.kind == "M" else "datetime64[D]"
    times, values = days[observed].astype(unit), values[observed].astype(np.float64)
    _refuse_values(times, values, place)
    refuse_clock(times, place)
    days, values = _order(times.astype("datetime64[D]").astype(np.int64), values, place)
    _refuse_length(days, place)
    refuse_steps(days, place)
    filled = np.full(days[-1] - days[0] + 1, np.nan)
    filled[days - days[0]] = values
    return Daily(name, int(days[0]), filled)


def _refuse_values(times: np.ndarray, values: np.ndarray, place: str) -> None:
    if np.isinf(values).any():
        at = int(np.flatnonzero(np.isinf(values))[0])
        raise DataError(f"{place}: the value of {_write(times[at])} is {values[at]}; expected finite values")
    far = (times < _FIRST) | (times >= _AFTER_LAST)
    if far.any():
        raise DataError(
            f"{place}: the date {_write(times[far][0])}; expected {_FIRST} to {_AFTER_LAST - np.timedelta64(1)}"
        )


def _order(days: np.ndarray, values: np.ndarray, place: str) -> tuple[np.ndarray, np.ndarray]:
    """Days ascending, each once."""
    order = np.argsort(days, kind="stable")
    days, values = days[order], values[order]
    repeats = np.flatnonzero(days[1:] == days[:-1])
    differ = repeats[values[repeats] != values[repeats + 1]]
    if len(differ):
        first, second = values[differ[0]], values[differ[0] + 1]
        raise DataError(
            f"{place}: two values for {_day(days[differ[0]])}, {first:.10g} and {second:.10g}; "
            "expected one. If the file has several series, name the column that tells them apart"
        )
    once = np.concatenate([[True], days[1:] != days[:-1]])
    return days[once], values[once]


def _refuse_length(days: np.ndarray, place: str) -> None:
    length = days[-1] - days[0] + 1
    if length > _MOST_DAYS:
        middle = np.median(days)
        far = days[-1] if days[-1] - middle > middle - days[0] else days[0]
        raise DataError(
            f"{place}: {length:,} days from {_day(days[0])} to {_day(days[-1])}; "
            f"expected {_MOST_DAYS:,} at most. Is {_day(far)} right?"
        )


def _day(day: int) -> str:
    return str(np.datetime64(int(day), "D"))


def _write(time: np.datetime64) -> str:
    return str(time.astype("datetime64[D]"))
