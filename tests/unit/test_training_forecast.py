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

from training.forecast.calendar import find_last_month_lag, find_same_date_lag, split_day
from training.forecast.config import CONTEXT, HORIZON, PRESETS, QUANTILE_LEVELS
from training.forecast.data import EPOCH, fill_pool, open_series, sample_batches
from training.forecast.evaluate import evaluate, judge, load_serve
from training.forecast.export import export
from training.forecast.measures import summarize
from training.forecast.models.direct import HoistedGRU
from training.forecast.models.forecaster import mean_weights
from training.forecast.synthetic import generate_windows
from training.forecast.train import fit_run, load_model, pinball_loss, train
from training.forecast.window import last_observed, masked_median, open_window
from training.recipe.config import override
from training.recipe.errors import ConfigError, PublicationError
from training.recipe.run import Run, read_history, start_run

Forecast = Callable[..., dict[str, np.ndarray]]
TINY = override(
    PRESETS["smoke"],
    [
        "model.units=8",
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


@pytest.mark.parametrize(
    ("day", "then"),
    [
        (date(2019, 5, 15), date(2019, 4, 15)),
        (date(2019, 1, 31), date(2018, 12, 31)),
        (date(2019, 3, 31), date(2019, 2, 28)),
        (date(2020, 3, 29), date(2020, 2, 29)),
        (date(2020, 3, 30), date(2020, 2, 29)),
    ],
)
def test_same_date_of_last_month(day: date, then: date) -> None:
    assert int(find_last_month_lag(tf.constant((day - EPOCH).days))) == (day - then).days


def test_same_date_of_two_years_ago() -> None:
    for day, lag in ((date(2021, 2, 28), 731), (date(2022, 3, 1), 730), (date(2020, 2, 29), 731)):
        assert int(find_same_date_lag(tf.constant((day - EPOCH).days), 2)) == lag


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
    days = tf.constant([[[2.0, 3.0]] * HORIZON])  # value and weight
    over = pinball_loss(days, tf.constant(quantiles)).numpy()
    np.testing.assert_allclose(over, 3 * 2 * np.mean(QUANTILE_LEVELS), rtol=1e-6)


def test_hoisted_gru_equals_that_of_keras() -> None:
    ours, theirs = HoistedGRU(8), keras.layers.GRU(8)
    x = tf.random.stateless_normal((3, 5, 4), seed=(1, 2))
    ours(x), theirs(x)
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=w.shape) for w in theirs.get_weights()]
    ours.set_weights(weights), theirs.set_weights(weights)
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


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


def test_a_source_that_is_not_there_cannot_be_left_out(tmp_path: Path) -> None:
    rows = [f"{EPOCH + timedelta(days=18_000 + i)},{i % 7}" for i in range(200)]
    (tmp_path / "sales.csv").write_text("ds,y\n" + "\n".join(rows))
    config = override(TINY, ['left_out=["sale"]'])
    with pytest.raises(ConfigError, match="left_out: there is no source 'sale'; there are sales"):
        train(config, tmp_path / "sales.csv", start_run("forecast", config, tmp_path, tmp_path))


@pytest.mark.parametrize(
    "assignment", ["optimisation.label_smoothing=0.1", "optimisation.precision=mixed_bfloat16", "synthetic_share=1.5"]
)
def test_what_the_forecaster_cannot_do_is_refused(assignment: str) -> None:
    name = assignment.partition("=")[0]
    with pytest.raises(ConfigError, match=name):
        override(TINY, [assignment])


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
        "interval_factors": run.metrics["factors"],
    }
    assert manifest["regress_output"] == "mean"
    assert {cell["length"] for cell in manifest["lattice"]["cells"]} == {0}
    assert manifest["signature"]["inputs"]["values"] == {"dtype": "float64", "shape": [None, CONTEXT]}
    assert manifest["signature"]["outputs"]["quantiles"] == {"dtype": "float64", "shape": [None, 7, 13]}
    stated = manifest["metrics"]
    assert stated.pop("latency_ms_batch1") > 0
    assert evaluate(folder, None) == pytest.approx(stated, rel=1e-3, abs=1e-3)
    assert "Limits" in (folder / "model_card.md").read_text()

    sources = judge(load_serve(folder), ())
    monkeypatch.setattr("training.forecast.export.judge", lambda serve, series: sources)
    monkeypatch.setattr("training.forecast.export.report", lambda run, *_: None)
    monkeypatch.setattr("training.forecast.export.export_model", lambda export, models_dir: models_dir / "2")
    assert export(run, tmp_path).name == "2"  # as good as itself
    worse = run.metrics["metrics"]["mae_to_lag7_geometric_mean"] + 0.01
    run.record(run.metrics | {"metrics": run.metrics["metrics"] | {"mae_to_lag7_geometric_mean": worse}})
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
    for name, column in read_history(finished.history).items():  # equal but for the order of sums
        np.testing.assert_allclose(read_history(run.history)[name], column, rtol=1e-5)
    assert len(run.history.read_text().splitlines()) == 1 + TINY.optimisation.epochs
    for one, other in zip(*(load_model(each, TINY).get_weights() for each in (run, finished)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    written = run.weights.stat().st_mtime_ns
    fit_run(TINY, None, run)  # it is finished
    assert run.weights.stat().st_mtime_ns == written


def test_bundled_holds_what_the_recipe_promises(bundled: Path, shared_data: Path) -> None:
    config = PRESETS["bundled"]
    stated = json.loads((bundled / "manifest.json").read_text())["metrics"]
    measured = summarize(judge(load_serve(bundled), open_series(shared_data, config.columns)))
    assert measured == pytest.approx({name: stated[name] for name in measured}, rel=1e-3, abs=1e-3)
    assert measured["mae_to_lag7_geometric_mean"] <= 0.70
    assert measured["cta_rail_mae_to_lag7"] <= 0.62
    assert measured["cta_rail_lag7_mae"] == pytest.approx(41_981, rel=1e-3)
    assert 0.77 <= measured["coverage_80_mean"] <= 0.83
    assert 0.93 <= measured["coverage_95_mean"] <= 0.97
