"""The interpolation threshold: the smallest width at which a network fits its training labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dbray.scores.intervals import BOOTSTRAP_SEED, LEVEL, REPLICATES

FITTED = 0.01  # training error under which a network counts as fitting its labels


@dataclass(frozen=True)
class Threshold:
    """A threshold among the widths that were tried; None stands for "beyond the largest".

    Attributes
    ----------
    width
        The smallest width whose mean training error over seeds is under the level.
    low, high
        Central 95 % of the same over bootstrap draws of the seeds.
    """

    width: int | None
    low: int | None
    high: int | None


def find_threshold(
    widths: Sequence[int], errors: NDArray[np.float64], level: float = FITTED
) -> Threshold:
    """Threshold of training errors along the widths, with its uncertainty over seeds.

    Parameters
    ----------
    widths
        W widths, ascending.
    errors
        shape (W, S): training error of each width and seed; NaN where there is no result.
    level
        Error, as a share of the training images, under which a width counts.

    Raises
    ------
    ValueError
        If the widths are not ascending or a width has no result at all.

    References
    ----------
    Somepalli et al., CVPR 2022, section 4; Nakkiran et al., Deep Double Descent, ICLR 2020.
    """
    known = ~np.isnan(errors)
    if list(widths) != sorted(set(widths)) or not known.any(axis=1).all():
        raise ValueError("widths must ascend, and each needs a result")
    seeds = errors.shape[1]
    rng = np.random.default_rng([BOOTSTRAP_SEED, seeds])
    draws = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=REPLICATES)  # (B, S)
    weights = np.vstack([np.ones(seeds), draws])  # the seeds as they are come first
    weighed = weights @ known.T  # (1 + B, W)
    sums = weights @ np.where(known, errors, 0.0).T
    # A draw without any result of a width says nothing about it: all its seeds stand in.
    means = np.where(weighed > 0, sums / np.maximum(weighed, 1), sums[0] / weighed[0])
    under = means < level
    found = np.where(under.any(axis=1), under.argmax(axis=1), len(widths))
    places = np.array([*widths, math.inf])[found]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(places[1:], [tail, 1 - tail], method="inverted_cdf")
    return Threshold(*(None if math.isinf(w) else int(w) for w in (places[0], low, high)))


def refine_widths(
    widths: Sequence[int], threshold: Threshold, count: int, *, step: int = 1
) -> list[int]:
    """New widths around a threshold.

    The widest gaps (by ratio) from the width below the threshold's interval to the one above it
    are halved, again and again; where no width fits the labels, wider ones are tried.

    Parameters
    ----------
    widths
        Those that there are, ascending.
    count
        How many to add; fewer come out where the gaps are filled.
    step
        Every new width is a multiple of this.
    """
    have = list(widths)
    if threshold.width is None:
        return [have[-1] * 2 ** (number + 1) for number in range(count)]
    first = max((w for w in have if w < (threshold.low or 0)), default=have[0])
    last = min((w for w in have if w > (threshold.high or have[-1])), default=have[-1])
    added: list[int] = []
    while len(added) < count:
        near = sorted(w for w in {*have, *added} if first <= w <= last)
        gaps = [(b / a, a, b) for a, b in pairwise(near)]
        middles = [(r, _middle(a, b, step)) for r, a, b in gaps if a < _middle(a, b, step) < b]
        if not middles:
            break
        added.append(max(middles)[1])
    return added


def _middle(low: int, high: int, step: int) -> int:
    """Multiple of ``step`` nearest to the geometric mean."""
    return round(math.sqrt(low * high) / step) * step
