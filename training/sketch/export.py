"""Makes the model of a run a version that the services load."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.recipe.errors import PublicationError
from training.recipe.export import Export, Tensors, export_model
from training.recipe.lattice import choose_lengths
from training.recipe.publication import Measured, Version, check_better, fingerprint, read_versions
from training.recipe.report.calibration import apply_temperature, fit_temperature
from training.recipe.report.measures import measure
from training.recipe.run import Run
from training.sketch.card import describe_data, write_card
from training.sketch.config import Config
from training.sketch.data import draw_dataset
from training.sketch.drawings import BitmapDataset, Bitmaps, Dataset, Drawings
from training.sketch.evaluate import load_predict, predict_all
from training.sketch.ink import pad_inks
from training.sketch.judgement import pick_judged, read_answers, report
from training.sketch.model_config import FusionModel, Model, RasterModel
from training.sketch.simplification import BOX, TOLERANCE
from training.sketch.train import load_model, open_dataset

INPUTS = {"ink": tf.TensorSpec([None, None, 3], tf.float32), "lengths": tf.TensorSpec([None], tf.int32)}
AnyDataset = Dataset | BitmapDataset
_GOLDEN = 8
_STAND_IN = 60  # shapes of each kind, where the training data has no strokes
_LENGTH_STEP = 4
_CHECKED = 500
_TOLERANCE = 1e-3  # a GPU that trained may multiply with fewer bits


def export(run: Run, models_dir: Path, allow_worse: bool = False) -> Path:
    """Exports the model of a finished run as the next version of "sketch" and returns its folder.

    The version in service is measured on the run's test drawings first. The run's report is written anew, with latency,
    size and the earlier versions.

    Raises:
        PublicationError: the version would be worse than the newest one, or cannot be compared with it, and
            `allow_worse` is not given; or the exported graph answers differently from the model that was trained.
    """
    config, data_dir = run.read_config(Config), run.data_dir
    dataset = open_dataset(config, data_dir)
    labels, model = dataset.labels, load_model(run, config, len(dataset.labels))
    answers, versions = read_answers(run), read_versions(models_dir, "sketch")
    valid, test = pick_judged(dataset, config)
    candidate = Measured(f"run {run.folder.name}", run.metrics["metrics"], labels, _name_data(test, labels))
    newest = _measure_version(versions[-1], dataset, test) if versions else None
    print(check_better(candidate, newest, "top1", allow_worse=allow_worse))
    drawn = (
        test if isinstance(test, Drawings) else draw_dataset(_STAND_IN, config.max_points, config.seed).splits["test"]
    )
    temperature = fit_temperature(answers["valid"], valid.classes) if config.calibrate else 1.0

    def serve(inputs: Tensors) -> Tensors:
        return {"probabilities": tf.nn.softmax(model(inputs, training=False) / temperature)}

    folder = export_model(
        Export(
            name="sketch",
            task="sketch classification",
            model=model,
            serve=serve,
            inputs=INPUTS,
            golden_inputs=_golden_inputs(drawn),
            labels=labels,
            options={
                "max_points": config.max_points,
                "box": int(BOX),
                "simplify_tolerance": TOLERANCE,
                "temperature": temperature,
            },
            metrics=run.metrics["metrics"],
            data=describe_data(data_dir),
            card=partial(write_card, run, dataset, answers, temperature, model.count_params()),
            padded_input="ink",
            lengths_input="lengths",
            lengths=_served_lengths(dataset, drawn, config),
            typical_length=int(np.median(drawn.inks.lengths)),
            batches=config.served_batches,
            rounds=config.measure_rounds,
            classify_output="probabilities",
            check=lambda draft: _check_answers(draft, test, apply_temperature(answers["test"], temperature)),
        ),
        models_dir,
    )
    report(run, dataset, read_versions(models_dir, "sketch")[-1].costs, versions)
    return folder


def _check_answers(folder: Path, test: Drawings | Bitmaps, expected: np.ndarray) -> None:
    """Compares what the graph says with what the model said when it was judged."""
    if isinstance(test, Bitmaps):
        return  # the graph reads strokes; there are none of these pictures
    rows = np.arange(min(_CHECKED, len(test.inks)))
    said = predict_all(load_predict(folder), test.take(rows))
    worst = float(np.abs(said - expected[rows]).max())
    if not worst <= _TOLERANCE:
        raise PublicationError(
            f"the exported graph answers differently: by {worst:.2g}, at most {_TOLERANCE:g} is allowed"
        )


def _measure_version(version: Version, dataset: AnyDataset, test: Drawings | Bitmaps) -> Measured:
    """The version on the run's test drawings, with its classes in the run's order."""
    labels = version.labels
    if set(labels) != set(dataset.labels) or isinstance(test, Bitmaps):
        return Measured(version.title, {}, labels, "")
    answers = predict_all(load_predict(version.folder), test)[:, [labels.index(label) for label in dataset.labels]]
    return Measured(version.title, measure(answers, test.classes), labels, _name_data(test, dataset.labels))


def _name_data(test: Drawings | Bitmaps, labels: tuple[str, ...]) -> str:
    arrays = (np.asarray(test.inks.points), test.inks.ends) if isinstance(test, Drawings) else (test.images,)
    return fingerprint(*arrays, np.array(labels)[test.classes])


def _served_lengths(dataset: AnyDataset, drawn: Drawings, config: Config) -> tuple[int, ...]:
    """Multiples of the convolutions' stride: what comes after them reads the steps in between anyway."""
    train = dataset.splits["train"]
    lengths = (train if isinstance(train, Drawings) else drawn).inks.lengths
    step = math.lcm(_LENGTH_STEP, _stride(config.model))
    return choose_lengths(lengths, config.max_points, step, config.max_padding)


def _stride(model: Model) -> int:
    if isinstance(model, FusionModel):
        return _stride(model.sequence)
    return 1 if isinstance(model, RasterModel) else 2 ** len(model.channels)


def _golden_inputs(test: Drawings) -> dict[str, np.ndarray]:
    """Some test drawings of different lengths."""
    order = np.argsort(test.inks.lengths, kind="stable")
    ink, lengths = pad_inks(test.inks.take(order[np.linspace(0, len(order) - 1, _GOLDEN).astype(int)]))
    return {"ink": ink, "lengths": lengths}
