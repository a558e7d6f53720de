"""Measures a camera-motion classifier: the Keras model behind a run, or an exported version through its signature."""

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from training.video.data import render_dataset
from training.video.model import classify
from training.video.rendered.camera import LABELS
from training.video.rendered.photographs import film_photographs
from training.video.rendered.textures import UNSEEN_FAMILIES
from training.video.shape import ClipShape

CHECK_SEED = 1_000_003  # never used for training
_CLIPS, _PHOTOGRAPH_CLIPS, _WORKERS = 1800, 900, 2
_BATCH = 64
_CALIBRATION_BINS = 15

Predict = Callable[[np.ndarray], np.ndarray]  # frames -> probabilities


def evaluate(model_folder: Path, data_dir: Path | None) -> dict[str, float]:
    """Measures an exported model on clips rendered of unseen textures, and of photographs.

    Args:
        model_folder: `<models>/video/<version>`.
        data_dir: not used; the clips are rendered.

    Returns:
        top1, macro_f1, nll and ece of unseen textures; photograph_top1 and so on.
    """
    options = json.loads((model_folder / "manifest.json").read_text())["options"]
    shape = ClipShape(options["frames"], options["height"], options["width"], options["fps"])
    predict = load_predict(model_folder)
    clips, classes = render_dataset(CHECK_SEED, _CLIPS, UNSEEN_FAMILIES, shape, _WORKERS)
    photographs = film_photographs(CHECK_SEED, _PHOTOGRAPH_CLIPS, shape)
    measured = measure(predict_all(predict, clips), classes)
    return measured | measure(predict_all(predict, photographs[0]), photographs[1], "photograph_")


def make_predict(model: keras.Model) -> Predict:
    """Probabilities by a Keras model."""
    compiled = tf.function(lambda frames: classify(model, {"frames": frames}), autograph=False)

    def predict(frames: np.ndarray) -> np.ndarray:
        return np.asarray(compiled(tf.constant(frames))["probabilities"])

    return predict


def load_predict(model_folder: Path) -> Predict:
    """Opens the SavedModel in `model_folder`."""
    loaded = tf.saved_model.load(str(model_folder))
    signature = loaded.signatures["serving_default"]

    def predict(frames: np.ndarray, _keep: object = loaded) -> np.ndarray:
        return signature(frames=tf.constant(frames))["probabilities"].numpy()

    return predict


def predict_all(predict: Predict, clips: np.ndarray) -> np.ndarray:
    """Probabilities [clips, classes], in the order of the clips."""
    return np.concatenate([predict(clips[start : start + _BATCH]) for start in range(0, len(clips), _BATCH)])


def measure(probabilities: np.ndarray, classes: np.ndarray, prefix: str = "") -> dict[str, float]:
    """Quality of `probabilities` [clips, labels] against the true `classes` [clips]."""
    true = probabilities[np.arange(len(classes)), classes]
    table = confuse(probabilities, classes)
    f1 = 2 * np.diag(table) / np.maximum(table.sum(0) + table.sum(1), 1)
    return {
        f"{prefix}top1": float(np.trace(table) / table.sum()),
        f"{prefix}macro_f1": float(f1.mean()),
        f"{prefix}nll": float(-np.log(np.maximum(true, 1e-12)).mean()),
        f"{prefix}ece": _calibration_error(probabilities, classes),
    }


def confuse(probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Counts of clips by true label (rows) and answered label (columns). int64 [labels, labels]"""
    table = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(table, (classes, probabilities.argmax(axis=1)), 1)
    return table


def _calibration_error(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """Expected calibration error of the top answer, 15 equal bins."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == classes
    bins = np.minimum((sure * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    gaps = [abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(sum(gaps))
