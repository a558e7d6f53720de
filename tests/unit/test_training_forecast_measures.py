"""What is measured of forecasts, by hand and against utilsforecast, and how methods are compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import utilsforecast.losses as reference
from scipy.stats import norm

from training.forecast.comparison import compare, tell_interval
from training.forecast.levels import QUANTILE_LEVELS
from training.forecast.markdown import write_table
from training.forecast.measures import (
    LAG7,
    LAST_VALUE,
    OURS,
    Forecasts,
    Weeks,
    measure,
    measure_calibration,
    measure_days,
    summarize,
)
from training.recipe.report.terms import describe

pytestmark = pytest.mark.filterwarnings("error:.*(empty slice|invalid value|divide by zero|All-NaN)")
LEVELS = np.array(QUANTILE_LEVELS)
NINE = [f"q{level}" for level in QUANTILE_LEVELS if 0.1 <= level <= 0.9]


def make_forecasts(mean: np.ndarray, spread: float | None = None) -> Forecasts:
    """Normal quantiles around the mean; none where there is no spread."""
    quantiles = np.full((*mean.shape, len(LEVELS)), np.nan)
    return Forecasts(mean, quantiles if spread is None else mean[..., None] + spread * norm.ppf(LEVELS))


def make_weeks(n: int = 6, seed: int = 0, source: str = "shop", **others: float) -> Weeks:
    """Weeks around 20 with gaps, two series of one day each; `others` are further methods by their error."""
    rng = np.random.default_rng(seed)
    actual = rng.normal(20, 6, (n, 7))
    forecasts = {
        OURS: make_forecasts(actual + rng.normal(0.5, 2, actual.shape), 2.0),
        LAG7: make_forecasts(actual + rng.normal(0, 4, actual.shape)),
        LAST_VALUE: make_forecasts(actual + rng.normal(0, 6, actual.shape)),
        **{name: make_forecasts(actual + rng.normal(0, e, actual.shape), e) for name, e in others.items()},
    }
    actual[rng.random(actual.shape) < 0.15] = np.nan
    return Weeks(
        source=source,
        series=tuple(f"{source} {i % 2}" for i in range(n)),
        first_day=(18_000 + 7 * (np.arange(n) // 2)).astype(np.int32),
        history=rng.normal(20, 6, (n, 60)),
        actual=actual,
        scales={1: rng.uniform(2, 5, n), 7: rng.uniform(2, 5, n)},
        forecasts=forecasts,
    )


def to_frame(weeks: Weeks, per_week: bool) -> pd.DataFrame:
    """Scored days of ours as utilsforecast wants them; an id for each week, or one for all."""
    week, day = np.nonzero(np.isfinite(weeks.actual))
    ours = weeks.forecasts[OURS]
    frame = pd.DataFrame({"unique_id": week if per_week else 0, "ds": 1000 + 7 * week + day})
    frame["y"], frame["m"] = weeks.actual[week, day], ours.mean[week, day]
    for i, level in enumerate(QUANTILE_LEVELS):
        frame[f"q{level}"] = ours.quantiles[week, day, i]
    for interval, low, high in ((80, "q0.1", "q0.9"), (95, "q0.025", "q0.975")):
        frame[f"m-lo-{interval}"], frame[f"m-hi-{interval}"] = frame[low], frame[high]
    return frame


def test_measures_are_those_of_utilsforecast() -> None:
    weeks = make_weeks()
    frame, ours = to_frame(weeks, per_week=False), measure(weeks, OURS)
    for name in ("rmse", "bias"):
        assert ours[name] == pytest.approx(getattr(reference, name)(frame, ["m"])["m"].item())
    assert ours["smape"] == pytest.approx(200 * reference.smape(frame, ["q0.5"])["q0.5"].item())
    assert ours["mae"] == pytest.approx(reference.mae(frame, ["q0.5"])["q0.5"].item())
    assert ours["mean_mae"] == pytest.approx(reference.mae(frame, ["m"])["m"].item())
    columns = [f"q{level}" for level in QUANTILE_LEVELS]
    assert ours["pinball"] == pytest.approx(reference.mqloss(frame, {"m": columns}, LEVELS)["m"].item())
    nine = np.arange(1, 10) / 10
    assert ours["wql"] == pytest.approx(reference.scaled_crps(frame, {"m": NINE}, nine)["m"].item())
    for interval in (80, 95):
        assert ours[f"coverage_{interval}"] == pytest.approx(reference.coverage(frame, ["m"], interval)["m"].item())
    width = (frame["m-hi-80"] - frame["m-lo-80"]).mean() / frame["y"].abs().mean()
    assert ours["width_80"] == pytest.approx(width)
    shares = [reference.calibration(frame, {"m": column})["m"].item() for column in columns]
    assert measure_calibration(weeks, OURS) == pytest.approx(shares)


def test_scaled_measures_count_weeks_alike() -> None:
    weeks = make_weeks()
    frame = to_frame(weeks, per_week=True)
    for lag in (1, 7):
        steps = np.arange(2 * lag) // lag  # a past whose difference of this lag is the scale
        past = pd.DataFrame(
            {"unique_id": week, "ds": np.arange(2 * lag), "y": scale * steps}
            for week, scale in enumerate(weeks.scales[lag])
        )
        past = past.explode(["ds", "y"]).astype(float)
        expected = reference.mase(frame.astype({"unique_id": float}), ["q0.5"], lag, past)["q0.5"].mean()
        assert measure(weeks, OURS)[f"mase{lag}"] == pytest.approx(expected)
    winkler = reference.winkler_score(frame, ["m"], 95).sort_values("unique_id")["m"].to_numpy()
    assert measure(weeks, OURS)["msis_95"] == pytest.approx((winkler / weeks.scales[7]).mean())


def test_crps_is_the_distance_of_a_sure_forecast_and_that_of_a_normal_distribution() -> None:
    rng = np.random.default_rng(0)
    actual = rng.normal(0, 1, (3000, 7))
    weeks = replace(
        make_weeks(3000),
        actual=actual,
        forecasts={OURS: make_forecasts(0 * actual, 1.0), LAG7: make_forecasts(0 * actual + 3, 0.0)},
    )
    assert measure(weeks, LAG7)["crps"] == pytest.approx(np.abs(actual - 3).mean())
    exact = actual * (2 * norm.cdf(actual) - 1) + 2 * norm.pdf(actual) - 1 / np.sqrt(np.pi)
    assert measure(weeks, OURS)["crps"] == pytest.approx(exact.mean(), rel=0.01)
    assert measure(weeks, OURS)["coverage_80"] == pytest.approx(0.8, abs=0.01)
    assert measure_calibration(weeks, OURS) == pytest.approx(LEVELS, abs=0.01)


def test_missing_days_are_as_if_they_were_not_there() -> None:
    weeks = make_weeks()
    weeks.actual[:, 2] = np.nan
    rest = np.arange(7) != 2
    forecasts = {n: Forecasts(f.mean[:, rest], f.quantiles[:, rest]) for n, f in weeks.forecasts.items()}
    shorter = replace(weeks, actual=weeks.actual[:, rest], forecasts=forecasts)
    assert measure(weeks, OURS) == pytest.approx(measure(shorter, OURS))
    days = measure_days(weeks, OURS)
    assert np.isnan(days["mae"]).tolist() == [False, False, True, False, False, False, False]
    error = np.abs(weeks.forecasts[OURS].point - weeks.actual)
    assert days["mae"][rest] == pytest.approx(np.nanmean(error[:, rest], axis=0))
    weeks.actual[:] = np.nan
    assert np.isnan(list(measure(weeks, OURS).values())).all()


def test_what_is_zero_is_not_divided_by() -> None:
    weeks = make_weeks(2)
    weeks.actual[:] = 0
    flat = replace(weeks, forecasts=dict.fromkeys((OURS, LAG7, LAST_VALUE), make_forecasts(0 * weeks.actual, 0.0)))
    flat.scales[7][:] = 0
    scores = measure(flat, OURS)
    assert (scores["smape"], scores["mae"], scores["coverage_80"]) == (0, 0, 1)
    assert np.isnan([scores["wql"], scores["mase7"], summarize([flat])["shop_mae_to_lag7"]]).all()


def test_a_method_without_intervals_has_no_measures_of_them() -> None:
    scores = measure(make_weeks(), LAG7)
    assert {name for name, value in scores.items() if np.isnan(value)} == {
        *("pinball", "wql", "crps", "coverage_80", "coverage_95", "width_80", "width_95", "msis_95")
    }


def test_the_summary_is_flat() -> None:
    first, second = make_weeks(seed=1, source="a"), make_weeks(seed=2, source="b")
    summary = summarize([first, second])
    assert summary["a_weeks"] == 6
    assert summary["a_wql"] == measure(first, OURS)["wql"]
    assert summary["b_mae_to_lag7"] == pytest.approx(measure(second, OURS)["mae"] / measure(second, LAG7)["mae"])
    ratios = summary["a_mae_to_last_value"] * summary["b_mae_to_last_value"]
    assert summary["mae_to_last_value_geometric_mean"] == pytest.approx(np.sqrt(ratios))
    assert summary["coverage_80_mean"] == pytest.approx((summary["a_coverage_80"] + summary["b_coverage_80"]) / 2)


def test_forecasts_that_do_not_fit_are_refused() -> None:
    weeks = make_weeks()
    odd = weeks.forecasts[LAG7].mean.copy()
    odd[3, 1] = np.nan
    with pytest.raises(
        ValueError, match="weeks of shop, forecasts of lag-7: mean is no number in 1 weeks, the first 3"
    ):
        replace(weeks, forecasts={**weeks.forecasts, LAG7: make_forecasts(odd)})
    with pytest.raises(ValueError, match=r"forecasts of x: shapes are \(\(5, 7\)"):
        replace(weeks, forecasts={"x": make_forecasts(odd[:5])})
    with pytest.raises(ValueError, match=r"differ in length or are empty: \[5, 6\]"):
        replace(weeks, first_day=weeks.first_day[:5])


def test_methods_are_compared_by_geometric_means_and_ranks() -> None:
    sources = [make_weeks(20, 1, "a", AutoETS=2.8, MSTL=3.4), make_weeks(20, 2, "b", AutoETS=2.8, MSTL=3.4)]
    found = compare(sources, draws=500)
    maes = np.array([[measure(weeks, m)["mae"] for weeks in sources] for m in found.methods])
    assert found.ratios == pytest.approx(maes / maes[1])
    assert found.means == pytest.approx(np.sqrt((maes / maes[1]).prod(axis=1)))
    assert found.ours == pytest.approx(found.means[0] / found.means)
    assert found.best_statistical == "AutoETS"
    assert found.ranks.tolist() == [1, 4, 5, 2, 3]
    assert (found.low <= found.ours).all() and (found.ours <= found.high).all()
    assert found.wins[2] == 1
    assert compare(sources, draws=500).low.tolist() == found.low.tolist()
    assert compare([sources[0], make_weeks(source="c")], draws=10).methods == (OURS, LAG7, LAST_VALUE)
    assert compare([make_weeks()], draws=10).best_statistical is None
    with pytest.raises(ValueError, match="no sources"):
        compare([])


def test_what_is_perfect_or_ours_is_compared_too() -> None:
    weeks = make_weeks(AutoETS=2.8)
    perfect = make_forecasts(np.where(np.isnan(weeks.actual), 0, weeks.actual), 1.0)
    mixed = {**weeks.forecasts, f"{OURS} and AutoETS": perfect, "MSTL": weeks.forecasts["AutoETS"]}
    found = compare([replace(weeks, forecasts=mixed)], draws=50)
    assert found.best_statistical == "AutoETS"
    assert found.ranks.tolist() == [2, 5, 6, 3.5, 1, 3.5]
    assert (found.ours[4], found.low[4], found.wins[4]) == (np.inf, np.inf, 0)


def test_the_interval_is_that_of_drawing_first_days_again() -> None:
    weeks = make_weeks(40, AutoETS=2.2)
    found = compare([weeks], draws=4000)
    days, rng = np.unique(weeks.first_day), np.random.default_rng(5)
    errors = [np.nansum(np.abs(weeks.forecasts[m].point - weeks.actual), axis=1) for m in (OURS, "AutoETS")]
    ratios = []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(weeks.first_day == day) for day in rng.choice(days, len(days))])
        ratios.append(errors[0][rows].sum() / errors[1][rows].sum())
    assert [found.low[3], found.high[3]] == pytest.approx(np.quantile(ratios, [0.025, 0.975]), rel=0.02)
    assert found.wins[3] == pytest.approx(np.mean(np.array(ratios) < 1), abs=0.03)


def test_series_of_one_day_move_together() -> None:
    weeks = make_weeks(50)
    together = compare([replace(weeks, first_day=np.full(50, 18_000, np.int32))], draws=50)
    assert together.low == pytest.approx(together.high)


def test_sources_without_a_known_day_change_nothing() -> None:
    known, unknown = make_weeks(source="a"), make_weeks(source="b")
    unknown.actual[:] = np.nan
    both, alone = compare([known, unknown], draws=100), compare([known], draws=100)
    assert both.means == pytest.approx(alone.means)
    assert both.low == pytest.approx(alone.low)
    assert tell_interval(compare([unknown], draws=10), 1) == ("–", "–")


def test_the_table_tells_every_method(tmp_path: Path) -> None:
    sources = [make_weeks(20, 1, "a", AutoETS=2.8), make_weeks(20, 2, "b", AutoETS=2.8)]
    write_table(sources, tmp_path / "table.md", "Backtest", "Weekly.")
    text = (tmp_path / "table.md").read_text()
    assert text.startswith("# Backtest\n\nWeekly.\n")
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert [len(table) for table in tables] == [2 + 4, 2 + 2, 2 + 4]
    assert all(line.count("|") == table[0].count("|") for table in tables for line in table)
    ours = compare(sources)
    assert f"| {OURS} | **{ours.ratios[0, 0]:.3f}** | **{ours.ratios[0, 1]:.3f}** | **{ours.means[0]:.3f}** |" in text
    assert f"{ours.ours[3]:.3f} ({ours.low[3]:.3f} to {ours.high[3]:.3f})" in text
    assert f"| b | 20 | {describe('mae').write(measure(sources[1], OURS)['mae'])} |" in text
    assert "nan" not in text


def test_terms_of_forecasts() -> None:
    assert describe("cta_rail_mae_to_lag7").title == "MAE to lag-7, cta_rail"
    assert describe("a_mean_mae").title == "MAE of the mean, a"
    assert describe("mae_to_lag7_geometric_mean").title == "MAE to lag-7, geometric mean"
    assert describe("coverage_80_mean").write(0.801) == "80.1%"
    assert describe("a_mae").judge(1.0, 2.0) == "▲ better"
    assert [describe("mae").write(value) for value in (1.23456, -43_915.6, 2e12)] == ["1.235", "-43,916", "2e+12"]
    assert describe("something_else").title == "something_else"
