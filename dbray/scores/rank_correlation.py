"""Spearman's rank correlation of two measures over pairs of models, with a bootstrap interval.

Pairs that share a model are not independent, so the bootstrap draws models. A replicate that
draws model a v_a times holds the pair (a, b) v_a v_b times; a pair that is there several times
is several tied observations. Twice every rank is a whole number, so ranks and their deviations
from the mean rank are exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbray.scores.intervals import BOOTSTRAP_SEED, LEVEL, REPLICATES

WORKING_BYTES = 64 * 2**20  # of the replicates worked on at once
ARRAYS_AT_ONCE = 6  # of one float64 per replicate and pair
FEWEST_PAIRS = 3

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation and its central 95 % interval; all NaN where it is not defined."""

    value: float
    low: float
    high: float


def rank_correlation(
    values: NDArray[np.floating],
    other: NDArray[np.floating],
    trial_a: NDArray[np.integer] | NDArray[np.str_],
    trial_b: NDArray[np.integer] | NDArray[np.str_],
    replicates: int = REPLICATES,
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
    NaN where a measure is constant or NaN anywhere, or where there are fewer than 3 pairs.
    Replicates in which a measure is constant are left out of the interval.

    References
    ----------
    C. Spearman, The proof and measurement of association between two things, 1904.
    """
    if len(values) < FEWEST_PAIRS or np.isnan(values).any() or np.isnan(other).any():
        return RankCorrelation(np.nan, np.nan, np.nan)
    value = _weighted_spearman(values, other, np.ones((1, len(values))))[0]
    if np.isnan(value):
        return RankCorrelation(np.nan, np.nan, np.nan)
    low, high = _interval(_replicate_values(values, other, trial_a, trial_b, replicates))
    return RankCorrelation(float(value), low, high)


def _replicate_values(
    values: NDArray[np.floating],
    other: NDArray[np.floating],
    trial_a: NDArray[np.integer] | NDArray[np.str_],
    trial_b: NDArray[np.integer] | NDArray[np.str_],
    replicates: int,
) -> Float64:
    """Correlation in each of B replicates, shape (B,)."""
    models, index = np.unique(np.concatenate([trial_a, trial_b]), return_inverse=True)
    index_a, index_b = np.split(index, 2)
    rng = np.random.default_rng([BOOTSTRAP_SEED, len(models)])
    draws = rng.multinomial(len(models), np.full(len(models), 1 / len(models)), size=replicates)
    step = max(1, WORKING_BYTES // (ARRAYS_AT_ONCE * 8 * len(values)))
    result = np.empty(replicates)
    for start in range(0, replicates, step):
        v = draws[start : start + step].astype(np.float64)
        weights = v[:, index_a] * v[:, index_b]
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


def _interval(correlations: Float64) -> tuple[float, float]:
    usable = correlations[~np.isnan(correlations)]
    if not len(usable):
        return np.nan, np.nan
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    return float(low), float(high)
