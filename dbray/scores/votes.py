"""What several models call each image: how often which class, and how much they are at odds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Predicted = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Votes:
    """Classes that M models name on each of n images, image after image, the most frequent first.

    Attributes
    ----------
    models
        M.
    starts
        Where each image's classes begin, and where the last one's end; int64, shape (n + 1,).
    classes, counts
        The classes that are named and by how many models, int64. Classes that are named equally
        often stand in their own order.
    """

    models: int
    starts: NDArray[np.int64]
    classes: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def disagreement(self) -> NDArray[np.float64]:
        """Share of the pairs of different models that name different classes, shape (n,).

        It estimates the probability that two models of the kind disagree, 1 - sum of p_c squared,
        without bias; p_c of the M models put in there would be too small by a share of 1 / M.
        """
        pairs = self.models * (self.models - 1)
        agreeing = np.add.reduceat(self.counts * (self.counts - 1), self.starts[:-1])
        return np.asarray(1 - agreeing / pairs, np.float64)


def votes(predicted: Predicted) -> Votes:
    """Count the classes that are named.

    Parameters
    ----------
    predicted
        Predicted classes, unsigned integers, shape (M, n), of two models or more.
    """
    models, images = predicted.shape
    stride = int(predicted.max(initial=0)) + 1
    keys = np.arange(images, dtype=np.int64) * stride + predicted
    named, counts = np.unique(keys, return_counts=True)
    image, of_class = np.divmod(named, stride)
    order = np.lexsort((of_class, -counts, image))
    starts = np.searchsorted(image, np.arange(images + 1))
    return Votes(models, starts, of_class[order], counts[order])
