"""Measures a sketch classifier, as exported: through its SavedModel signature."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.sketch.data import Drawings, draw_dataset, load_dataset, pad_inks
from training.sketch.synthetic import SHAPES

_BATCH = 64
_CALIBRATION_BINS = 15
_SYNTHETIC_SEED = 1_000

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]  # ink, lengths -> probabilities


def evaluate(model_folder: Path, data_dir: Path | None) -> dict[str, float]:
    """Measures an exported model on the test split of its own classes in `data_dir`.

    Args:
        model_folder: `<models>/sketch/<version>`.
        data_dir: folder of Quick, Draw! files; None draws shapes, for a model that was trained on shapes.

    Returns:
        top1, top3, top5, macro_f1, nll, ece; latency_ms_batch1 and latency_ms_batch32, medians here.

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
    predict, test = load_predict(model_folder), dataset.splits["test"]
    return measure(predict_all(predict, test), test.classes) | time_predict(predict, test)


def load_predict(model_folder: Path) -> Predict:
    """Opens the SavedModel in `model_folder`."""
    loaded = tf.saved_model.load(str(model_folder))
    signature = loaded.signatures["serving_default"]

    def predict(ink: np.ndarray, lengths: np.ndarray, _keep: object = loaded) -> np.ndarray:
        return np.asarray(signature(ink=tf.constant(ink), lengths=tf.constant(lengths))["probabilities"])

    return predict


def predict_all(predict: Predict, drawings: Drawings) -> np.ndarray:
    """Probabilities [drawings, classes], in the order of the drawings."""
    inks = drawings.inks
    batches = (inks[start : start + _BATCH] for start in range(0, len(inks), _BATCH))
    return np.concatenate([predict(*pad_inks(batch)) for batch in batches])


def measure(probabilities: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """Quality of `probabilities` [drawings, labels] against the true `classes` [drawings]."""
    true = probabilities[np.arange(len(classes)), classes]
    rank = (probabilities > true[:, None]).sum(axis=1)
    return {
        **{f"top{k}": float((rank < k).mean()) for k in (1, 3, 5)},
        "macro_f1": float(class_f1(probabilities, classes).mean()),
        "nll": float(-np.log(np.maximum(true, 1e-12)).mean()),
        "ece": _calibration_error(probabilities, classes),
    }


def class_f1(probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """F1 of each label: [labels]."""
    chosen, count = probabilities.argmax(axis=1), probabilities.shape[1]
    hits = np.bincount(classes[chosen == classes], minlength=count)
    both = np.bincount(chosen, minlength=count) + np.bincount(classes, minlength=count)
    return np.asarray(2 * hits / np.maximum(both, 1))


def time_predict(predict: Predict, drawings: Drawings, repeats: int = 60) -> dict[str, float]:
    """Median time in ms for one drawing and for 32 of like lengths, none of them short."""
    times = {}
    for batch in (1, 32):
        inks = sorted(drawings.inks, key=len)[len(drawings.inks) // 2 :][:batch]
        padded = pad_inks(inks)
        predict(*padded)
        taken = []
        for _ in range(repeats):
            start = time.perf_counter()
            predict(*padded)
            taken.append(time.perf_counter() - start)
        times[f"latency_ms_batch{batch}"] = float(np.median(taken)) * 1e3
    return times


def _calibration_error(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """Expected calibration error of the top answer, 15 equal bins."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == classes
    bins = np.minimum((sure * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    gaps = [abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(sum(gaps))
