"""Intervals for scores that are means over planes and over trials: both are samples.

The variance of a score is the sum of two: that of its mean over planes, and the delete-one
jackknife's over the trials of every group. The sum is a little too large, as the noise of one
pair on one plane is in both. Student's t with Satterthwaite's degrees of freedom makes the
interval, so that three trials give a wide one.

Scores, and so their ``Parts``, add up: the difference of two scores on the same planes has the
differences of their values, plane by plane and trial by trial.

References
----------
Efron and Stein, *The jackknife estimate of variance*, 1981; Satterthwaite, 1946; Holm, 1979.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dbray.scores.intervals import (
    Estimate,
    Term,
    interval,
    jackknife_variances,
    plane_variances,
    satterthwaite,
)

LEVEL = 0.95
SHARE = (0.0, 1.0)  # range of an agreement or an accuracy
DIFFERENCE = (-1.0, 1.0)  # of two of these
COUNT = (0.0, np.inf)  # of a number of regions, a distance
NO_BOUNDS = (-np.inf, np.inf)
FEWEST_SEEDS = 3  # of a group, that decide anything
MOST_SEEDS = 100  # that are thought of when it is asked how many would decide something

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """What a score and its interval are made of.

    Attributes
    ----------
    by_plane
        The score on each plane (or image) alone, shape (P,); empty where planes have no part in it.
    without
        By group of trials that the score uses: the score without each of its trials, shape (S,),
        always in the same order. NaN for a trial that has no part in it. An empty array stands for
        a group whose trials cannot be left out (a single pair, a single trial).
    rounding
        By group, the least that its trials' part of the variance can be, where a trial's score is
        a share of so many images: scores that are equal when rounded need not be equal.
    """

    value: float
    by_plane: Float64
    without: Mapping[str, Float64]
    rounding: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Sum:
    """Weighted sum of scores, taken in one at a time."""

    value: float = 0.0
    by_plane: Float64 = field(default_factory=lambda: np.empty(0))
    _shifts: dict[str, Float64] = field(default_factory=dict)  # by which leaving out changes it
    _present: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    _lone: set[str] = field(default_factory=set)
    _rounding: dict[str, float] = field(default_factory=dict)

    def add(self, weight: float, parts: Parts) -> None:
        """Take in ``weight`` times a score."""
        self.value += weight * parts.value
        if not len(self.by_plane):
            self.by_plane = np.zeros(len(parts.by_plane))
        self.by_plane += weight * parts.by_plane
        for group, scores in parts.without.items():
            if not len(scores):
                self._lone.add(group)
                continue
            there = ~np.isnan(scores)
            shift = weight * np.where(there, scores - parts.value, 0.0)
            self._shifts[group] = self._shifts.get(group, np.zeros(len(scores))) + shift
            self._present[group] = self._present.get(group, np.zeros(len(scores), bool)) | there
        for group, least in parts.rounding.items():
            self._rounding[group] = self._rounding.get(group, 0.0) + weight**2 * least

    def parts(self) -> Parts:
        """The sum, taken apart."""
        without = {
            group: np.where(self._present[group], self.value + shift, np.nan)
            for group, shift in self._shifts.items()
        }
        lone = {group: np.empty(0) for group in self._lone}
        return Parts(self.value, self.by_plane, without | lone, self._rounding)


def combined(terms: Iterable[tuple[float, Parts]]) -> Parts:
    """Weighted sum of scores on the same planes; a trial that serves several is left out of all."""
    total = Sum()
    for weight, parts in terms:
        total.add(weight, parts)
    return total.parts()


def ratio(above: Parts, below: Parts) -> Parts:
    """One score divided by another on the same planes.

    On a plane alone a ratio may be anything, so that planes count by what each adds to it: the
    linear part of the ratio's change (Cochran, Sampling Techniques, section 6.4). Both scores are
    of the same groups.
    """
    value = above.value / below.value
    by_plane = value + (above.by_plane - value * below.by_plane) / below.value
    without = {}
    for group, left in above.without.items():
        rest = below.without[group]
        known = len(left) == len(rest) and bool(rest.all())
        without[group] = left / rest if known else np.empty(0)
    return Parts(value, by_plane, without)


def crossed(values: Float64, group: str) -> Parts:
    """Mean of a value of each of a group's S trials on each of U planes or images, shape (S, U)."""
    return Parts(float(values.mean()), values.mean(axis=0), {group: _leave_one_out(values)})


def over_trials(values: Float64, group: str, *, images: int = 0) -> Parts:
    """Mean of one value of each of a group's trials, such as an accuracy, shape (S,).

    Parameters
    ----------
    images
        Of how many each value is a share; 0 if it is none, or that is not known.
    """
    without = {group: _leave_one_out(values[:, None])}
    rounding = {group: images**-2 / 12 / len(values)} if images else {}
    return Parts(float(values.mean()), np.empty(0), without, rounding)


def _leave_one_out(values: Float64) -> Float64:
    """The mean of (S, U) without each row; empty for a single row."""
    count = len(values)
    if count < 2:
        return np.empty(0)
    means = values.mean(axis=1)
    return np.asarray((means.sum() - means) / (count - 1), np.float64)


def over_pairs(by_plane: Float64, sums: NDArray[np.int64], points: int, group: str) -> Parts:
    """Agreement within a group of two or more trials.

    Parameters
    ----------
    by_plane
        Agreement on each plane, shape (P,).
    sums
        Points on which each pair agrees, shape (S, S), filled above the diagonal only.
    points
        Points of a pair, over all planes.
    """
    count, total = len(sums), int(sums.sum())
    pairs = count * (count - 1) // 2
    left = (count - 1) * (count - 2) // 2  # pairs without one trial
    without = np.empty(0)
    if left:
        without = (total - sums.sum(axis=0) - sums.sum(axis=1)) / (left * points)
    return Parts(total / (pairs * points), by_plane, {group: without})


def across_pairs(
    by_plane: Float64, sums: NDArray[np.int64], points: int, groups: tuple[str, str]
) -> Parts:
    """Agreement between two groups; ``sums`` has shape (S_a, S_b), all pairs filled."""
    total, without = int(sums.sum()), {}
    for axis, group in enumerate(groups):
        count, others = sums.shape[axis], sums.shape[1 - axis]
        own = sums.sum(axis=1 - axis)
        left = (count - 1) * others * points
        without[group] = (total - own) / left if left else np.empty(0)
    return Parts(total / (sums.size * points), by_plane, without)


def estimate(
    parts: Parts,
    *,
    bounds: tuple[float, float] = NO_BOUNDS,
    level: float = LEVEL,
) -> Estimate:
    """Interval of a score from its parts.

    Parameters
    ----------
    bounds
        Range of the score, to which the interval is cut.
    """
    terms = [(float(term), freedom) for term, freedom in plane_variances(parts.by_plane)]
    planes_only = any(len(scores) < 2 for scores in parts.without.values())
    return interval(parts.value, [*terms, *_of_trials(parts)], planes_only, bounds, level)


def estimates_across(
    by_plane: Float64, sums: NDArray[np.int64], points: int, *, bounds: tuple[float, float]
) -> list[Estimate]:
    """Agreement between two groups, for K pairs of groups: ``estimate`` of their ``across_pairs``.

    Equal to it to the bit. Thousands of trials have hundreds of thousands of pairs of groups, and
    calls of NumPy for each would take longer than all counting.

    Parameters
    ----------
    by_plane
        Agreement on each plane, shape (K, P).
    sums
        Points on which each pair of trials agrees, shape (K, S_a, S_b).
    points
        Points of a pair of trials, over all planes.
    """
    _, *counts = sums.shape
    total = sums.sum(axis=(1, 2))
    terms = plane_variances(np.ascontiguousarray(by_plane))
    for axis, count in enumerate(counts):
        if count > 1:
            own = np.ascontiguousarray(sums.sum(axis=2 - axis))
            left = (count - 1) * counts[1 - axis] * points
            terms.append((jackknife_variances((total[:, None] - own) / left), count - 1))
    freedoms = [freedom for _, freedom in terms]
    variances = zip(*(term.tolist() for term, _ in terms), strict=True)
    values = (total / (counts[0] * counts[1] * points)).tolist()
    return [
        interval(value, list(zip(row, freedoms, strict=True)), 1 in counts, bounds, LEVEL)
        for value, row in zip(values, variances if terms else [()] * len(values), strict=True)
    ]


def seeds_to_decide(parts: Parts, *, level: float = LEVEL) -> int | None:
    """Trials a group at which a difference would be told from zero, if all stays as it is.

    Its value and the variances of a single plane and a single trial are taken to stay; the
    jackknife's variance of a group falls with its number of trials, and their degrees of freedom
    rise. At least ``FEWEST_SEEDS``.

    Returns
    -------
    None if that takes more than ``MOST_SEEDS``, or cannot be said of so few trials.
    """
    of_planes = [(float(term), freedom) for term, freedom in plane_variances(parts.by_plane)]
    of_trials = _of_trials(parts)
    if not parts.value or len(of_trials) < len(parts.without):
        return None
    one_trial = [variance * (freedom + 1) for variance, freedom in of_trials]
    for seeds in range(FEWEST_SEEDS, MOST_SEEDS + 1):
        terms = [*of_planes, *((each / seeds, seeds - 1) for each in one_trial)]
        error = sum(term for term, _ in terms) ** 0.5
        if abs(parts.value) > special.stdtrit(satterthwaite(terms), (1 + level) / 2) * error:
            return seeds
    return None


def _of_trials(parts: Parts) -> list[Term]:
    """Variance over the trials of each group that can be left out, and its degrees of freedom."""
    terms = []
    for group, scores in parts.without.items():
        kept = scores[~np.isnan(scores)]
        if len(kept) > 1:
            least = parts.rounding.get(group, 0.0)
            terms.append((max(float(jackknife_variances(kept)), least), len(kept) - 1))
    return terms


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, corrected for their number after Holm, in the order given."""
    order = np.argsort(p_values)
    steps = (len(p_values) - np.arange(len(p_values))) * np.asarray(p_values, float)[order]
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected.tolist()
