"""Variances of scores, and the interval that those of one score make."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Float64 = NDArray[np.float64]
Term = tuple[float, int]  # a variance, and its degrees of freedom


@dataclass(frozen=True)
class Estimate:
    """A score, or the difference of two, with its interval.

    Attributes
    ----------
    low, high
        Ends of the interval; NaN where nothing is known that could vary.
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


def interval(
    value: float,
    terms: Sequence[Term],
    planes_only: bool,
    bounds: tuple[float, float],
    level: float,
) -> Estimate:
    """Interval of a score from the variances that add up, each with its degrees of freedom."""
    if not terms:
        nan = float("nan")
        return Estimate(value, nan, nan, nan, nan, 1.0, planes_only)
    variance = sum(term for term, _ in terms)
    freedom = satterthwaite(terms)
    error = variance**0.5
    half = float(special.stdtrit(freedom, (1 + level) / 2)) * error
    p = float(2 * special.stdtr(freedom, -abs(value) / error)) if error else 0.0
    return Estimate(
        value,
        max(value - half, bounds[0]),
        min(value + half, bounds[1]),
        error,
        freedom,
        p if error or value else 1.0,
        planes_only,
    )


def plane_variances(by_plane: Float64) -> list[tuple[Float64, int]]:
    """Variance of the mean over planes, if there are two or more, and its degrees of freedom.

    Of one score, shape (P,), or of each of several, (K, P).
    """
    planes = by_plane.shape[-1]
    return [(by_plane.var(axis=-1, ddof=1) / planes, planes - 1)] if planes > 1 else []


def jackknife_variances(scores: Float64) -> Float64:
    """Variance of a score over its trials, from its values without each of them.

    Of one score, shape (S,), or of each of several, (K, S).
    """
    count = scores.shape[-1]
    squares = np.square(scores - scores.mean(axis=-1, keepdims=True))
    return np.asarray((count - 1) / count * squares.sum(axis=-1))


def satterthwaite(terms: Sequence[Term]) -> float:
    """Degrees of freedom of a sum of variances."""
    spread = sum(term**2 / freedom for term, freedom in terms)
    if not spread:
        return float(sum(freedom for _, freedom in terms))
    return sum(term for term, _ in terms) ** 2 / spread
