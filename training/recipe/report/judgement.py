"""What can be told of a classifier from its answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.recipe.report.calibration import apply_temperature, fit_temperature
from training.recipe.report.measures import (
    ClassScores,
    Confusion,
    CoverageCurve,
    confuse,
    measure,
    measure_coverage,
    score_classes,
    top_confusions,
)

CALIBRATED = ("nll", "ece", "brier")  # the measures that a temperature changes
_CONFUSIONS = 15
_COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class Answers:
    """What a model said to a split: `probabilities` float [rows, classes], and `classes` int [rows], the truth."""

    probabilities: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Judgement:
    """All that can be told of a classifier from its answers.

    Attributes:
        labels: names of the classes.
        temperature: fitted on the validation rows.
        calibrated: whether the model is served with it.
        raw, scaled: the test answers without and with it.
        raw_metrics, scaled_metrics: see `measures.measure`.
        scores: of each class.
        table: confusion matrix.
        confusions: the most frequent ones.
        coverage: accuracy against the share that is answered, as served.
    """

    labels: tuple[str, ...]
    temperature: float
    calibrated: bool
    raw: Answers
    scaled: Answers
    raw_metrics: dict[str, float]
    scaled_metrics: dict[str, float]
    scores: ClassScores
    table: np.ndarray
    confusions: list[Confusion]
    coverage: CoverageCurve

    @property
    def answers(self) -> Answers:
        """The test answers as they are served."""
        return self.scaled if self.calibrated else self.raw

    @property
    def metrics(self) -> dict[str, float]:
        """Those of `answers`."""
        return self.scaled_metrics if self.calibrated else self.raw_metrics


def judge(labels: Sequence[str], valid: Answers, test: Answers, calibrated: bool) -> Judgement:
    """Measures the test answers. The temperature comes from the validation rows; both are given without it."""
    temperature = fit_temperature(valid.probabilities, valid.classes)
    scaled = Answers(apply_temperature(test.probabilities, temperature), test.classes)
    served = scaled if calibrated else test
    table = confuse(test.probabilities, test.classes)
    return Judgement(
        labels=tuple(labels),
        temperature=temperature,
        calibrated=calibrated,
        raw=test,
        scaled=scaled,
        raw_metrics=measure(test.probabilities, test.classes),
        scaled_metrics=measure(scaled.probabilities, scaled.classes),
        scores=score_classes(test.probabilities, test.classes),
        table=table,
        confusions=top_confusions(table, _CONFUSIONS),
        coverage=measure_coverage(served.probabilities, served.classes),
    )


def pick_coverages(curve: CoverageCurve) -> list[tuple[float, int]]:
    """Some shares that are answered, and the place of each in the curve."""
    return [(share, max(int(np.ceil(share * len(curve.coverage))) - 1, 0)) for share in _COVERAGES]


def list_results(judgement: Judgement) -> dict[str, Any]:
    """All of it as JSON types."""
    labels, scores, curve = judgement.labels, judgement.scores, judgement.coverage
    return {
        "labels": list(labels),
        "metrics": judgement.metrics,
        "calibration": {
            "temperature": judgement.temperature,
            "served": judgement.calibrated,
            "before": {name: judgement.raw_metrics[name] for name in CALIBRATED},
            "after": {name: judgement.scaled_metrics[name] for name in CALIBRATED},
        },
        "classes": [
            {
                "label": label,
                "precision": float(scores.precision[i]),
                "recall": float(scores.recall[i]),
                "f1": float(scores.f1[i]),
                "rows": int(scores.support[i]),
            }
            for i, label in enumerate(labels)
        ],
        "confusions": [
            {"truth": labels[c.true], "answer": labels[c.said], "rows": c.count, "share": c.share}
            for c in judgement.confusions
        ],
        "confusion_matrix": judgement.table.tolist(),
        "coverage": [
            {"answered": share, "accuracy": float(curve.accuracy[i]), "confidence": float(curve.confidence[i])}
            for share, i in pick_coverages(curve)
        ],
    }
