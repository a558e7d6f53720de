"""Trains the forecaster: data, model, fit, evaluate, export, top to bottom."""

from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from training.forecast.card import write_card
from training.forecast.config import CONTEXT, HORIZON, MIN_OBSERVED, QUANTILE_LEVELS, Config
from training.forecast.data import SOURCES, Series, Windows, load_series, sample_batches, validation_windows
from training.forecast.evaluate import evaluate_forecasts
from training.forecast.features import Features, build_features
from training.forecast.model import build_model, forecast
from training.forecast.synthetic import generate_windows
from training.forecast.window import open_window
from training.recipe.export import Export, export_model
from training.recipe.run import start_run

TARGET_LIMIT = 50.0  # on the window's scale; a spike beyond teaches no more
SERVED_OPTIONS = {
    "context": CONTEXT,
    "horizon": HORIZON,
    "quantile_levels": list(QUANTILE_LEVELS),
    "min_observed": MIN_OBSERVED,
}


def train(config: Config, data_dir: Path | None, runs_dir: Path, models_dir: Path) -> Path:
    """Trains on the data pack `data_dir` (its folder `series`), on synthetic series where None.

    Returns the folder of the exported version.
    """
    run = start_run("forecast", config, runs_dir)
    series = load_series(data_dir / "series") if data_dir else []
    model = build_model(config)
    _fit(model, config, series, run.folder / "history.csv")

    def serve(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return forecast(model, inputs)

    metrics = evaluate_forecasts(tf.function(serve), series)
    run.record(metrics)
    export = Export(
        name="forecast",
        task="daily series forecasting",
        model=model,
        serve=serve,
        inputs={
            "values": tf.TensorSpec([None, CONTEXT], tf.float64),
            "first_day": tf.TensorSpec([None], tf.int32),
        },
        golden_inputs=_golden_inputs(config.seed),
        options=SERVED_OPTIONS,
        metrics=metrics,
        data=_describe_data(series),
        card=write_card(config, model, metrics, series),
        batches=config.served_batches,
        rounds=config.measure_rounds,
        regress_output="mean",
    )
    return export_model(export, models_dir)


def _fit(model: keras.Model, config: Config, series: list[Series], history: Path) -> None:
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, config.steps, warmup_target=config.learning_rate, warmup_steps=max(1, config.steps // 20)
    )
    model.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), loss=pinball_loss)
    model.fit(
        _learnable(lambda: sample_batches(config, series)),
        steps_per_epoch=config.steps_per_epoch,
        epochs=config.steps // config.steps_per_epoch,
        validation_data=_learnable(lambda: iter([_validation(config, series)])).apply(
            tf.data.experimental.assert_cardinality(1)
        ),
        callbacks=[keras.callbacks.CSVLogger(str(history))],
        shuffle=False,
        verbose=2,
    )


def _validation(config: Config, series: list[Series]) -> Windows:
    return validation_windows(series) if series else generate_windows(1000, config.seed + 1)


def _learnable(batches: Callable[[], Iterator[Windows]]) -> tf.data.Dataset:
    signature = (
        tf.TensorSpec([None, CONTEXT + HORIZON], tf.float64),
        tf.TensorSpec([None], tf.int32),
    )
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return dataset.map(to_example, num_parallel_calls=2).prefetch(4)


def to_example(values: tf.Tensor, first_day: tf.Tensor) -> tuple[Features, tf.Tensor, tf.Tensor]:
    """Values [B, context + 7] -> features, targets on the window's scale [B, 7], weights [B, 7].

    A week counts by its own difficulty, so that calm and wild series teach alike. Scale and
    location come from the context alone.
    """
    window = open_window(values[:, :CONTEXT])
    features = build_features(window, first_day)
    future = values[:, CONTEXT:]
    known = tf.math.is_finite(future) & (window.scale > 0)
    target = tf.clip_by_value(window.normalise(tf.where(known, future, 0)), -TARGET_LIMIT, TARGET_LIMIT)
    weight = tf.cast(known, tf.float32) / tf.maximum(features["unsteadiness"], 0.1)
    return features, tf.cast(target, tf.float32), weight


def pinball_loss(target: tf.Tensor, quantiles: tf.Tensor) -> tf.Tensor:
    """Mean pinball loss over members and levels. [B, 7], [B, members, 7, levels] -> [B, 7]."""
    error = target[:, None, :, None] - quantiles
    levels = tf.constant(QUANTILE_LEVELS, tf.float32)
    return tf.reduce_mean(tf.maximum(levels * error, (levels - 1) * error), axis=(1, 3))


def _golden_inputs(seed: int) -> dict[str, np.ndarray]:
    """A long, a short, a gappy and a constant history."""
    values, first_day = generate_windows(4, seed)
    values = values[:, :CONTEXT].copy()
    values[1, : CONTEXT - 60] = np.nan
    values[2, ::3] = np.nan
    values[3] = 5.0
    return {"values": values, "first_day": first_day}


def _describe_data(series: list[Series]) -> str:
    if not series:
        return "synthetic series, generated by the recipe"
    used = "; ".join(f"{s.file} ({s.licence})" for s in SOURCES if s.trained)
    return f"trained on: {used}; and synthetic series, generated by the recipe"
