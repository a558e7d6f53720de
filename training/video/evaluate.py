"""Measures a video classifier: the Keras model behind a run, or an exported version through its signature."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.recipe.config import override_values, to_dict
from training.recipe.report.measures import measure
from training.video.batches import join_inputs, split_rows
from training.video.clips import Clips, stack_clips
from training.video.config import PRESETS, Config
from training.video.dataset import PHOTOGRAPHS, open_dataset
from training.video.models.classifier import VideoClassifier
from training.video.rendered.camera import LABELS
from training.video.shape import ClipShape

_BATCH = 64

Predict = Callable[[Mapping[str, np.ndarray]], np.ndarray]  # inputs of the model -> probabilities [batch, classes]


def evaluate(model_folder: Path, data_dir: Path | None) -> dict[str, float]:
    """Measures an exported model on the test split of its own classes.

    Args:
        model_folder: `<models>/video/<version>`.
        data_dir: folder of videos; None renders clips of unseen textures, for a model that tells how the camera moves,
            and measures it on moved photographs as well.

    Returns the measures of `training.recipe.report.measures.measure`, and photograph_top1.

    Raises:
        ValueError: `data_dir` is None, but the model tells something else.
    """
    manifest = json.loads((model_folder / "manifest.json").read_text())
    if data_dir is None and manifest["labels"] != list(LABELS):
        raise ValueError(f"this model knows {manifest['labels'][0]!r}, ...; give the folder of its videos")
    options = {f"shape.{name}": manifest["options"][name] for name in to_dict(ClipShape())}
    config = override_values(PRESETS["bundled"], options)
    if data_dir is not None:
        config = override_values(config, {"labels": manifest["labels"]})
    dataset, predict = open_dataset(config, data_dir), load_predict(model_folder)
    measured = measure(predict_all(predict, dataset["test"], config), dataset["test"].classes)
    if PHOTOGRAPHS in dataset:
        clips = dataset[PHOTOGRAPHS]
        measured["photograph_top1"] = measure_top1(predict_all(predict, clips, config), clips.classes)
    return measured


def measure_top1(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """Share of the rows [rows, classes] whose most probable class is the true one."""
    return float((probabilities.argmax(axis=1) == classes).mean())


def make_predict(model: VideoClassifier) -> Predict:
    """Probabilities by a Keras model, without temperature."""
    # Keras's own would be traced for any number of channels once it has seen luma and RGB.
    compiled = tf.function(lambda inputs: tf.nn.softmax(model(inputs, training=False)), autograph=False)

    def predict(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.asarray(compiled({name: tf.constant(array) for name, array in inputs.items()}))

    return predict


def load_predict(model_folder: Path) -> Predict:
    """Opens the SavedModel in `model_folder`."""
    loaded = tf.saved_model.load(str(model_folder))
    signature = loaded.signatures["serving_default"]

    def predict(inputs: Mapping[str, np.ndarray], _keep: object = loaded) -> np.ndarray:
        return np.asarray(signature(frames=tf.constant(inputs["frames"]))["probabilities"])

    return predict


def predict_all(predict: Predict, clips: Clips, config: Config) -> np.ndarray:
    """Probabilities [clips, classes], in the order of the clips."""
    return np.concatenate(
        [predict(join_inputs(stack_clips(clips, rows), config)) for rows in split_rows(len(clips), _BATCH)]
    )


def predict_views(predict: Predict, clips: Clips, config: Config) -> np.ndarray:
    """As `predict_all`, the mean over `config.views` of each clip."""
    times, crops = config.views
    return np.stack(
        [
            predict(join_inputs(np.stack(clips.view(row, times, crops)), config)).mean(axis=0)
            for row in range(len(clips))
        ]
    )
