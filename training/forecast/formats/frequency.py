"""How often a series has a value. The forecaster wants one per day: everything else is refused in words."""

import numpy as np

from training.recipe.errors import DataError

_FEWEST_STEPS = 2
_SHARE = 0.8  # so many of the steps have to be alike
_STEPS = (  # days from one value to the next, moved holidays and months of all lengths included
    (6, 8, "weekly"),
    (13, 15, "fortnightly"),
    (26, 35, "monthly"),
    (84, 98, "quarterly"),
    (350, 380, "yearly"),
)
_EVERY_FEW_DAYS = range(2, 6)
_FEWEST_FEW_DAYS = 15  # fewer equal steps may be chance in a series with gaps


def refuse_clock(times: np.ndarray, place: str) -> None:
    """Refuses times of day that differ: values of hours, or days that begin at different times.

    Args:
        times: datetime64[s] [rows], in any order.
        place: what the message begins with.

    Raises:
        DataError: they differ.
    """
    clock = times - times.astype("datetime64[D]")
    if (clock == clock[0]).all():
        return
    ordered = np.unique(times)
    step_s = np.median(np.diff(ordered).astype(np.int64))
    seen = f"{_write(ordered[0])} and {_write(ordered[1])}"
    if step_s < 23 * 3600:
        every = f"{step_s / 3600:.3g} hours" if step_s >= 3600 else f"{step_s / 60:.3g} minutes"
        raise DataError(
            f"{place}: a value about every {every} ({seen}); expected one per day: sum or average those of a day first"
        )
    other = times[clock != clock[0]][0]
    raise DataError(
        f"{place}: the times of day differ ({_write(times[0])} and {_write(other)}); "
        "expected one value per day, at the same time of the local clock: write dates only"
    )


def refuse_steps(days: np.ndarray, place: str) -> None:
    """Refuses weekly values and longer steps. Business days and irregular gaps are daily values with gaps.

    Args:
        days: int64 [n], those with a value, ascending and each once.
        place: what the message begins with.

    Raises:
        DataError: most of the steps are those of another frequency.
    """
    steps = np.diff(days)
    if len(steps) < _FEWEST_STEPS:
        return
    for low, high, name in _STEPS:
        if ((steps >= low) & (steps <= high)).mean() >= _SHARE:
            raise DataError(
                f"{place}: a value about every {np.median(steps):.0f} days, so it is {name}; "
                "expected daily values, which cannot be made from these"
            )
    typical = int(np.median(steps))
    if typical in _EVERY_FEW_DAYS and len(steps) >= _FEWEST_FEW_DAYS and (steps == typical).mean() >= _SHARE:
        raise DataError(f"{place}: a value every {typical} days; expected daily values, gaps apart")


def _write(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ")
