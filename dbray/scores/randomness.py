"""What each source of randomness does: disagreement of pairs of models by what differs there.

For a model's answers as a function of independent seeds, these are the Sobol indices of the one-hot
label under the Gini-Simpson variance: half the chance that two labels differ.
"""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dbray.scores.jackknife import Float64, Parts

ALL, ALONE, SHARED = "all", "alone", "shared"
BASES = "bases"  # name of what is left out in turn

Design = tuple[str, str]  # how two models differ (ALL, ALONE, SHARED) and the source, if it is one
Seeds = Mapping[str, Hashable]


def pairs_by_design(
    seeds: Sequence[Seeds], others: Sequence[Seeds]
) -> dict[Design, NDArray[np.int64]]:
    """Pairs of models, shape (pairs, 2), by what differs between the two.

    Parameters
    ----------
    seeds
        The seed of every source, the same sources for each of the M models.
    others
        What may differ and has no seed, likewise: its pairs have all seeds equal.
    """
    rows, columns = np.triu_indices(len(seeds), 1)
    differ, differ_else = (_codes(each)[rows] != _codes(each)[columns] for each in (seeds, others))
    count, count_else = differ.sum(axis=1), differ_else.sum(axis=1)  # (pairs,)
    sources = list(seeds[0])
    chosen = {(ALL, ""): (count == len(sources)) & (count_else == 0)}
    for place, source in enumerate(sources):
        chosen[ALONE, source] = (count == 1) & differ[:, place] & (count_else == 0)
        rest = (count == len(sources) - 1) & ~differ[:, place]
        chosen[SHARED, source] = rest & (count_else == 0)
    for place, other in enumerate(others[0]):
        chosen[ALONE, other] = (count == 0) & (count_else == 1) & differ_else[:, place]
    both = np.stack([rows, columns], axis=1)
    return {design: both[which] for design, which in chosen.items() if which.any()}


def _codes(models: Sequence[Seeds]) -> NDArray[np.int64]:
    """A number for each seed, equal where seeds are; shape (M, sources)."""
    rows = [[hash(value) for value in model.values()] for model in models]
    return np.array(rows, np.int64).reshape(len(models), -1)


def disagreement(by_pair: Float64, touched: NDArray[np.bool_]) -> Parts:
    """Mean disagreement of pairs, with the bases as what can be left out.

    Parameters
    ----------
    by_pair
        Share of points on which each pair disagrees on each plane, shape (P, pairs).
    touched
        Which bases each pair has a seed of, shape (pairs, B).
    """
    return over_bases(by_pair.mean(axis=1), by_pair.mean(axis=0), touched)


def over_bases(by_unit: Float64, by_pair: Float64, touched: NDArray[np.bool_]) -> Parts:
    """Mean over pairs, and over planes or images, with the bases as what can be left out.

    Parameters
    ----------
    by_unit
        On each plane or image, the mean over pairs.
    by_pair
        Of each pair, the mean over planes or images.
    touched
        Which bases each pair has a seed of, shape (pairs, B).
    """
    left = [by_pair[~touched[:, base]] for base in range(touched.shape[1])]
    known = all(len(rest) for rest in left)
    without = np.array([rest.mean() for rest in left]) if known else np.empty(0)
    return Parts(float(by_pair.mean()), by_unit, {BASES: without})
