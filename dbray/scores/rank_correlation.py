"""Spearman's rank correlation of two measures over pairs of models, with an interval over models.

Pairs that share a model are not independent, so the interval is the delete-one jackknife's over
models: the correlation is worked out without each of them. Twice every rank is a whole number, so
ranks and their deviations from the mean rank are exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbray.scores.jackknife import Float64, Parts, estimate

WORKING_BYTES = 64 * 2**20  # of the models that are left out at once
ARRAYS_AT_ONCE = 6  # of one float64 per model and pair
FEWEST_PAIRS = 3


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation and its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def rank_correlation(
    values: NDArray[np.floating],
    other: NDArray[np.floating],
    trial_a: NDArray[np.integer] | NDArray[np.str_],
    trial_b: NDArray[np.integer] | NDArray[np.str_],
) -> RankCorrelation:
    """Correlate the ranks of two measures over K pairs of models; ties get average ranks.

    Parameters
    ----------
    values, other
        The two measures, shape (K,).
    trial_a, trial_b
        The pairs' models, two distinct ones each, integers or strings, shape (K,).

    Returns
    -------
    NaN where a measure is constant or NaN anywhere, or where there are fewer than 3 pairs; no
    interval where that is so without one of the models.

    References
    ----------
    C. Spearman, The proof and measurement of association between two things, 1904.
    """
    nowhere = RankCorrelation(np.nan, np.nan, np.nan)
    if len(values) < FEWEST_PAIRS or np.isnan(values).any() or np.isnan(other).any():
        return nowhere
    value = float(_weighted_spearman(values, other, np.ones((1, len(values))))[0])
    if np.isnan(value):
        return nowhere
    without = _without_each(values, other, trial_a, trial_b)
    if np.isnan(without).any():
        return RankCorrelation(value, np.nan, np.nan)
    found = estimate(Parts(value, np.empty(0), {"models": without}), bounds=(-1.0, 1.0))
    return RankCorrelation(value, found.low, found.high)


def _without_each(
    values: NDArray[np.floating],
    other: NDArray[np.floating],
    trial_a: NDArray[np.integer] | NDArray[np.str_],
    trial_b: NDArray[np.integer] | NDArray[np.str_],
) -> Float64:
    """Correlation without each of M models, shape (M,)."""
    models, index = np.unique(np.concatenate([trial_a, trial_b]), return_inverse=True)
    index_a, index_b = np.split(index, 2)
    step = max(1, WORKING_BYTES // (ARRAYS_AT_ONCE * 8 * len(values)))
    result = np.empty(len(models))
    for start in range(0, len(models), step):
        left_out = np.arange(start, min(start + step, len(models)))[:, None]
        weights = ((index_a != left_out) & (index_b != left_out)).astype(np.float64)
        result[start : start + step] = _weighted_spearman(values, other, weights)
    return result


def _weighted_spearman(
    values: NDArray[np.floating], other: NDArray[np.floating], weights: Float64
) -> Float64:
    """Spearman's correlation when pair k is there weights[., k] times.

    ``weights`` are whole numbers, shape (B, K); the result, shape (B,), is NaN where a measure
    is constant over the pairs with weight.
    """
    x, y = _centred_ranks(values, weights), _centred_ranks(other, weights)
    covariance, variance_x, variance_y = (
        np.einsum("bk,bk,bk->b", weights, u, v) for u, v in ((x, y), (x, x), (y, y))
    )
    scale = np.sqrt(variance_x * variance_y)
    nan = np.full(len(weights), np.nan)
    correlation = np.divide(covariance, scale, out=nan, where=scale > 0)
    return np.asarray(np.clip(correlation, -1, 1), np.float64)


def _centred_ranks(values: NDArray[np.floating], weights: Float64) -> Float64:
    """Average rank less the mean rank of every pair, shape (B, K).

    Equal values whose weights sum to W, with weight L below them, have rank L + (W + 1) / 2; the
    mean rank is (total + 1) / 2.
    """
    distinct, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(distinct)))
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    up_to = np.cumsum(tied, axis=1)
    return np.asarray((up_to - tied / 2 - up_to[:, -1:] / 2)[:, group], np.float64)
