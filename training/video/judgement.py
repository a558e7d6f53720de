"""Asks the model of a run about the clips that it did not learn from, and reports on the answers."""

from collections.abc import Mapping, Sequence

import numpy as np
from keras import ops

from training.recipe.publication import Version
from training.recipe.report.judgement import Answers
from training.recipe.run import Run, read_history
from training.video.clips import Clips, FilmedClips
from training.video.config import Config
from training.video.dataset import PHOTOGRAPHS, Dataset
from training.video.evaluate import make_predict, measure_top1, predict_all, predict_views
from training.video.footprint import count_flops
from training.video.models.classifier import VideoClassifier
from training.video.models.two_stream import TwoStreamHead
from training.video.report import Material, write_video_report


def ask_model(model: VideoClassifier, config: Config, dataset: Dataset, run: Run) -> None:
    """Writes the answers that a report is made of to the run's folder."""
    predict, test = make_predict(model), dataset["test"]
    answers = {split: predict_all(predict, dataset[split], config) for split in ("valid", "test")}
    if isinstance(test, FilmedClips) and config.views != (1, 1):
        answers["views"] = predict_views(predict, test, config)
    if model.streams:
        answers |= _ask_streams(model, model.streams, config, test)
    if PHOTOGRAPHS in dataset:
        answers[PHOTOGRAPHS] = predict_all(predict, dataset[PHOTOGRAPHS], config)
        answers["photograph_classes"] = dataset[PHOTOGRAPHS].classes
    answers["flops"] = np.array(count_flops(model, config))
    np.savez(run.answers, **answers)  # type: ignore[arg-type]


def _ask_streams(model: VideoClassifier, streams: TwoStreamHead, config: Config, clips: Clips) -> dict[str, np.ndarray]:
    """What each stream of a two-stream model says by itself."""

    def predict(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        logits = streams.ask_streams(model.prepare(inputs["frames"]), ops.convert_to_tensor(inputs["flow"]))
        return ops.convert_to_numpy(ops.softmax(ops.stack(logits, axis=1)))

    said = predict_all(predict, clips, config)
    return {"appearance": said[:, 0], "motion": said[:, 1]}


def report(run: Run, dataset: Dataset, costs: Mapping[str, float], versions: Sequence[Version]) -> None:
    """Writes the report of a run whose model was asked, and its metrics.json.

    Args:
        run: its answers are there.
        dataset: the one that the model was asked about.
        costs: latencies and size, where an exported version was measured.
        versions: the earlier ones, oldest first.
    """
    config, answers = run.read_config(Config), read_answers(run)
    valid, test = dataset["valid"], dataset["test"]
    extra = _measure_others(answers, test.classes) | {"gflops": float(answers["flops"]) / 1e9}
    material = Material(
        title=f"run {run.folder.name}",
        config=run.config_fields,
        labels=dataset.labels,
        valid=Answers(answers["valid"], valid.classes),
        test=Answers(answers["test"], test.classes),
        calibrated=config.calibrate,
        clips=test,
        history=read_history(run.history),
        costs=costs,
        extra=extra,
        photographs=Answers(answers[PHOTOGRAPHS], answers["photograph_classes"]) if PHOTOGRAPHS in answers else None,
        versions=versions,
    )
    judged = write_video_report(material, run.report)
    run.record({"labels": list(dataset.labels), "metrics": judged | extra | dict(costs)})


def read_answers(run: Run) -> dict[str, np.ndarray]:
    """Probabilities by name: valid, test, views, appearance, motion, photographs; and the number of operations."""
    with np.load(run.answers, allow_pickle=False) as answers:
        return {name: answers[name] for name in answers.files}


def _measure_others(answers: Mapping[str, np.ndarray], classes: np.ndarray) -> dict[str, float]:
    """Top-1 of what was asked beside the centre clips."""
    measured = {
        f"{name}_top1": measure_top1(answers[name], classes)
        for name in ("views", "appearance", "motion")
        if name in answers
    }
    if PHOTOGRAPHS in answers:
        measured["photograph_top1"] = measure_top1(answers[PHOTOGRAPHS], answers["photograph_classes"])
    return measured
