"""What a forecaster is compared with, and what makes its comparison fair: splits, calibration, the NN5 protocol."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from training.forecast import statistical
from training.forecast.backtest import add_statistical, find_kin
from training.forecast.calibration import UNCALIBRATED, fit_factors
from training.forecast.candidates import LEVEL_HALF_LIVES_DAYS, PROFILE_HALF_LIVES_WEEKS, list_classics
from training.forecast.config import CONTEXT, HORIZON, PRESETS, QUANTILE_LEVELS
from training.forecast.data import EPOCH, Series, fill_pool, judged_windows, open_series, watched_windows
from training.forecast.evaluate import judge
from training.forecast.formats.columns import Columns
from training.forecast.levels import MEDIAN
from training.forecast.measures import LAG7, LAST_VALUE, OURS, WEEKDAY_MEAN, summarize
from training.forecast.models.forecaster import widen
from training.forecast.naive import forecast_naively
from training.forecast.protocol import MONASH_MAE, fill_by_weekday_median, roll, tell_protocol
from training.forecast.statistical import forecast_statistically
from training.forecast.window import open_window
from training.recipe.config import override

WEEK = np.array([100.0, 110.0, 120.0, 115.0, 130.0, 60.0, 50.0])
FIRST_DAY = (date(2019, 1, 7) - EPOCH).days  # a Monday


def make_series(name: str, days: int, source: str = "shop") -> Series:
    rng = np.random.default_rng(len(name))
    values = np.resize(WEEK, days) + rng.normal(0, 5, days)
    return Series(name, source, FIRST_DAY, values, watched=days - 28, judged=days - 14)


def answer_lag7(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """A model that knows the same weekday of last week, and nothing of its own errors."""
    week = inputs["values"][:, -HORIZON:]
    return {"mean": week, "quantiles": tf.repeat(week[..., None], len(QUANTILE_LEVELS), axis=-1)}


def test_naive_forecasts_look_past_gaps() -> None:
    history = np.full((1, CONTEXT), np.nan)
    history[0, -14:] = np.arange(14)
    history[0, -1] = np.nan
    found = forecast_naively(history)
    assert found[LAG7].mean[0].tolist() == [7, 8, 9, 10, 11, 12, 6]
    assert found[LAST_VALUE].mean[0].tolist() == [12] * HORIZON
    assert found[WEEKDAY_MEAN].mean[0].tolist() == [3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 6]
    assert not found[LAG7].has_intervals


def test_a_weekday_that_was_never_seen_gets_the_last_value() -> None:
    history = np.full((1, CONTEXT), np.nan)
    history[0, -3:] = [5.0, 6.0, 7.0]
    assert forecast_naively(history)[LAG7].mean[0].tolist() == [7, 7, 7, 7, 5, 6, 7]


def test_series_that_are_not_known_are_split_by_their_length(tmp_path: Path) -> None:
    rows = [f"{date(2020, 1, 1) + timedelta(days=i)},{i % 7}" for i in range(1000)]
    (tmp_path / "sales.csv").write_text("ds,y\n" + "\n".join(rows))
    (series,) = open_series(tmp_path / "sales.csv", Columns())
    assert (series.name, series.source, series.judged, series.watched) == ("sales", "sales", 1000 - 119, 881 - 70)
    judged, watched = judged_windows([series]), watched_windows([series])
    assert len(judged[0]) == 17 and len(watched[0]) == 10
    assert watched[1].max() + HORIZON <= judged[1].min()


def test_what_is_known_of_the_pack_decides_its_split(shared_data: Path) -> None:
    series = {one.name: one for one in open_series(shared_data, Columns())}
    assert len(series) == 8 + 111
    rail = series["cta_rail"]
    assert rail.judged_from == date(2019, 3, 1)
    assert len(judged_windows([rail])[0]) == 13
    assert len(judged_windows([series["NN5-001"]])[0]) == 8
    (_, first_day, _) = fill_pool(override(PRESETS["smoke"], ["synthetic_windows=10"]), [rail])[1]
    assert first_day.max() + HORIZON <= rail.first_day + rail.watched


def test_sources_that_are_left_out_are_not_learned_from() -> None:
    config = override(PRESETS["smoke"], ["synthetic_windows=50", 'left_out=["other"]'])
    series = [make_series("a", 300), make_series("b", 300), make_series("c", 900, "other")]
    pool = fill_pool(config, series)
    assert len(pool) == 3
    assert sum(chance for _, _, chance in pool) == pytest.approx(1)
    large = fill_pool(override(config, ["left_out=[]"]), series)
    windows = [len(values) for values, _, _ in large]
    share = large[3][2] / (large[1][2] + large[2][2])
    assert share == pytest.approx((windows[3] / (windows[1] + windows[2])) ** 0.75)


def test_a_model_is_judged_beside_the_naive_forecasts() -> None:
    series = [make_series("a", 400), make_series("bb", 300)]
    (weeks,) = judge(answer_lag7, series)
    assert weeks.series == ("a", "a", "bb", "bb")
    np.testing.assert_array_equal(weeks.forecasts[OURS].mean, weeks.forecasts[LAG7].mean)
    past = series[0].values[: series[0].judged]
    assert weeks.scales[7][0] == pytest.approx(np.abs(past[7:] - past[:-7]).mean())
    assert summarize([weeks])["shop_mae_to_lag7"] == pytest.approx(1)


class Scribbler:
    """Overwrites what it is given, as AutoCES does."""

    def forecast(self, y: np.ndarray, h: int, level: list[int]) -> dict[str, np.ndarray]:
        y[:] = 0
        return {"mean": y[:h]} | {f"{end}-{n}": y[:h] for end in ("lo", "hi") for n in level}


def test_statistical_models_are_fitted_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = statistical._list_models()
    assert [name for name, _ in models[:5]] == ["AutoETS", "AutoARIMA", "AutoTheta", "DynamicOptimizedTheta", "AutoCES"]
    some = [("scribbler", Scribbler()), models[3]]  # the others compile for half a minute
    monkeypatch.setattr(statistical, "_list_models", lambda: some)
    gappy = make_series("a", 120).values
    gappy[50:60] = np.nan
    histories = [gappy, np.full(60, 3.0)]
    found = forecast_statistically(histories, tmp_path)
    mean, quantiles = found["DynamicOptimizedTheta"]
    assert np.abs(mean[0] - np.roll(WEEK, -(120 % 7))).max() < 25
    np.testing.assert_allclose(mean[1], 3, atol=1e-6)
    assert (np.diff(quantiles[0], axis=-1) >= 0).all()
    (kept,) = tmp_path.iterdir()
    written = kept.stat().st_mtime_ns
    again = forecast_statistically(histories, tmp_path)
    np.testing.assert_array_equal(again["DynamicOptimizedTheta"][0], mean)
    assert kept.stat().st_mtime_ns == written
    assert forecast_statistically(histories, tmp_path, days=14)["DynamicOptimizedTheta"][0].shape == (2, 14)


def test_statistical_forecasts_are_of_the_same_weeks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from statsforecast.models import SeasonalNaive

    monkeypatch.setattr(statistical, "_list_models", lambda: [("theirs", SeasonalNaive(7))])
    series = [make_series("a", 400), make_series("bb", 300), make_series("ccc", 250, "other")]
    for weeks in judge(answer_lag7, series):
        both = add_statistical(weeks, series, tmp_path, 1).forecasts
        np.testing.assert_allclose(both["theirs"].mean, both[LAG7].mean)
        assert next(iter(both)) == OURS and both["theirs"].has_intervals


def test_kin_of_a_source_are_left_out_with_it() -> None:
    series = [make_series("a", 300, "cta_rail"), make_series("b", 300, "cta_bus"), make_series("c", 300, "mine")]
    assert find_kin("cta_bus", series) == ("cta_rail", "cta_bus")
    assert find_kin("mine", series) == ("mine",)


def make_quantiles(spread: float, weeks: int) -> np.ndarray:
    from scipy.stats import norm

    return np.broadcast_to(spread * norm.ppf(QUANTILE_LEVELS), (weeks, HORIZON, len(QUANTILE_LEVELS)))


def test_factors_mend_intervals_that_are_too_narrow() -> None:
    rng = np.random.default_rng(0)
    actual = rng.normal(0, 2, (2000, HORIZON))
    quantiles = make_quantiles(1.0, 2000)
    factors = fit_factors(actual, quantiles, ["a"] * 2000)
    assert factors[MEDIAN] == 1
    np.testing.assert_allclose(np.delete(factors, MEDIAN), 2, atol=0.35)
    low, high = factors[0] * quantiles[..., 0], factors[-1] * quantiles[..., -1]
    assert ((actual >= low) & (actual <= high)).mean() == pytest.approx(0.95, abs=0.005)


def test_each_source_counts_the_same_in_calibration() -> None:
    rng = np.random.default_rng(0)
    actual = np.concatenate([rng.normal(0, 1, (1000, HORIZON)), rng.normal(0, 3, (100, HORIZON))])
    quantiles = make_quantiles(1.0, 1100)
    alike = fit_factors(actual, quantiles, ["a"] * 1000 + ["b"] * 100)
    drowned = fit_factors(actual, quantiles, ["a"] * 1100)
    assert alike[-1] > 1.5 * drowned[-1] > 1


def test_with_few_days_nothing_is_calibrated() -> None:
    assert fit_factors(np.zeros((20, HORIZON)), make_quantiles(1.0, 20), ["a"] * 20) == UNCALIBRATED


def test_widened_quantiles_do_not_cross() -> None:
    quantiles = tf.constant(make_quantiles(1.0, 3) + 5)
    factors = np.random.default_rng(1).uniform(0.2, 5, len(QUANTILE_LEVELS))
    widened = widen(quantiles, factors).numpy()
    assert (np.diff(widened, axis=-1) >= 0).all()
    np.testing.assert_allclose(widened[..., MEDIAN], 5)
    np.testing.assert_allclose(widen(quantiles, UNCALIBRATED), quantiles)


def test_smoothing_is_exponential() -> None:
    rng = np.random.default_rng(2)
    z = tf.constant(rng.normal(size=(1, CONTEXT)))
    observed = tf.ones([1, CONTEXT], tf.bool)
    profile = tf.zeros([1, 7], tf.float64)
    classics = list_classics(z, z, z, observed, profile).numpy()[0]
    x = z.numpy()[0, -112:]
    weeks = x.reshape(-1, 7)
    rate = 0.5 ** (np.arange(16)[::-1] / PROFILE_HALF_LIVES_WEEKS[0])
    shape = (rate[:, None] * weeks).sum(0) / rate.sum()
    fading = 0.5 ** (np.arange(112)[::-1] / LEVEL_HALF_LIVES_DAYS[1])
    level = (fading * (x - np.tile(shape, 16))).sum() / fading.sum()
    np.testing.assert_allclose(classics[:, 9], shape + level)


@pytest.mark.parametrize("normalization", ["robust", "mean_std", "last"])
@pytest.mark.parametrize("transform", ["none", "log1p"])
def test_every_window_is_restored_whatever_its_scale(normalization: str, transform: str) -> None:
    values = np.abs(np.random.default_rng(3).normal(50, 20, (6, CONTEXT)))
    values *= np.array([1e-9, 1, 1e3, 1e12, 1, 0])[:, None]
    values[4] -= 200  # negative: no logarithm of it is taken
    window = open_window(tf.constant(values), normalization, transform)
    assert window.logarithmic.numpy()[:, 0].tolist() == [transform == "log1p"] * 4 + [False, False]
    restored = window.restore(window.normalise(tf.constant(values[:, :HORIZON]))).numpy()
    np.testing.assert_allclose(restored, values[:, :HORIZON], rtol=1e-9)


def test_scaling_a_series_changes_no_logarithmic_window() -> None:
    values = np.abs(np.random.default_rng(3).normal(50, 20, (1, CONTEXT)))
    one, other = (open_window(tf.constant(a * values), "robust", "log1p").z for a in (1.0, 1e6))
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_week_is_rolled_on_by_its_own_medians() -> None:
    history = np.resize(WEEK, 70)
    rolled = roll(answer_lag7, [history, 2 * history], np.array([FIRST_DAY + 70] * 2, np.int32), 21)
    np.testing.assert_array_equal(rolled, [np.tile(WEEK, 3), np.tile(2 * WEEK, 3)])


def test_missing_days_are_filled_by_the_median_of_their_weekday() -> None:
    values = np.concatenate([WEEK, WEEK + 10, WEEK + 20])
    values[8] = np.nan
    assert fill_by_weekday_median(values)[8] == WEEK[1] + 10


def test_the_protocol_is_told_beside_the_archive() -> None:
    table = tell_protocol({OURS: 3.5, "AutoETS": 3.6})
    assert "| seqserve | 3.500 |  |\n| AutoETS | 3.600 | 3.72 (ETS) |" in table
    assert all(f"{mae:.2f}" in table for mae in MONASH_MAE.values() if mae not in (3.80, 4.41))
