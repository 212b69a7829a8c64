"""The interpolation threshold: the smallest width at which a network fits its training labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dbray.scores.jackknife import Float64, estimate, over_trials

FITTED = 0.01  # training error under which a network counts as fitting its labels


@dataclass(frozen=True)
class Threshold:
    """A threshold among the widths that were tried; None stands for "beyond the largest".

    Attributes
    ----------
    width
        The smallest width whose mean training error over seeds is under the level.
    low
        The smallest width whose error may be: its 95 % interval over seeds begins under the level.
    high
        The smallest width whose error surely is: its interval ends under the level. Of a single
        seed, which has no interval, ``low`` and ``high`` are the width.
    """

    width: int | None
    low: int | None
    high: int | None


def find_threshold(
    widths: Sequence[int], errors: Sequence[Float64], level: float = FITTED
) -> Threshold:
    """Threshold of training errors along the widths, with its uncertainty over seeds.

    Parameters
    ----------
    widths
        W widths, ascending.
    errors
        Training errors of each width's seeds, shape (S,), one array a width.
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
    if list(widths) != sorted(set(widths)) or not all(len(each) for each in errors):
        raise ValueError("widths must ascend, and each needs a result")
    found = [estimate(over_trials(each, "seeds")) for each in errors]
    lows = [each.value if math.isnan(each.low) else each.low for each in found]
    highs = [each.value if math.isnan(each.high) else each.high for each in found]

    def first(ends: Sequence[float]) -> int | None:
        return next((w for w, end in zip(widths, ends, strict=True) if end < level), None)

    return Threshold(first([each.value for each in found]), first(lows), first(highs))


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
