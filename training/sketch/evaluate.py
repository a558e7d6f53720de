"""Measures a sketch classifier: the Keras model behind a run, or an exported version through its signature."""

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from training.recipe.report.measures import measure
from training.sketch.data import draw_dataset, load_dataset
from training.sketch.drawings import Drawings, Inks
from training.sketch.ink import pad_inks, pad_to_multiple
from training.sketch.synthetic import SHAPES

_BATCH = 128
_PAD_TO = 16  # a few shapes only, where they are compiled
_SYNTHETIC_SEED = 1_000

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]  # ink, lengths -> probabilities


def make_predict(model: keras.Model) -> Predict:
    """Probabilities by a Keras model, on any backend, without temperature."""

    def predict(ink: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        logits = model.predict_on_batch({"ink": pad_to_multiple(ink, _PAD_TO), "lengths": lengths})
        return keras.ops.convert_to_numpy(keras.ops.softmax(logits))

    return predict


def evaluate(model_folder: Path, data_dir: Path | None) -> dict[str, float]:
    """Measures an exported model on the test split of its own classes in `data_dir`.

    Args:
        model_folder: `<models>/sketch/<version>`.
        data_dir: folder of Quick, Draw! files; None draws shapes, for a model that was trained on shapes.

    Returns the measures of `training.recipe.report.measures.measure`.

    Raises:
        FileNotFoundError: the folder has no file for one of the model's classes.
        ValueError: `data_dir` is None, but the model does not know shapes.
    """
    manifest = json.loads((model_folder / "manifest.json").read_text())
    labels, max_points = manifest["labels"], manifest["options"]["max_points"]
    if data_dir is None and labels != list(SHAPES):
        raise ValueError(f"this model knows {labels[0]!r}, ...; give the folder of its drawings")
    if data_dir is None:
        dataset = draw_dataset(120, max_points, _SYNTHETIC_SEED)
    else:
        dataset = load_dataset(data_dir, max_points, labels)
    test = dataset.splits["test"]
    return measure(predict_all(load_predict(model_folder), test), test.classes)


def load_predict(model_folder: Path) -> Predict:
    """Opens the SavedModel in `model_folder`."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model_folder))
    signature = loaded.signatures["serving_default"]

    def predict(ink: np.ndarray, lengths: np.ndarray, _keep: object = loaded) -> np.ndarray:
        return np.asarray(signature(ink=tf.constant(ink), lengths=tf.constant(lengths))["probabilities"])

    return predict


def predict_all(predict: Predict, drawings: Drawings) -> np.ndarray:
    """Probabilities [drawings, classes], in the order of the drawings; like lengths go together."""
    order = np.argsort(drawings.inks.lengths, kind="stable")
    chunks = np.split(order, range(_BATCH, len(order), _BATCH))
    answers = np.concatenate([predict(*pad_inks(drawings.inks.take(rows))) for rows in chunks])
    return answers[np.argsort(order)]


def cut_drawings(drawings: Drawings, fraction: float) -> Drawings:
    """The first part of each drawing's points, as far as it was drawn."""
    lengths = drawings.inks.lengths
    kept = np.maximum(1, np.round(fraction * lengths).astype(int))
    return Drawings(Inks.pack(ink[:n] for ink, n in zip(drawings.inks, kept, strict=True)), drawings.classes)
