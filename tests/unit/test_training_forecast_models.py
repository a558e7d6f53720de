"""The families of forecasters: what they answer, what they may see, and what teaches them."""

from dataclasses import replace
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.forecast.batches import to_example
from training.forecast.calendar import calendar_features
from training.forecast.config import CONTEXT, FAMILIES, HORIZON, PRESETS, QUANTILE_LEVELS, Config
from training.forecast.features import RECENT, RECENT_DAYS, Features, build_features
from training.forecast.model_config import (
    ConvRNNModel,
    DenseModel,
    DirectModel,
    DLinearModel,
    Model,
    NHiTSModel,
    PatchTransformerModel,
    Seq2SeqModel,
)
from training.forecast.models.conv_rnn import step_candidates
from training.forecast.models.forecaster import build_model, forecast, reads_future
from training.forecast.models.head import LAG7
from training.forecast.models.past import (
    OBSERVED,
    PROFILE,
    calendar_of_weeks,
    deviations,
    interpolation,
    moving_average,
    values,
)
from training.forecast.synthetic import generate_windows
from training.forecast.train import pinball_loss
from training.forecast.window import open_window
from training.recipe.config import override
from training.recipe.errors import ConfigError

WEEKS = RECENT_DAYS // HORIZON
LEVELS = len(QUANTILE_LEVELS)
MEDIAN = QUANTILE_LEVELS.index(0.5)
SMALL: dict[str, Model] = {
    "dense": DenseModel(units=8),
    "direct": DirectModel(units=8),
    "seq2seq": Seq2SeqModel(units=8, teacher_forcing=1.0),
    "conv_rnn": ConvRNNModel(units=8),
    "dlinear": DLinearModel(units=8),
    "nhits": NHiTSModel(units=8, width=16),
    "patch_transformer": PatchTransformerModel(units=8, heads=2),
}
VARIANTS: dict[str, Model] = {
    **SMALL,
    "direct, lag7": DirectModel(units=8, skip="lag7"),
    "direct, none": DirectModel(units=8, skip="none"),
    "seq2seq, lstm": Seq2SeqModel(units=8, cell="lstm", attention="dot", fed="nothing", skip="lag7"),
    "conv_rnn, lstm": ConvRNNModel(units=8, cell="lstm", layers=1, train_steps="last", skip="none"),
    "dlinear, none": DLinearModel(units=8, skip="none", average_days=7),
    "nhits, one stack": NHiTSModel(units=8, width=16, pools=(28,), knots=(2,), skip="none"),
    "patch_transformer, 14": PatchTransformerModel(units=8, heads=2, patch_days=14, skip="lag7"),
}
Example = tuple[Features, tf.Tensor]


def configure(model: Model) -> Config:
    return replace(PRESETS["smoke"], model=model)


@cache
def stirred(name: str) -> keras.Model:
    """The model with weights that say something; do not train it."""
    keras.utils.set_random_seed(3)
    model = build_model(configure(VARIANTS[name]))
    rng = np.random.default_rng(4)
    model.set_weights([w + rng.normal(0, 0.1, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def example() -> Example:
    """A batch of 12 synthetic windows, the true values of the forecast days among its features."""
    past_and_future, first_day = generate_windows(12, seed=5)
    past_and_future[3, : CONTEXT - 30] = np.nan
    past_and_future[4, ::3] = np.nan
    return to_example(tf.constant(past_and_future), tf.constant(first_day), show_future=True)


def without_future(features: Features) -> Features:
    return {name: tensor for name, tensor in features.items() if name != "future"}


def ask(name: str, features: Features, training: bool = False) -> np.ndarray:
    return np.asarray(stirred(name)(features, training=training))


def test_every_family_has_a_preset_and_a_test() -> None:
    assert {config.model.family for config in FAMILIES.values()} == set(SMALL)
    assert len({(c.optimisation, c.steps_per_epoch, c.model.members) for c in FAMILIES.values()}) == 1  # one budget


@pytest.mark.parametrize("name", VARIANTS)
def test_answers_are_quantiles_that_never_cross(name: str, example: Example) -> None:
    quantiles = ask(name, without_future(example[0]))
    assert quantiles.shape == (12, 2, HORIZON, LEVELS)
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles) >= 0).all()
    assert (np.diff(quantiles).max(axis=-1) > 0).all()
    assert not np.allclose(quantiles[:, 0], quantiles[:, 1], atol=1e-3)  # members are networks of their own


@pytest.mark.parametrize("name", SMALL)
def test_what_a_missing_day_holds_does_not_matter(name: str) -> None:
    past_and_future, first_day = generate_windows(3, seed=6)
    answers = []
    for missing in (np.nan, np.inf, -np.inf):
        past = past_and_future[:, :CONTEXT].copy()
        past[:, : CONTEXT - 25] = missing
        inputs = {"values": tf.constant(past), "first_day": tf.constant(first_day)}
        answers.append(forecast(stirred(name), PRESETS["smoke"], inputs)["quantiles"].numpy())
    assert np.isfinite(answers[0]).all()
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


@pytest.mark.parametrize("name", SMALL)
def test_a_row_is_answered_as_it_is_alone(name: str, example: Example) -> None:
    features = without_future(example[0])
    alone = ask(name, {name: tensor[3:4] for name, tensor in features.items()})
    np.testing.assert_allclose(ask(name, features)[3:4], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_training_lowers_the_loss(name: str, example: Example) -> None:
    config = configure(replace(SMALL[name], members=1))
    features, days = example
    shown = features if reads_future(config) else without_future(features)
    keras.utils.set_random_seed(8)
    model = build_model(config)
    model.compile(keras.optimizers.Adam(0.005), loss=pinball_loss, run_eagerly=True)  # tracing takes longer
    losses = model.fit(tf.data.Dataset.from_tensors((shown, days)), epochs=3, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < 0.99 * losses[0]


def test_only_a_taught_decoder_is_shown_the_future() -> None:
    shown = {name for name, config in FAMILIES.items() if reads_future(config)}
    assert shown == {"seq2seq-taught", "seq2seq-half-taught"}


def test_a_taught_decoder_sees_the_day_before_and_only_in_training(example: Example) -> None:
    features = example[0]
    plain = [ask("seq2seq", features, training) for training in (False, True)]
    for day in (0, 3, HORIZON - 1):
        moved = features | {"future": features["future"] + 3 * tf.one_hot(day, HORIZON)[:, None] * [1.0, 0.0]}
        np.testing.assert_array_equal(ask("seq2seq", moved, training=False), plain[0])
        change = np.abs(ask("seq2seq", moved, training=True) - plain[1]).max(axis=(1, 3))
        assert (change[:, : day + 1] == 0).all()
        assert (change[:, day + 1 : day + 2] > 1e-4).mean(axis=0).min(initial=1) > 0.7


def test_where_the_truth_is_unknown_a_taught_decoder_sees_its_own_forecast(example: Example) -> None:
    features = example[0]
    unknown = features | {"future": features["future"] * [1.0, 0.0]}
    np.testing.assert_allclose(
        ask("seq2seq", unknown, training=True), ask("seq2seq", features, training=False), rtol=1e-4, atol=1e-5
    )


def test_teacher_forcing_is_a_share_of_the_steps(example: Example) -> None:
    features = {name: tf.repeat(tensor[:1], 400, axis=0) for name, tensor in example[0].items()}
    keras.utils.set_random_seed(3)
    model = build_model(configure(Seq2SeqModel(units=8, members=1, teacher_forcing=0.25)))
    model.set_weights([np.ones_like(w) * 0.1 if w.dtype == np.float32 else w for w in model.get_weights()])
    second_day = model(features, training=True).numpy()[:, 0, 1, MEDIAN]
    own = model(features, training=False).numpy()[0, 0, 1, MEDIAN]
    assert np.mean(~np.isclose(second_day, own, rtol=1e-6)) == pytest.approx(0.25, abs=0.08)


def test_every_week_is_answered_in_training_only(example: Example) -> None:
    assert ask("conv_rnn", example[0], training=True).shape == (12, 2, WEEKS, HORIZON, LEVELS)
    assert ask("conv_rnn, lstm", example[0], training=True).shape == (12, 2, HORIZON, LEVELS)
    served = ask("conv_rnn", example[0])
    np.testing.assert_allclose(ask("conv_rnn", example[0], training=True)[:, :, -1], served, rtol=1e-4, atol=1e-5)


def test_a_week_is_forecast_from_what_lies_before_it(example: Example) -> None:
    features = example[0]
    later = tf.concat([tf.zeros([RECENT_DAYS - 7, 3]), tf.ones([7, 3])], axis=0)
    moved = features | {"recent": features["recent"] + tf.pad(later, [[0, 0], [0, features["recent"].shape[-1] - 3]])}
    plain, changed = (ask("conv_rnn", each, training=True) for each in (features, moved))
    np.testing.assert_allclose(changed[:, :, :-1], plain[:, :, :-1], rtol=1e-5, atol=1e-6)
    assert np.abs(changed[:, :, -1] - plain[:, :, -1]).max() > 0.01


@pytest.mark.parametrize(("name", "taught"), [("conv_rnn", True), ("conv_rnn, lstm", False)])
def test_early_weeks_teach_where_every_step_is_trained(name: str, taught: bool, example: Example) -> None:
    features, days = example
    early = tf.concat([tf.ones([28]), tf.zeros([RECENT_DAYS + HORIZON - 28])], axis=0)
    with tf.GradientTape() as tape:
        quantiles = stirred(name)(features, training=True)
        loss = tf.reduce_sum(pinball_loss(days * tf.stack([tf.ones_like(early), early], axis=-1), quantiles))
    layer = stirred(name).networks[0].recurrent[0]
    gradient = tape.gradient(loss, layer.cell.recurrent_kernel.value)
    assert (float(tf.norm(gradient)) > 1e-3) is taught


def test_each_week_is_judged_by_the_week_after_it() -> None:
    days = np.stack(
        [np.arange(RECENT_DAYS + HORIZON, dtype=np.float32), np.ones(RECENT_DAYS + HORIZON, np.float32)], -1
    )
    right = days[HORIZON:, 0].reshape(WEEKS, HORIZON)
    quantiles = np.repeat(right[None, None, ..., None], LEVELS, axis=-1)
    assert pinball_loss(tf.constant(days[None]), tf.constant(quantiles)).numpy().max() == 0
    quantiles[:, :, 2, 5] -= 1
    loss = pinball_loss(tf.constant(days[None]), tf.constant(quantiles)).numpy()
    assert loss.shape == (1, WEEKS, HORIZON)
    assert np.argwhere(loss).tolist() == [[0, 2, 5]]
    last = pinball_loss(tf.constant(days[None]), tf.constant(quantiles[:, :, -1])).numpy()
    assert last.tolist() == [[[0.0] * HORIZON]]


def test_examples_hold_the_window_and_what_is_known_of_it() -> None:
    rng = np.random.default_rng(9)
    past_and_future, first_day = rng.normal(5, 2, (4, CONTEXT + HORIZON)), np.full(4, 18_000, np.int32)
    past_and_future[0, -1] = past_and_future[1, RECENT.start] = np.nan
    past_and_future[2, :CONTEXT] = 5.0  # constant: nothing to learn
    features, days = to_example(tf.constant(past_and_future), tf.constant(first_day), show_future=True)
    window = open_window(tf.constant(past_and_future[:, :CONTEXT]))
    np.testing.assert_allclose(days[3, :RECENT_DAYS, 0], np.clip(window.z[3, RECENT], -50, 50), rtol=1e-6)
    weight = 1 / max(float(features["unsteadiness"][0, 0]), 0.1)
    np.testing.assert_allclose(days[0, :, 1], [weight] * (RECENT_DAYS + HORIZON - 1) + [0], rtol=1e-6)
    assert float(days[1, 0, 1]) == 0
    assert not np.any(days[2, :, 1])
    assert features["future"][0, :, 1].numpy().tolist() == [1] * 6 + [0]
    assert "future" not in to_example(tf.constant(past_and_future), tf.constant(first_day))[0]


def test_the_features_are_where_the_families_look_for_them(example: Example) -> None:
    past_and_future, first_day = generate_windows(6, seed=10)
    window = open_window(tf.constant(past_and_future[:, :CONTEXT]))
    features = build_features(window, tf.constant(first_day))
    z = window.z[:, RECENT].numpy()
    np.testing.assert_allclose(values(features), z, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(features["recent"][..., OBSERVED], 1)
    np.testing.assert_allclose(features["candidates"][..., LAG7], z[:, -7:], rtol=1e-5)
    months = np.median(z[:, -56:].reshape(6, 8, 7), axis=1)
    np.testing.assert_allclose(features["candidates"][..., PROFILE], months, rtol=1e-4, atol=1e-5)
    calendar = calendar_features(tf.constant(first_day)[:, None] + tf.range(7 - RECENT_DAYS, HORIZON))
    np.testing.assert_allclose(calendar_of_weeks(features), tf.reshape(calendar, [6, WEEKS, HORIZON, -1]), atol=1e-6)


def test_candidates_of_each_week_look_past_gaps() -> None:
    past = np.full((1, CONTEXT), 5.0) + np.tile(np.arange(7.0), CONTEXT // 7)
    past[0, -3] = np.nan  # its weekday had 4 before
    past[0, -7:-3] += 10
    window = open_window(tf.constant(past))
    features = build_features(window, tf.constant([100]))
    last = window.restore(tf.transpose(step_candidates(features)[:, -1], [0, 2, 1])[:, :, :]).numpy()[0]
    np.testing.assert_allclose(last[0], [15, 16, 17, 18, 9, 10, 11], rtol=1e-5)
    np.testing.assert_allclose(last[1], [7.5, 8.5, 9.5, 10.5, 9, 10, 11], rtol=1e-5)


def test_missing_days_are_taken_for_usual_ones() -> None:
    past = np.tile([1.0, 2, 3, 4, 5, 6, 9], CONTEXT // 7)[None] + np.random.default_rng(0).normal(0, 0.1, (1, CONTEXT))
    gappy = past.copy()
    gappy[0, -60:-30] = np.nan
    whole, filled = (
        deviations(build_features(open_window(tf.constant(each)), tf.constant([100])), True) for each in (past, gappy)
    )
    assert np.abs(filled).max() < 1.5 * np.abs(whole).max()


def test_moving_average_and_interpolation_by_hand() -> None:
    days = np.array([3.0, 0, 0, 6, 9], np.float32)
    np.testing.assert_allclose(days @ moving_average(5, 3), [2, 1, 2, 5, 8], rtol=1e-6)
    assert (np.array([1.0, 4, 10]) @ interpolation(3, 5)).tolist() == [1, 2.5, 4, 7, 10]
    np.testing.assert_array_equal(interpolation(7, 7), np.eye(7))
    np.testing.assert_array_equal(interpolation(1, 4), [[1] * 4])


@pytest.mark.parametrize(
    "model",
    [DLinearModel(units=4, members=1, skip="none"), NHiTSModel(units=8, width=32, members=1, skip="lag7")],
    ids=lambda model: model.family,
)
def test_a_line_with_a_weekly_pattern_is_continued(model: Model) -> None:
    """Last week's value is wrong by seven days of slope; ours by less than a tenth of that."""
    rng = np.random.default_rng(11)
    days = np.arange(CONTEXT + HORIZON)
    slope = rng.choice([-1, 1], (64, 1)) * rng.uniform(0.5, 2, (64, 1)) / 7
    series = slope * days + np.stack([np.resize(rng.normal(0, 1, 7), len(days)) for _ in slope])
    features, target = to_example(tf.constant(series), tf.constant(rng.integers(0, 20_000, 64), tf.int32))
    keras.utils.set_random_seed(12)
    network = build_model(configure(model))
    network.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, 200)), loss=pinball_loss)
    network.fit(tf.data.Dataset.from_tensors((features, target)).cache().repeat(200), shuffle=False, verbose=0)
    error, naive = (
        np.abs(answer - target[:, -HORIZON:, 0]).mean()
        for answer in (network(features)[:, 0, :, MEDIAN], features["candidates"][..., LAG7])
    )
    assert error < 0.1 * naive


@pytest.mark.parametrize(
    ("preset", "assignment", "told"),
    [
        ("direct", "model.units=7", "units must be even, got 7"),
        ("direct", "model.skip=lag8", "model.skip"),
        ("direct", "model.cell=gru", "no 'model.cell'"),
        ("seq2seq-unfed", "model.teacher_forcing=0.5", "teacher_forcing must be 0"),
        ("seq2seq", "model.teacher_forcing=1.5", "model.teacher_forcing"),
        ("conv-rnn", "model.train_steps=some", "model.train_steps"),
        ("dlinear", "model.average_days=6", "average_days must be odd, got 6"),
        ("nhits", "model.knots=[1, 7]", "pools .* and knots"),
        ("nhits", "model.pools=[1, 7, 29]", "model.pools.2"),
        ("patch-transformer", "model.heads=5", "multiple of heads 5"),
        ("patch-transformer", "model.patch_days=8", "model.patch_days"),
        ("direct", "model.family=arima", "model"),
        ("direct", "transform=log2", "transform"),
        ("direct", "normalization=max", "normalization"),
    ],
)
def test_wrong_models_are_refused_by_name(preset: str, assignment: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        override(FAMILIES[preset], [assignment])
