"""Trains and exports the camera-motion classifier: render -> model -> fit -> evaluate -> export."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from training.recipe.export import Export, Tensors, export_model
from training.recipe.run import Run, start_run
from training.video.camera import LABELS
from training.video.card import DATA, write_card
from training.video.config import FPS, Config
from training.video.data import augment_clips, render_dataset, to_luma
from training.video.evaluate import CHECK_SEED, Predict, confuse, measure, predict_all, time_predict
from training.video.model import build_model, classify, normalize_luma
from training.video.photographs import film_photographs
from training.video.textures import TRAIN_FAMILIES, UNSEEN_FAMILIES

_RENDER_AT_ONCE = 900  # bounds the memory that clips in colour take
_GOLDEN = 3


def train(config: Config, data_dir: Path | None, runs_dir: Path, models_dir: Path) -> Path:
    """Trains one classifier and exports it as the next version of "video".

    Args:
        config: a preset, or one of your own.
        data_dir: not used; the clips are rendered.
        runs_dir: where the record of this run goes (config.json, history.csv, metrics.json).
        models_dir: where the model goes.

    Returns the folder of the exported version.
    """
    run, shape = start_run("video", config, runs_dir), config.shape
    model = build_model(config)
    _fit(model, config, run)

    def serve(inputs: Tensors) -> Tensors:
        return classify(model, inputs)

    inputs = {"frames": tf.TensorSpec([None, shape.frames, shape.height, shape.width, 3], tf.uint8)}
    predict = _make_predict(serve, inputs)
    clips, classes = render_dataset(CHECK_SEED, config.check_clips, UNSEEN_FAMILIES, shape, config.workers)
    answers = predict_all(predict, clips)
    metrics = measure(answers, classes) | time_predict(predict, clips)
    if config.photograph_clips:
        photographs, moved = film_photographs(CHECK_SEED, config.photograph_clips, shape, FPS)
        metrics |= measure(predict_all(predict, photographs), moved, "photograph_")
    run.record(metrics)
    print("  ".join(f"{name} {value:.3f}" for name, value in metrics.items()))
    export = Export(
        name="video",
        task="camera motion classification",
        model=model,
        serve=serve,
        inputs=inputs,
        golden_inputs={"frames": clips[:_GOLDEN]},
        labels=LABELS,
        options={"frames": shape.frames, "height": shape.height, "width": shape.width, "fps": FPS},
        metrics=metrics,
        data=DATA,
        card=write_card(config, metrics, confuse(answers, classes), model.count_params()),
        batches=config.served_batches,
        rounds=config.measure_rounds,
        classify_output="probabilities",
    )
    return export_model(export, models_dir)


def _fit(model: keras.Model, config: Config, run: Run) -> None:
    clips, classes = _render_luma(config)
    steps_per_epoch = len(clips) // config.batch_size
    steps = config.epochs * steps_per_epoch
    warmup = int(config.warmup_share * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=config.learning_rate, warmup_steps=warmup
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(
            schedule,
            weight_decay=config.weight_decay,
            global_clipnorm=1.0,
            use_ema=True,
            ema_momentum=config.ema_momentum,
        ),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,
    )
    model.fit(
        _make_batches(clips, classes, config),
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch,
        shuffle=False,
        verbose=2,
        callbacks=[
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.CSVLogger(str(run.folder / "history.csv")),
        ],
    )


def _render_luma(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Luma uint8 [clips, frames, height, width] and classes int64 [clips]."""
    clips, classes = [], []
    for start in range(0, config.clips, _RENDER_AT_ONCE):
        count = min(_RENDER_AT_ONCE, config.clips - start)
        colored, labels = render_dataset(config.seed, count, TRAIN_FAMILIES, config.shape, config.workers, start)
        clips.append(to_luma(colored))
        classes.append(labels)
    return np.concatenate(clips), np.concatenate(classes)


def _make_batches(clips: np.ndarray, classes: np.ndarray, config: Config) -> tf.data.Dataset:
    """Endless batches of (normalised luma [batch, frames, height, width], one-hot [batch, labels])."""
    rng = np.random.default_rng(config.seed)

    def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            order = rng.permutation(len(clips))
            for start in range(0, len(order) - config.batch_size + 1, config.batch_size):
                rows = order[start : start + config.batch_size]
                yield augment_clips(rng, clips[rows], classes[rows])

    spec = (tf.TensorSpec([None, *clips.shape[1:]], tf.uint8), tf.TensorSpec([None], tf.int64))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=spec)
    return dataset.map(lambda c, k: (normalize_luma(c), tf.one_hot(k, len(LABELS)))).prefetch(4)


def _make_predict(serve: object, inputs: dict[str, tf.TensorSpec]) -> Predict:
    compiled = tf.function(serve, input_signature=[inputs], autograph=False)

    def predict(frames: np.ndarray) -> np.ndarray:
        return compiled({"frames": tf.constant(frames)})["probabilities"].numpy()

    return predict
