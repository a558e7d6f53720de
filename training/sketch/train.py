"""Trains and exports the sketch classifier: data -> model -> fit -> evaluate -> export."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from training.recipe.export import Export, Tensors, export_model
from training.recipe.lattice import choose_lengths
from training.recipe.run import Run, start_run
from training.sketch.batches import make_batches
from training.sketch.card import describe_data, write_card
from training.sketch.config import Config
from training.sketch.data import Dataset, draw_dataset, load_dataset, pad_inks
from training.sketch.evaluate import Predict, measure, predict_all, time_predict
from training.sketch.model import build_model
from training.sketch.outside import load_outside
from training.sketch.synthetic import BOX, TOLERANCE

_INPUTS = {"ink": tf.TensorSpec([None, None, 3], tf.float32), "lengths": tf.TensorSpec([None], tf.int32)}
_GOLDEN = 8


def train(config: Config, data_dir: Path | None, runs_dir: Path, models_dir: Path) -> Path:
    """Trains one classifier and exports it as the next version of "sketch".

    Args:
        config: a preset, or one of your own.
        data_dir: folder of Quick, Draw! files, one per class (see `load_dataset`); None draws shapes instead.
        runs_dir: where the record of this run goes (config.json, history.csv, metrics.json).
        models_dir: where the model goes.

    Returns the folder of the exported version.

    Raises:
        FileNotFoundError: `data_dir` holds no drawings.
    """
    run = start_run("sketch", config, runs_dir)
    if data_dir is None:
        dataset = draw_dataset(config.synthetic_per_class, config.max_points, config.seed)
    else:
        dataset = load_dataset(data_dir, config.max_points)
    model = build_model(config, len(dataset.labels))
    _fit(model, config, dataset, run)

    def serve(inputs: Tensors) -> Tensors:
        return {"probabilities": tf.nn.softmax(model(inputs, training=False))}

    predict, test = _make_predict(serve), dataset.splits["test"]
    metrics = measure(predict_all(predict, test), test.classes) | time_predict(predict, test)
    outside = load_outside(data_dir, dataset.labels, config.max_points) if data_dir else None
    if outside:
        metrics["outside_top1"] = measure(predict_all(predict, outside[0]), outside[0].classes)["top1"]
    run.record(metrics)
    print("  ".join(f"{name} {value:.3f}" for name, value in metrics.items()))
    export = Export(
        name="sketch",
        task="sketch classification",
        model=model,
        serve=serve,
        inputs=_INPUTS,
        golden_inputs=_golden_inputs(dataset),
        labels=dataset.labels,
        options={
            "max_points": config.max_points,
            "box": int(BOX),
            "simplify_tolerance": TOLERANCE,
        },
        metrics=metrics,
        data=describe_data(data_dir),
        card=write_card(config, data_dir, dataset, predict, metrics, model.count_params(), outside),
        padded_input="ink",
        lengths_input="lengths",
        lengths=_served_lengths(dataset, config),
        batches=config.served_batches,
        rounds=config.measure_rounds,
        classify_output="probabilities",
    )
    return export_model(export, models_dir)


def _fit(model: keras.Model, config: Config, dataset: Dataset, run: Run) -> None:
    drawings = dataset.splits["train"]
    batches = make_batches(drawings, config.batch_size, config.augmentation, config.seed)
    steps = config.epochs * int(batches.cardinality())
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
    )
    classes = len(dataset.labels)
    model.fit(
        batches.map(lambda ink, c: (ink, tf.one_hot(c, classes))),
        validation_data=make_batches(dataset.splits["valid"], 256).map(lambda i, c: (i, tf.one_hot(c, classes))),
        epochs=config.epochs,
        shuffle=False,
        verbose=2,
        callbacks=[
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.CSVLogger(str(run.folder / "history.csv")),
        ],
    )


def _make_predict(serve: object) -> Predict:
    compiled = tf.function(serve, input_signature=[_INPUTS], autograph=False)

    def predict(ink: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        inputs = {"ink": tf.constant(ink), "lengths": tf.constant(lengths)}
        return np.asarray(compiled(inputs)["probabilities"])

    return predict


def _served_lengths(dataset: Dataset, config: Config) -> tuple[int, ...]:
    """Multiples of the convolutions' stride: the GRUs read the steps in between anyway."""
    lengths = np.array([len(ink) for ink in dataset.splits["train"].inks])
    stride = 2 ** len(config.channels)
    return choose_lengths(lengths, config.max_points, stride, config.max_padding)


def _golden_inputs(dataset: Dataset) -> dict[str, np.ndarray]:
    """Some test drawings of different lengths."""
    inks = sorted(dataset.splits["test"].inks, key=len)
    ink, lengths = pad_inks([inks[i] for i in np.linspace(0, len(inks) - 1, _GOLDEN).astype(int)])
    return {"ink": ink, "lengths": lengths}
