"""Split conformal calibration: intervals widened or narrowed until they hold what they say on weeks that nothing was
learned from (Romano et al. 2019, arXiv:1905.03222, by a factor in place of a margin, for series differ in scale)."""

from collections.abc import Sequence

import numpy as np

from training.forecast.levels import MEDIAN, QUANTILE_LEVELS

UNCALIBRATED = (1.0,) * len(QUANTILE_LEVELS)
_LEAST, _MOST = 0.2, 5.0
_FEWEST = 200  # days; with fewer the tails are nobody's guess


def fit_factors(actual: np.ndarray, quantiles: np.ndarray, sources: Sequence[str]) -> tuple[float, ...]:
    """By how much the distance of each quantile from the median is to be multiplied.

    Args:
        actual: float64 [n, 7], NaN where missing.
        quantiles: float64 [n, 7, levels], as forecast without calibration.
        sources: of each week; each counts the same, however many weeks it has.

    Returns:
        A factor per level, 1 for the median; all 1 where there are too few days to tell.
    """
    _, place, weeks = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    known = np.isfinite(actual)
    if known.sum() < _FEWEST:
        return UNCALIBRATED
    weight = np.broadcast_to((1 / weeks)[place][:, None], actual.shape)[known]
    error = (actual - quantiles[..., MEDIAN])[known]
    factors = []
    for i, level in enumerate(QUANTILE_LEVELS):
        distance = (quantiles[..., i] - quantiles[..., MEDIAN])[known]
        wide = np.abs(distance) > 0
        if i == MEDIAN or not wide.any():
            factors.append(1.0)
            continue
        share = max(level, 1 - level)
        factor = np.quantile(error[wide] / distance[wide], share, weights=weight[wide], method="inverted_cdf")
        factors.append(float(np.clip(factor, _LEAST, _MOST)))
    return tuple(factors)
