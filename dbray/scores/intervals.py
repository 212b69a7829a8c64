"""Bootstrap intervals of agreement within and between groups, planes and seeds resampled together.

A replicate weighs plane p by how often it was drawn, w_p, and trial a by v_a. Its score is

    sum_p w_p sum_(a,b) v_a v_b A[p, a, b]  /  (N * sum_p w_p * sum_(a,b) v_a v_b)

over pairs of distinct trials. All of it but the last division is a sum of integers that floating
point holds exactly, so parts of the sum can be worked out anywhere, in any order, and added up
to the same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REPLICATES = 1000
BOOTSTRAP_SEED = 20_220_315
LEVEL = 0.95
WORKING_SUMS = 2**22  # bounds the working memory: replicates at once times pairs of trials

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class ReplicateSums:
    """Weighted agreements of one pair of groups, per replicate; add the parts over planes.

    Attributes
    ----------
    weighted
        float64 holding integers, shape (B,): sum over planes and pairs of weight x agreements.
    pair_weights
        float64 holding integers, shape (B,): sum over pairs of v_a v_b.
    """

    weighted: Float64
    pair_weights: Float64


def plane_weights(plane_ids: NDArray[np.int32], replicates: int = REPLICATES) -> Float64:
    """How often each of P planes is drawn in each replicate: shape (B, P), every row sums to P."""
    planes = len(plane_ids)
    rng = np.random.default_rng([BOOTSTRAP_SEED, planes, int(plane_ids[0])])
    draws = rng.multinomial(planes, np.full(planes, 1 / planes), size=replicates)
    return draws.astype(np.float64)


def trial_weights(trial_ids: Sequence[str], replicates: int = REPLICATES) -> Float64:
    """How often each of a group's S trials is drawn in each replicate: shape (B, S)."""
    seeds = [int(trial_id, 16) for trial_id in trial_ids]
    rng = np.random.default_rng([BOOTSTRAP_SEED, *seeds])
    count = len(trial_ids)
    draws = rng.multinomial(count, np.full(count, 1 / count), size=replicates)
    return draws.astype(np.float64)


def replicate_sums(
    agreements: NDArray[np.int32], weights: Float64, v_a: Float64, v_b: Float64
) -> ReplicateSums:
    """One part of every replicate's sum, over some of the planes.

    Parameters
    ----------
    agreements
        int32, shape (P', S_a, S_b): points of each plane on which each pair agrees, zero for a
        pair that does not count (a trial with itself, or the same pair a second time).
    weights
        shape (B, P'): those planes' weights.
    v_a, v_b
        shapes (B, S_a), (B, S_b): the two groups' trial weights.
    """
    planes = len(agreements)
    flat = agreements.reshape(planes, -1).astype(np.float64)  # (P', pairs)
    total = np.empty(len(weights))
    step = max(1, WORKING_SUMS // flat.shape[1])
    for start in range(0, len(weights), step):
        part = slice(start, start + step)
        sums = (weights[part] @ flat).reshape(-1, *agreements.shape[1:])  # (B', S_a, S_b)
        # Two products by hand: einsum would plan them anew for each of very many pairs of groups.
        by_trial = np.matmul(sums, v_b[part, :, None])[:, :, 0]
        total[part] = (by_trial * v_a[part]).sum(axis=1)
    return ReplicateSums(total, pair_weights(v_a, v_b))


def pair_weights(v_a: Float64, v_b: Float64) -> Float64:
    """Sum of v_a v_b over the pairs of each replicate, shape (B,).

    The same array given twice means one group: its unordered pairs of distinct trials.
    """
    if v_a is v_b:
        return np.asarray((v_a.sum(axis=1) ** 2 - (v_a**2).sum(axis=1)) / 2, np.float64)
    return np.asarray(v_a.sum(axis=1) * v_b.sum(axis=1), np.float64)


def percentile_interval(sums: ReplicateSums, points: int) -> tuple[float, float]:
    """The central 95 % of the replicates' scores.

    Parameters
    ----------
    points
        Points of a replicate: planes times grid points.

    Returns
    -------
    (low, high). Replicates that drew one trial of a group again and again have no pair of
    distinct trials and are left out; with a single pair, planes alone vary.
    """
    usable = sums.pair_weights > 0
    scores = sums.weighted[usable] / (sums.pair_weights[usable] * points)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(scores, [tail, 1 - tail])
    return float(low), float(high)


def crossed_interval(
    values: Float64, trial_ids: Sequence[str], unit_ids: Sequence[int]
) -> tuple[float, float, float]:
    """Mean of a value of every trial on every unit (a plane, an image), with its interval.

    Parameters
    ----------
    values
        shape (S, U).
    trial_ids, unit_ids
        Of the rows and of the columns; they decide the draws.

    Returns
    -------
    (mean, low, high): the central 95 % over draws of the trials and of the units, together.
    """
    units = plane_weights(np.asarray(unit_ids, np.int32))  # (B, U)
    trials = trial_weights(trial_ids)  # (B, S)
    replicates = np.einsum("bs,bs->b", units @ values.T, trials) / values.size
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return float(values.mean()), float(low), float(high)


def mean_interval(values: Float64, trial_ids: Sequence[str]) -> tuple[float, float]:
    """The central 95 % of the mean of one value a trial, over bootstrap draws of the trials."""
    weights = trial_weights(trial_ids)  # (B, S)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(weights @ values / len(values), [tail, 1 - tail])
    return float(low), float(high)
