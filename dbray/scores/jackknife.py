"""Intervals for scores that are means over planes and over trials: both are samples.

The variance of a score is the sum of two: that of its mean over planes, and the delete-one
jackknife's over the trials of every group. The sum is a little too large, as the noise of one
pair on one plane is in both. Student's t with Satterthwaite's degrees of freedom makes the
interval, so that three trials give a wide one.

References
----------
Efron and Stein, *The jackknife estimate of variance*, 1981; Satterthwaite, 1946; Holm, 1979.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A score, or the difference of two, with its 95 % interval.

    Attributes
    ----------
    p
        Of the two-sided t test that the true value is zero.
    planes_only
        Whether some group is too small for its trials to vary, so that the interval holds for new
        planes alone and decides nothing.
    """

    value: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float
    p: float
    planes_only: bool = False


def estimate(
    value: float,
    by_plane: Float64,
    left_out: Sequence[Float64],
    *,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Estimate:
    """Interval of a score from its parts.

    Parameters
    ----------
    by_plane
        The score on each plane alone, shape (P,).
    left_out
        For every group of trials that the score uses: the score without each of its trials, shape
        (S,). A group whose trials cannot be left out (a single pair) is an empty array.
    bounds
        Range of the score, to which the interval is cut.

    Returns
    -------
    With fewer than two planes and no trial to leave out, the interval is ``bounds``.
    """
    terms = [(variance, planes - 1) for variance, planes in [_of_planes(by_plane)] if planes > 1]
    terms += [(_jackknife(scores), len(scores) - 1) for scores in left_out if len(scores) > 1]
    variance = sum(term for term, _ in terms)
    error = float(np.sqrt(variance))
    spread = sum(term**2 / freedom for term, freedom in terms)
    freedom = variance**2 / spread if spread else float(sum(df for _, df in terms))
    if not terms:
        half, p, error = np.inf, 1.0, np.inf
    else:
        half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
        p = float(2 * stats.t.sf(abs(value) / error, freedom)) if error else float(value == 0)
    return Estimate(
        value,
        max(value - half, bounds[0]),
        min(value + half, bounds[1]),
        error,
        float(freedom),
        p,
        any(len(scores) < 2 for scores in left_out),
    )


def _of_planes(by_plane: Float64) -> tuple[float, int]:
    """Variance of the mean over planes, and their number."""
    planes = len(by_plane)
    return (float(by_plane.var(ddof=1)) / planes if planes > 1 else 0.0), planes


def _jackknife(scores: Float64) -> float:
    """Variance of a score over its trials, from its values without each of them."""
    count = len(scores)
    return (count - 1) / count * float(np.square(scores - scores.mean()).sum())


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, corrected for their number after Holm, in the order given."""
    order = np.argsort(p_values)
    steps = (len(p_values) - np.arange(len(p_values))) * np.asarray(p_values, float)[order]
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected.tolist()
