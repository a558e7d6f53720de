from datetime import date

import numpy as np
import pytest

from services.forecast.transforms import (
    DailySeries,
    WindowOptions,
    forecast_dates,
    interpolate_quantiles,
    to_windows,
)
from services.runtime.errors import InvalidInput

OPTIONS = WindowOptions(context=14, horizon=7, quantile_levels=(0.1, 0.5, 0.9), min_observed=8)


def test_windows_are_right_aligned_and_dated():
    short, long = (
        DailySeries(date(1970, 1, 1), np.arange(10.0)),
        DailySeries(date(2020, 2, 25), np.arange(30.0)),
    )
    windows = to_windows([short, long], OPTIONS)
    assert np.isnan(windows["values"][0, :4]).all()
    assert windows["values"][0, 4:].tolist() == list(range(10))
    assert windows["values"][1].tolist() == list(range(16, 30))
    assert windows["first_day"].tolist() == [10, (date(2020, 3, 26) - date(1970, 1, 1)).days]


def test_values_before_the_context_do_not_count():
    values = np.append(np.ones(100), np.full(10, np.nan))
    with pytest.raises(InvalidInput, match="4 values in the last 14 days; at least 8"):
        to_windows([DailySeries(date(2020, 1, 1), values)], OPTIONS)


def test_infinite_values_are_refused():
    with pytest.raises(InvalidInput, match=r"series\[0\].values: a value is infinite"):
        to_windows([DailySeries(date(2020, 1, 1), np.append(np.ones(9), np.inf))], OPTIONS)


def test_quantiles_between_known_levels_are_interpolated():
    known = np.array([[[1.0, 2.0, 4.0]]])
    wanted = interpolate_quantiles(known, OPTIONS.quantile_levels, [0.1, 0.3, 0.5, 0.7, 0.9])
    assert np.allclose(wanted, [[[1.0, 1.5, 2.0, 3.0, 4.0]]])


def test_quantiles_outside_of_the_known_levels_are_refused():
    with pytest.raises(InvalidInput, match=r"quantiles\[1\]: 0.95 is outside of \[0.1, 0.9\]"):
        interpolate_quantiles(np.zeros((1, 7, 3)), OPTIONS.quantile_levels, [0.5, 0.95])


def test_dates_follow_the_last_value_over_a_leap_day():
    series = DailySeries(date(2020, 2, 20), np.zeros(8))
    assert forecast_dates(series, 3) == ["2020-02-28", "2020-02-29", "2020-03-01"]
