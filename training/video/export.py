"""Makes the model of a run a version that the services load."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from training.recipe.export import Export, Tensors, export_model
from training.recipe.publication import Measured, check_better, fingerprint, read_versions
from training.recipe.run import Run
from training.video.card import DATA, write_card
from training.video.config import Config
from training.video.evaluate import confuse, load_predict, measure, predict_all
from training.video.model import classify
from training.video.rendered.camera import LABELS
from training.video.shape import ClipShape
from training.video.train import load_model, render_check

_GOLDEN = 3


def export(run: Run, models_dir: Path, allow_worse: bool = False) -> Path:
    """Exports the model of a finished run as the next version of "video" and returns its folder.

    The version in service is measured on the run's clips of unseen textures first.

    Raises:
        PublicationError: the version would be right less often than the newest one, or cannot be compared with it, and
            `allow_worse` is not given.
    """
    config = run.read_config(Config)
    shape, model, metrics = config.shape, load_model(run, config), run.metrics["metrics"]
    clips, classes = render_check(config)
    candidate = Measured(f"run {run.folder.name}", metrics, LABELS, fingerprint(clips, classes))
    newest = _measure_newest(models_dir, clips, classes, _options(shape))
    print(check_better(candidate, newest, "top1", allow_worse=allow_worse))
    with np.load(run.answers, allow_pickle=False) as answers:
        table = confuse(answers["unseen"], classes)

    def serve(inputs: Tensors) -> Tensors:
        return classify(model, inputs)

    return export_model(
        Export(
            name="video",
            task="camera motion classification",
            model=model,
            serve=serve,
            inputs={"frames": tf.TensorSpec([None, shape.frames, shape.height, shape.width, 3], tf.uint8)},
            golden_inputs={"frames": clips[:_GOLDEN]},
            labels=LABELS,
            options=_options(shape),
            metrics=metrics,
            data=DATA,
            card=partial(write_card, config, table, model.count_params()),
            batches=config.served_batches,
            rounds=config.measure_rounds,
            classify_output="probabilities",
        ),
        models_dir,
    )


def _options(shape: ClipShape) -> dict[str, Any]:
    return {"frames": shape.frames, "height": shape.height, "width": shape.width, "fps": shape.fps}


def _measure_newest(
    models_dir: Path, clips: np.ndarray, classes: np.ndarray, options: dict[str, Any]
) -> Measured | None:
    """The version in service on the run's clips; without measures if it reads others or answers something else."""
    versions = read_versions(models_dir, "video")
    if not versions:
        return None
    newest = versions[-1]
    if newest.labels != LABELS or newest.options != options:
        return Measured(newest.title, {}, newest.labels, "")
    answers = predict_all(load_predict(newest.folder), clips)
    return Measured(newest.title, measure(answers, classes), newest.labels, fingerprint(clips, classes))
