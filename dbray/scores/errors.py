"""Test error against disagreement, over pairs of models that share no seed.

Where a classifier is as sure as it is right, on average, two trainings of it disagree as often as
one of them is wrong, so that the error could be told without labels.

References
----------
Y. Jiang, V. Nagarajan, C. Baek, J. Z. Kolter, Assessing Generalization of SGD via Disagreement,
ICLR 2022.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbray.scores.jackknife import Float64, Parts
from dbray.scores.randomness import BASES, over_bases
from dbray.scores.votes import Predicted

AT_ONCE = 2**24  # answers of pairs that are compared at a time


@dataclass(frozen=True)
class Errors:
    """Errors and disagreement of pairs of models on n test images.

    Attributes
    ----------
    error, apart
        Of each pair: the mean error of the two, and the share of images on which they differ;
        float64, shape (pairs,).
    error_on, apart_on
        On each image: the share of wrong models, and of pairs that differ; float64, shape (n,).
    """

    error: Float64
    apart: Float64
    error_on: Float64
    apart_on: Float64

    def parts(self, touched: NDArray[np.bool_]) -> tuple[Parts, Parts]:
        """Mean error and mean disagreement; ``touched`` as of ``over_bases``."""
        return (
            over_bases(self.error_on, self.error, touched),
            over_bases(self.apart_on, self.apart, touched),
        )


def errors_of_pairs(
    predicted: Predicted, labels: NDArray[np.integer], pairs: NDArray[np.int64]
) -> Errors:
    """Compare what M models answer on n images, pair by pair.

    Parameters
    ----------
    predicted
        Shape (M, n).
    labels
        Shape (n,).
    pairs
        Models of each pair, shape (pairs, 2).
    """
    wrong = predicted != labels
    share = np.bincount(pairs.ravel(), minlength=len(predicted)) / pairs.size  # of each model
    first, second = pairs[:, 0], pairs[:, 1]
    step = max(1, AT_ONCE // max(1, len(pairs)))
    counts, apart_on = np.zeros(len(pairs), np.int64), []
    for start in range(0, len(labels), step):
        some = predicted[:, start : start + step]
        apart = some[first] != some[second]
        counts += apart.sum(axis=1)
        apart_on.append(apart.mean(axis=0))
    return Errors(
        error=wrong.mean(axis=1)[pairs].mean(axis=1),
        apart=counts / len(labels),
        error_on=share @ wrong,
        apart_on=np.concatenate(apart_on),
    )


def line(error: Float64, apart: Float64, touched: NDArray[np.bool_]) -> tuple[Parts, Parts] | None:
    """Slope and intercept of disagreement over error by least squares, over pairs.

    Images are the same for all pairs, so that intervals are over bases alone. None where all pairs
    have one error.
    """
    if not np.ptp(error):
        return None
    kept = [~touched[:, base] for base in range(touched.shape[1])]
    known = all(rest.any() and np.ptp(error[rest]) for rest in kept)
    without = np.array([np.polyfit(error[rest], apart[rest], 1) for rest in kept if known])
    slope, intercept = (
        Parts(float(value), np.empty(0), {BASES: without[:, place] if known else np.empty(0)})
        for place, value in enumerate(np.polyfit(error, apart, 1))
    )
    return slope, intercept
