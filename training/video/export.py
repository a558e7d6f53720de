"""Makes the model of a run a version that the services load."""

from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.recipe.config import to_dict
from training.recipe.errors import ConfigError, PublicationError
from training.recipe.export import Export, Tensors, export_model
from training.recipe.publication import Measured, Version, check_better, fingerprint, read_versions
from training.recipe.report.calibration import apply_temperature, fit_temperature
from training.recipe.report.measures import measure
from training.recipe.run import Run
from training.video.card import describe_data, write_card
from training.video.clips import Clips, RenderedClips, stack_clips
from training.video.config import Config
from training.video.dataset import Dataset, open_dataset
from training.video.evaluate import load_predict, predict_all
from training.video.judgement import read_answers, report
from training.video.shape import ClipShape
from training.video.train import load_model

_GOLDEN = 3
_CHECKED = 500
_TOLERANCE = 1e-4


def export(run: Run, models_dir: Path, allow_worse: bool = False) -> Path:
    """Exports the model of a finished run as the next version of "video" and returns its folder.

    The version in service is measured on the run's test clips first. The run's report is written anew, with latency,
    size and the earlier versions.

    Raises:
        ConfigError: the model reads optical flow, which the services do not compute.
        PublicationError: the version would be worse than the newest one, or cannot be compared with it, and
            `allow_worse` is not given; or the exported graph answers differently from the model that was trained.
    """
    config = run.read_config(Config)
    if config.model.family == "two_stream":
        raise ConfigError("a two_stream model reads optical flow, which the services do not compute")
    dataset, answers = open_dataset(config, run.data_dir), read_answers(run)
    labels, shape, test = dataset.labels, config.shape, dataset["test"]
    model, versions = load_model(run, config, len(labels)), read_versions(models_dir, "video")
    data = fingerprint(stack_clips(test, range(len(test))), np.array(labels)[test.classes])
    candidate = Measured(f"run {run.folder.name}", run.metrics["metrics"], labels, data)
    newest = measure_version(versions[-1], dataset, config, data) if versions else None
    print(check_better(candidate, newest, "top1", allow_worse=allow_worse))
    temperature = fit_temperature(answers["valid"], dataset["valid"].classes) if config.calibrate else 1.0

    def serve(inputs: Tensors) -> Tensors:
        return {"probabilities": tf.nn.softmax(model(inputs, training=False) / temperature)}

    folder = export_model(
        Export(
            name="video",
            task="video classification" if run.data_dir else "camera motion classification",
            model=model,
            serve=serve,
            inputs=describe_inputs(shape),
            golden_inputs={"frames": stack_clips(test, range(min(_GOLDEN, len(test))))},
            labels=labels,
            options=to_dict(shape) | {"temperature": temperature},
            metrics=run.metrics["metrics"],
            data=describe_data(run.data_dir),
            card=partial(write_card, run, dataset, answers, model.count_params()),
            batches=config.served_batches,
            rounds=config.measure_rounds,
            classify_output="probabilities",
            check=lambda draft: _check_answers(draft, test, config, apply_temperature(answers["test"], temperature)),
        ),
        models_dir,
    )
    report(run, dataset, read_versions(models_dir, "video")[-1].costs, versions)
    return folder


def describe_inputs(shape: ClipShape) -> dict[str, tf.TensorSpec]:
    """Signature of what is served."""
    return {"frames": tf.TensorSpec([None, shape.frames, shape.height, shape.width, 3], tf.uint8)}


def measure_version(version: Version, dataset: Dataset, config: Config, data: str) -> Measured:
    """The version on the run's test clips, which `data` names, with its classes in the run's order; without measures if
    it reads others or answers something else."""
    labels, test = version.labels, dataset["test"]
    shape = {name: version.options.get(name) for name in to_dict(config.shape)}
    if set(labels) != set(dataset.labels) or shape != to_dict(config.shape):
        return Measured(version.title, {}, labels, "")
    answers = predict_all(load_predict(version.folder), test, config)
    answers = answers[:, [labels.index(label) for label in dataset.labels]]
    return Measured(version.title, measure(answers, test.classes), labels, data)


def _check_answers(folder: Path, test: Clips, config: Config, expected: np.ndarray) -> None:
    """Compares what the graph says with what the model said when it was judged."""
    rows = range(min(_CHECKED, len(test)))
    some = RenderedClips(stack_clips(test, rows), test.classes[: len(rows)])
    said = predict_all(load_predict(folder), some, config)
    worst = float(np.abs(said - expected[: len(said)]).max())
    if not worst <= _TOLERANCE:
        raise PublicationError(
            f"the exported graph answers differently: by {worst:.2g}, at most {_TOLERANCE:g} is allowed"
        )
