"""Does a classifier's confidence mean what it says?

Reliability and temperature scaling as in Guo et al. 2017, arXiv:1706.04599.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

BINS = 15
LOWEST, HIGHEST = 0.05, 20.0  # temperatures
_LEAST = 1e-30  # a probability of zero has no logarithm
_BLOCK = 1 << 14  # rows at a time, so that a million of them need no second copy


@dataclass(frozen=True)
class Reliability:
    """What lies in each of equally wide bins of confidence, float64 [bins] each; NaN in bins without rows.

    Attributes:
        share: of all rows.
        confidence: mean probability of the answers.
        accuracy: share of right answers.
    """

    share: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance between confidence and accuracy, weighted by rows."""
        return float(np.nansum(np.abs(self.confidence - self.accuracy) * self.share))


def bin_confidence(probabilities: np.ndarray, classes: np.ndarray, bins: int = BINS) -> Reliability:
    """Sorts the answers in `probabilities` [rows, classes] into bins by confidence; true `classes` [rows]."""
    sure, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == classes
    index = np.minimum((sure * bins).astype(int), bins - 1)
    counts = np.bincount(index, minlength=bins).astype(np.float64)
    filled = np.where(counts > 0, counts, np.nan)
    return Reliability(
        share=counts / len(classes),
        confidence=np.bincount(index, sure, bins) / filled,
        accuracy=np.bincount(index, right, bins) / filled,
    )


def fit_temperature(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """The temperature that makes these rows likeliest; fit it on validation rows and judge it on others.

    Above 1 the classifier was too sure, below 1 not sure enough. It lies within 0.05 and 20: rows that are all answered
    right have no best one.

    Args:
        probabilities: softmax of the logits, [rows, classes]; their logarithms differ from the logits by a constant per
            row, which the softmax does not see.
        classes: true classes [rows].
    """

    def loss(log_temperature: float) -> float:
        return _mean_nll(probabilities, classes, float(np.exp(log_temperature)))

    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax of the logits over `temperature`; no answer changes, only how sure it is. [rows, classes] -> the same."""
    scaled = np.empty_like(probabilities)
    for start in range(0, len(probabilities), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scaled[rows] = softmax(_to_logits(probabilities[rows]) / temperature, axis=1)
    return scaled


def _mean_nll(probabilities: np.ndarray, classes: np.ndarray, temperature: float) -> float:
    total = 0.0
    for start in range(0, len(classes), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scores = log_softmax(_to_logits(probabilities[rows]) / temperature, axis=1)
        total -= float(scores[np.arange(len(scores)), classes[rows]].sum())
    return total / len(classes)


def _to_logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
