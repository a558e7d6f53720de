"""Asks the model of a run about the drawings that it did not learn from, and reports on the answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from training.recipe.publication import Version
from training.recipe.report.judgement import Answers
from training.recipe.report.measures import measure
from training.recipe.run import Run, read_history
from training.sketch.config import Config
from training.sketch.drawings import BitmapDataset, Bitmaps, Dataset, Drawings
from training.sketch.evaluate import cut_drawings, make_predict, predict_all
from training.sketch.outside import load_outside
from training.sketch.report import Material, paint_ink, paint_picture, write_sketch_report

_PICTURES = 256  # at a time
_BEGUN = (0.1, 0.25, 0.5, 0.75)  # shares of the points


def ask_model(
    model: keras.Model, config: Config, dataset: Dataset | BitmapDataset, data_dir: Path | None, run: Run
) -> None:
    """Writes the answers that a report is made of to the run's folder.

    Of a large split, `config.judged` drawings are asked about, the same for each run.
    """
    valid, test = pick_judged(dataset, config)
    answers = {"valid": _ask(model, valid), "test": _ask(model, test)}
    if isinstance(test, Drawings):
        answers |= {f"begun.{share}": _ask(model, cut_drawings(test, share)) for share in _BEGUN}
    outside = load_outside(data_dir, dataset.labels, config.max_points) if data_dir else None
    if outside:
        answers |= {"outside": _ask(model, outside[0]), "outside_classes": outside[0].classes}
        answers["outside_share"] = np.array(outside[1])
    np.savez(run.answers, **answers)  # type: ignore[arg-type]


def _ask(model: keras.Model, split: Drawings | Bitmaps) -> np.ndarray:
    if isinstance(split, Drawings):
        return predict_all(make_predict(model), split)
    chunks = np.split(split.images, range(_PICTURES, len(split), _PICTURES))
    logits = [model.predict_on_batch({"image": chunk.astype(np.float32) / 255}) for chunk in chunks]
    return keras.ops.convert_to_numpy(keras.ops.softmax(np.concatenate(logits)))


def report(run: Run, dataset: Dataset | BitmapDataset, costs: Mapping[str, float], versions: Sequence[Version]) -> None:
    """Writes the report of a run whose model was asked, and its metrics.json.

    Args:
        run: its answers are there.
        dataset: the one that the model was asked about.
        costs: latencies and size, where an exported version was measured.
        versions: the earlier ones, oldest first.
    """
    config = run.read_config(Config)
    answers = read_answers(run)
    valid, test = pick_judged(dataset, config)
    extra: dict[str, float] = {}
    if "outside" in answers:
        extra["outside_top1"] = measure(answers["outside"], answers["outside_classes"])["top1"]
    material = Material(
        title=f"run {run.folder.name}",
        config=run.config_fields,
        labels=dataset.labels,
        valid=Answers(answers["valid"], valid.classes),
        test=Answers(answers["test"], test.classes),
        calibrated=config.calibrate,
        drawings=test.inks if isinstance(test, Drawings) else list(test.images),
        paint=paint_ink if isinstance(test, Drawings) else paint_picture,
        fractions={share: answers[f"begun.{share}"] for share in _BEGUN if isinstance(test, Drawings)},
        history=read_history(run.history),
        costs=costs,
        extra=extra,
        versions=versions,
    )
    judged = write_sketch_report(material, run.report)
    run.record({"labels": list(dataset.labels), "metrics": judged | extra | dict(costs)})


def read_answers(run: Run) -> dict[str, np.ndarray]:
    """Probabilities by name: valid, test, begun.<share>, outside."""
    with np.load(run.answers, allow_pickle=False) as answers:
        return {name: answers[name] for name in answers.files}


def pick_judged(dataset: Dataset | BitmapDataset, config: Config) -> tuple[Drawings | Bitmaps, Drawings | Bitmaps]:
    """At most `config.judged` drawings of the valid split and of the test split, always the same ones."""
    return _pick(dataset.splits["valid"], config.judged), _pick(dataset.splits["test"], config.judged)


def _pick(split: Drawings | Bitmaps, count: int) -> Drawings | Bitmaps:
    if len(split) <= count:
        return split
    return split.take(np.sort(np.random.default_rng(0).permutation(len(split))[:count]))
