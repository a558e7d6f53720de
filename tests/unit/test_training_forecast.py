"""The daily forecaster: its calendar, its scale, its data, the bundled model and the whole recipe."""

import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.forecast.calendar import find_same_date_lag, split_day
from training.forecast.config import CONTEXT, HORIZON, PRESETS, QUANTILE_LEVELS
from training.forecast.data import (
    EPOCH,
    VALIDATION_DAYS,
    Series,
    cut_windows,
    fill_pool,
    load_series,
    rolling_origins,
    sample_batches,
    training_pool,
)
from training.forecast.evaluate import evaluate, naive_forecasts, score_windows
from training.forecast.export import export
from training.forecast.model import HoistedGRU, mean_weights
from training.forecast.synthetic import generate_windows
from training.forecast.train import fit_run, load_model, pinball_loss, train
from training.forecast.window import last_observed, masked_median, open_window
from training.recipe.config import override
from training.recipe.errors import ConfigError, PublicationError
from training.recipe.run import Run, start_run

Forecast = Callable[..., dict[str, np.ndarray]]
TINY = override(
    PRESETS["smoke"],
    [
        "units=8",
        "jit=false",
        "optimisation.epochs=3",
        "optimisation.batch_size=32",
        "optimisation.ema_momentum=0.9",
        "steps_per_epoch=5",
        "synthetic_windows=300",
        "served_batches=[1]",
        "measure_rounds=1",
    ],
)
FIRST_DAY = 18_000
WEEK = np.array([100.0, 110.0, 120.0, 115.0, 130.0, 60.0, 50.0])


@pytest.fixture(scope="module")
def bundled(models_dir: Path) -> Path:
    folder = models_dir / "forecast" / "1"
    if not folder.is_dir():
        pytest.skip("needs models/forecast/1; run `seqserve train forecast --preset bundled`")
    return folder


@pytest.fixture(scope="module")
def forecast(bundled: Path) -> Forecast:
    """The served signature, on lists of histories of any length."""
    signature = tf.saved_model.load(str(bundled)).signatures["serving_default"]

    def call(*histories: np.ndarray, first_day: int = FIRST_DAY) -> dict[str, np.ndarray]:
        values = np.full((len(histories), CONTEXT), np.nan)
        for row, history in zip(values, histories, strict=True):
            row[CONTEXT - len(history) :] = history
        days = np.full(len(histories), first_day, np.int32)
        return {n: t.numpy() for n, t in signature(values=tf.constant(values), first_day=tf.constant(days)).items()}

    return call


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An unbroken run on synthetic series."""
    run = start_run("forecast", TINY, None, tmp_path_factory.mktemp("runs"))
    train(TINY, None, run)
    return run


def real(shared_data: Path) -> list[Series]:
    return load_series(shared_data / "series")


def test_calendar_is_pythons() -> None:
    days = np.concatenate([np.arange(-30_000, 40_000, 13), np.arange(10_950, 11_350)])
    month, day_of_month, weekday = (t.numpy() for t in split_day(tf.constant(days, tf.int32)))
    dates = [EPOCH + timedelta(days=int(d)) for d in days]
    assert month.tolist() == [d.month for d in dates]
    assert day_of_month.tolist() == [d.day for d in dates]
    assert weekday.tolist() == [d.weekday() for d in dates]


@pytest.mark.parametrize(
    ("day", "lag"),
    [
        (date(2019, 12, 25), 365),
        (date(2020, 2, 28), 365),
        (date(2020, 12, 25), 366),
        (date(2021, 2, 1), 366),
        (date(2021, 3, 1), 365),
    ],
)
def test_same_date_of_last_year(day: date, lag: int) -> None:
    assert day - timedelta(days=lag) == day.replace(year=day.year - 1)
    assert int(find_same_date_lag(tf.constant((day - EPOCH).days))) == lag


def test_masked_statistics_ignore_what_is_missing() -> None:
    x = tf.constant([[5.0, 1.0, 9.0, 2.0], [5.0, 1.0, 9.0, 2.0]], tf.float64)
    mask = tf.constant([[True, True, False, True], [False] * 4])
    assert masked_median(x, mask, -1.0).numpy().tolist() == [2.0, -1.0]
    assert last_observed(x, tf.constant([[True, True, False, False], [False] * 4]), 7.0).numpy().tolist() == [
        1,
        7,
    ]


def test_window_is_restored() -> None:
    values, _ = generate_windows(50, seed=3)
    window = open_window(tf.constant(values[:, :CONTEXT]))
    future = tf.constant(values[:, CONTEXT:])
    restored = window.restore(window.normalise(future)).numpy()
    np.testing.assert_allclose(restored, future.numpy(), rtol=1e-9, atol=1e-9 * np.abs(values).max())


def test_mean_weights_are_a_distribution() -> None:
    weights = np.array(mean_weights())
    assert weights.sum() == pytest.approx(1)
    assert weights.min() > 0
    assert weights @ np.array(QUANTILE_LEVELS) == pytest.approx(0.5)


def test_pinball_loss_by_hand() -> None:
    quantiles = np.zeros((1, 2, HORIZON, len(QUANTILE_LEVELS)), np.float32)
    over = pinball_loss(tf.fill([1, HORIZON], 2.0), tf.constant(quantiles)).numpy()
    np.testing.assert_allclose(over, 2 * np.mean(QUANTILE_LEVELS), rtol=1e-6)


def test_hoisted_gru_equals_that_of_keras() -> None:
    ours, theirs = HoistedGRU(8), keras.layers.GRU(8)
    x = tf.random.stateless_normal((3, 5, 4), seed=(1, 2))
    ours(x), theirs(x)
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=w.shape) for w in theirs.get_weights()]
    ours.set_weights(weights), theirs.set_weights(weights)
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


def test_real_series_are_daily_and_complete(shared_data: Path) -> None:
    series = {s.name: s for s in real(shared_data)}
    assert len(series) == 8 + 111
    rail = series["cta_rail"]
    assert EPOCH + timedelta(days=rail.first_day) == date(2001, 1, 1)
    assert (len(rail.values), rail.values[0], np.isnan(rail.values).sum()) == (6725, 126455, 0)
    assert np.isnan(series["wiki_log_pageviews_peyton_manning"].values).sum() == 57
    assert len(series["NN5-001"].values) == 735


def test_training_ends_before_validation_and_evaluation(shared_data: Path) -> None:
    rail = next(s for s in real(shared_data) if s.name == "cta_rail")
    ((_, first_day, _),) = training_pool([rail])
    last_target = EPOCH + timedelta(days=int(first_day.max()) + HORIZON - 1)
    assert last_target == date(2018, 12, 31)
    assert last_target + timedelta(days=1 + VALIDATION_DAYS) == rail.source.evaluated_from
    origins = rolling_origins(rail, rail.source.evaluated_from)
    values, first_day = cut_windows(rail, origins)
    assert EPOCH + timedelta(days=int(first_day[0])) == date(2019, 3, 1)
    np.testing.assert_array_equal(values[0, CONTEXT:], rail.values[origins[0] : origins[0] + HORIZON])


def test_series_kept_for_zero_shot_are_not_trained_on(shared_data: Path) -> None:
    kept = [s for s in real(shared_data) if s.name in {"seattle_temp_max", "bike_sharing_cnt"}]
    assert len(kept) == 2
    assert training_pool(kept) == []


def test_batches_are_spoiled_but_still_answerable() -> None:
    config = override(PRESETS["smoke"], ["synthetic_windows=500"])
    values, first_day = next(sample_batches(config, fill_pool(config, []), 0))
    assert values.shape == (config.optimisation.batch_size, CONTEXT + HORIZON)
    assert first_day.dtype == np.int32
    observed = np.isfinite(values[:, :CONTEXT]).sum(axis=1)
    assert observed.min() >= 8
    assert observed.min() < CONTEXT
    assert np.isfinite(values[:, CONTEXT:]).all()


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    pool = fill_pool(TINY, [])
    first, again, next_epoch = (list(sample_batches(TINY, pool, epoch)) for epoch in (3, 3, 4))
    assert len(first) == TINY.steps_per_epoch
    for (values, first_day), (same, same_day) in zip(first, again, strict=True):
        np.testing.assert_array_equal(values, same)
        np.testing.assert_array_equal(first_day, same_day)
    assert not np.array_equal(first[0][1], next_epoch[0][1])


def test_real_series_fill_their_share_of_a_batch(shared_data: Path) -> None:
    series = [s for s in real(shared_data) if s.source.file in {"cta_rail", "nn5_daily"}]
    chances = [chance for _, _, chance in fill_pool(TINY, series)]
    assert len(chances) == 1 + 1 + 111
    assert chances[:2] == pytest.approx([0.3, 0.7 / 3])
    assert sum(chances) == pytest.approx(1)


@pytest.mark.parametrize(
    "assignment", ["optimisation.label_smoothing=0.1", "optimisation.precision=mixed_bfloat16", "synthetic_share=1.5"]
)
def test_what_the_forecaster_cannot_do_is_refused(assignment: str) -> None:
    name = assignment.partition("=")[0]
    with pytest.raises(ConfigError, match=name):
        override(TINY, [assignment])


def test_naive_forecasts_look_past_gaps() -> None:
    context = np.full((1, CONTEXT), np.nan)
    context[0, -14:] = np.arange(14)
    context[0, -1] = np.nan
    lag7, last = naive_forecasts(context)
    assert lag7[0].tolist() == [7, 8, 9, 10, 11, 12, 6]
    assert last[0].tolist() == [12] * HORIZON


def test_scores_of_a_perfect_forecast() -> None:
    values, first_day = generate_windows(20, seed=5)
    future = values[:, CONTEXT:]
    quantiles = np.repeat(future[..., None], len(QUANTILE_LEVELS), axis=-1)
    score = score_windows(
        lambda _: {"mean": tf.constant(future), "quantiles": tf.constant(quantiles)}, (values, first_day)
    )
    assert (score["mae"], score["smape"], score["coverage_80"]) == (0, 0, 1)


def odd_histories() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "constant": np.full(CONTEXT, 42.0),
        "zero": np.zeros(100),
        "huge": 1e12 + 1e10 * rng.normal(size=CONTEXT),
        "near overflow": 1e300 * (1 + rng.random(100)),
        "negative": -50 + 5 * rng.normal(size=200),
        "intermittent": (rng.random(CONTEXT) < 0.05) * rng.integers(1, 9, CONTEXT),
        "tiny": 1e-9 * np.tile(WEEK, 20),
        "eight days": 10 + rng.normal(size=8),
        "eight days, a year ago": np.r_[10 + rng.normal(size=8), np.full(CONTEXT - 8, np.nan)],
        "last month missing": np.r_[np.tile(WEEK, 30), np.full(30, np.nan)],
        "one glitch": np.r_[rng.normal(10, 1, 100), 1e9, rng.normal(10, 1, 20)],
    }


@pytest.mark.parametrize("name", odd_histories())
def test_odd_series_get_sane_forecasts(forecast: Forecast, name: str) -> None:
    history = odd_histories()[name]
    answer = forecast(history)
    mean, quantiles = answer["mean"], answer["quantiles"]
    assert np.isfinite(mean).all() and np.isfinite(quantiles).all()
    assert (np.diff(quantiles) >= 0).all()
    assert ((mean >= quantiles[..., 0]) & (mean <= quantiles[..., -1])).all()
    seen = history[np.isfinite(history)]
    low, high = np.quantile(seen, [0, 0.99] if name == "one glitch" else [0, 1])
    slack = high - low
    assert (mean >= low - slack).all() and (mean <= high + slack).all()


def test_constant_series_stays_constant(forecast: Forecast) -> None:
    for value in (0.0, 42.0, -3.7, 1e12, 1e-9):
        answer = forecast(np.full(60, value))
        np.testing.assert_allclose(answer["mean"], value, rtol=1e-9)
        np.testing.assert_allclose(answer["quantiles"], value, rtol=1e-9)


def test_weekly_pattern_is_continued_over_a_gap(forecast: Forecast) -> None:
    history = np.r_[np.tile(WEEK, 30), np.full(3, np.nan)]
    np.testing.assert_allclose(forecast(history)["mean"][0], np.roll(WEEK, -3), rtol=0.1)


def test_no_negative_forecast_without_negative_values(forecast: Forecast) -> None:
    history = np.maximum(np.random.default_rng(1).normal(1, 3, 200), 0)
    assert forecast(history)["quantiles"].min() >= 0
    assert forecast(history - 1e-6)["quantiles"].min() < 0


@pytest.mark.parametrize(("a", "b"), [(1000.0, 0.0), (1e-3, 5.0), (2.5, 1e4)])
def test_forecast_moves_with_the_series(forecast: Forecast, a: float, b: float) -> None:
    history = 500 + np.tile(WEEK, 40) + np.random.default_rng(2).normal(0, 20, 280)
    plain, moved = forecast(history), forecast(a * history + b)
    for name in ("mean", "quantiles"):
        np.testing.assert_allclose(moved[name], a * plain[name] + b, atol=a * history.std() * 1e-3)


def test_batched_is_unbatched(forecast: Forecast) -> None:
    histories = list(odd_histories().values())
    together = forecast(*histories)
    for row, history in enumerate(histories):
        alone = forecast(history)
        size = np.nanmax(np.abs(history)) + 1e-300
        for name in ("mean", "quantiles"):
            np.testing.assert_allclose(together[name][row] / size, alone[name][0] / size, atol=1e-5)


def test_bundled_beats_last_week_on_cta_rail(bundled: Path, forecast: Forecast, shared_data: Path) -> None:
    signature = tf.saved_model.load(str(bundled)).signatures["serving_default"]
    rail = next(s for s in real(shared_data) if s.name == "cta_rail")
    windows = cut_windows(rail, rolling_origins(rail, date(2019, 3, 1)))
    score = score_windows(lambda inputs: signature(**inputs), windows)
    assert score["weeks"] == 13
    assert score["lag7_mae"] == pytest.approx(42_000, rel=0.02)
    assert score["mae_to_lag7"] <= 0.65


def test_bundled_metrics_are_what_the_signature_reaches(bundled: Path, shared_data: Path) -> None:
    stated = json.loads((bundled / "manifest.json").read_text())["metrics"]
    measured = evaluate(bundled, shared_data)
    assert measured == pytest.approx({name: stated[name] for name in measured}, rel=1e-3, abs=1e-3)
    assert measured["mae_to_lag7_geometric_mean"] <= 0.75
    assert 0.75 <= measured["coverage_80_mean"] <= 0.85


def test_a_run_becomes_a_version_unless_that_is_worse(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(shutil.copytree(finished.folder, tmp_path / "run"))
    folder = export(run, tmp_path)
    assert folder == tmp_path / "forecast" / "1"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["options"] == {
        "context": CONTEXT,
        "horizon": HORIZON,
        "quantile_levels": list(QUANTILE_LEVELS),
        "min_observed": 8,
    }
    assert manifest["regress_output"] == "mean"
    assert {cell["length"] for cell in manifest["lattice"]["cells"]} == {0}
    assert manifest["signature"]["inputs"]["values"] == {"dtype": "float64", "shape": [None, CONTEXT]}
    assert manifest["signature"]["outputs"]["quantiles"] == {"dtype": "float64", "shape": [None, 7, 13]}
    stated = manifest["metrics"]
    assert stated.pop("latency_ms_batch1") > 0
    assert evaluate(folder, None) == pytest.approx(stated, rel=1e-3, abs=1e-3)
    assert "Limits" in (folder / "model_card.md").read_text()

    monkeypatch.setattr("training.forecast.export.export_model", lambda export, models_dir: models_dir / "2")
    assert export(run, tmp_path).name == "2"  # as good as itself
    worse = run.metrics["metrics"]["mae_to_lag7_geometric_mean"] + 0.01
    run.record({"metrics": run.metrics["metrics"] | {"mae_to_lag7_geometric_mean": worse}})
    with pytest.raises(PublicationError, match=f"worse than forecast version 1: .* {worse:.4g}"):
        export(run, tmp_path)
    assert export(run, tmp_path, allow_worse=True).name == "2"


class Stopped(Exception):
    """Stands for whatever ends a run."""


class StopIn(keras.callbacks.Callback):
    """Ends a run in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.last_epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self.epoch == self.last_epoch and batch == 1:
            raise Stopped


def test_a_run_that_was_stopped_ends_as_an_unbroken_one(finished: Run, tmp_path: Path) -> None:
    run = start_run("forecast", TINY, None, tmp_path)
    with pytest.raises(Stopped):
        fit_run(TINY, None, run, [StopIn(epoch=1)])
    assert not run.weights.exists()
    fit_run(TINY, None, run)
    assert run.history.read_text() == finished.history.read_text()
    assert len(run.history.read_text().splitlines()) == 1 + TINY.optimisation.epochs
    for one, other in zip(*(load_model(each, TINY).get_weights() for each in (run, finished)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    written = run.weights.stat().st_mtime_ns
    fit_run(TINY, None, run)  # it is finished
    assert run.weights.stat().st_mtime_ns == written
