"""How good a classifier's answers are. Answers are probabilities [rows, classes], the truth is classes int [rows].

Where two classes are equally likely the answer is the first of them, in every measure.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support  # type: ignore[import-untyped]

from training.recipe.report.calibration import bin_confidence

_LEAST = 1e-12  # probability that a likelihood counts at least
_DRAWS = 10_000


@dataclass(frozen=True)
class ClassScores:
    """Scores of each class, float64 [classes] each: `precision`, `recall`, `f1`, and `support`, its number of rows.

    What nothing can be told of is 0: the precision of a class that was never answered, the recall of one without rows.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


@dataclass(frozen=True)
class Confusion:
    """`count` rows of class `true` were taken for class `said`, which is the `share` of the rows of `true`."""

    true: int
    said: int
    count: int
    share: float


@dataclass(frozen=True)
class CoverageCurve:
    """What is right if only the surest answers are given, float64 [rows] each, from the surest answer on.

    Attributes:
        coverage: share of the rows that are answered.
        accuracy: share of these that are right.
        confidence: probability of the least sure one among them.
    """

    coverage: np.ndarray
    accuracy: np.ndarray
    confidence: np.ndarray


def measure(probabilities: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """All measures that are one number.

    Returns:
        top1, top3, top5: share of rows whose class is among the first answers; top1_low and top1_high, 95 % interval;
        map3: mean average precision of three answers (1, 1/2 or 1/3 by place), as in Kaggle's Doodle competition;
        macro_precision, macro_recall, macro_f1: means over all classes, also those without rows;
        nll: mean negative log likelihood in nats; brier: mean square error summed over classes, 0 to 2;
        ece: expected calibration error over 15 bins.

    Raises:
        ValueError: shapes do not fit, there are no rows, a class is none of the columns, or a probability is no number.
    """
    _check(probabilities, classes)
    rank, scores = rank_truth(probabilities, classes), score_classes(probabilities, classes)
    true = probabilities[np.arange(len(classes)), classes].astype(np.float64)
    low, high = bootstrap_share(rank == 0)
    squares = np.einsum("rc,rc->r", probabilities, probabilities, dtype=np.float64)
    return {
        **{f"top{k}": float((rank < k).mean()) for k in (1, 3, 5)},
        "top1_low": low,
        "top1_high": high,
        "map3": float(np.where(rank < 3, 1 / (1 + rank), 0).mean()),
        "macro_precision": float(scores.precision.mean()),
        "macro_recall": float(scores.recall.mean()),
        "macro_f1": float(scores.f1.mean()),
        "nll": float(-np.log(np.maximum(true, _LEAST)).mean()),
        "brier": float((squares - 2 * true + 1).mean()),
        "ece": bin_confidence(probabilities, classes).error,
    }


def rank_truth(probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """How many classes come before the true one: int64 [rows], 0 where the answer is right."""
    true = probabilities[np.arange(len(classes)), classes][:, None]
    earlier = np.arange(probabilities.shape[1]) < np.asarray(classes)[:, None]
    return np.asarray(((probabilities > true) | ((probabilities == true) & earlier)).sum(axis=1))


def bootstrap_share(hits: np.ndarray, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the share of `hits`, bool [rows] (Efron & Tibshirani 1993, chapter 13).

    The hits among rows drawn with replacement have a binomial distribution, so that is drawn from at once.
    """
    shares = np.random.default_rng(seed).binomial(len(hits), hits.mean(), _DRAWS) / len(hits)
    low, high = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def score_classes(probabilities: np.ndarray, classes: np.ndarray) -> ClassScores:
    """Precision, recall and F1 of each class."""
    labels = np.arange(probabilities.shape[1])
    said = probabilities.argmax(axis=1)
    scores = precision_recall_fscore_support(classes, said, labels=labels, zero_division=0)
    return ClassScores(*(np.asarray(score, np.float64) for score in scores))


def class_f1(probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """F1 of each class: float64 [classes]."""
    return score_classes(probabilities, classes).f1


def confuse(probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Numbers of rows by true class (rows of the table) and answered class (columns): int64 [classes, classes]."""
    labels = np.arange(probabilities.shape[1])
    return np.asarray(confusion_matrix(classes, probabilities.argmax(axis=1), labels=labels), np.int64)


def top_confusions(table: np.ndarray, count: int) -> list[Confusion]:
    """The `count` most frequent confusions in a table of `confuse`, most frequent first; fewer if there are fewer."""
    wrong = table - np.diag(np.diag(table))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = [(int(true), int(said)) for true, said in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    return [
        Confusion(true, said, int(wrong[true, said]), float(wrong[true, said] / table[true].sum()))
        for true, said in pairs
        if wrong[true, said]
    ]


def measure_coverage(probabilities: np.ndarray, classes: np.ndarray) -> CoverageCurve:
    """Accuracy against the share of rows that are answered, the surest first."""
    sure, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == classes
    order, given = np.argsort(-sure, kind="stable"), np.arange(1, len(sure) + 1)
    return CoverageCurve(given / len(sure), np.cumsum(right[order]) / given, sure[order])


def _check(probabilities: np.ndarray, classes: np.ndarray) -> None:
    if probabilities.ndim != 2 or classes.shape != (len(probabilities),) or not len(classes):
        found = f"{probabilities.shape} and {classes.shape}"
        raise ValueError(f"expected probabilities [rows, classes] and classes [rows], found {found}")
    if classes.min() < 0 or classes.max() >= probabilities.shape[1]:
        raise ValueError(f"classes go from {classes.min()} to {classes.max()} with {probabilities.shape[1]} columns")
    odd = ~np.isfinite(probabilities).all(axis=1)
    if odd.any():
        raise ValueError(f"{odd.sum()} rows of probabilities, the first {odd.argmax()}, hold what is no number")
