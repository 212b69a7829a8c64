"""What several models decide together: accuracy of ensembles, and churn of two disjoint ones.

An ensemble answers with the class of the largest mean probability. Scores are means over all
ensembles that can be made of the models, or over ``MOST_DRAWS`` of them where there are more.

References
----------
B. Lakshminarayanan, A. Pritzel, C. Blundell, Simple and Scalable Predictive Uncertainty Estimation
using Deep Ensembles, NeurIPS 2017.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dbray.scores.jackknife import Float64, Parts
from dbray.scores.similarity import Probabilities

MOST_DRAWS = 500  # ensembles, and pairs of disjoint ones, that a mean is taken over

Members = tuple[int, ...]
Pair = tuple[Members, Members]


def ensembles_of(models: int, size: int) -> list[Members]:
    """Ensembles of so many of the models, each once; the same ones whenever it is asked."""
    if math.comb(models, size) <= MOST_DRAWS:
        return list(combinations(range(models), size))
    return [_sorted(drawn) for drawn in _drawn(models, size)]


def disjoint_pairs(models: int, size: int) -> list[Pair]:
    """Pairs of ensembles that share no model, each once; none of fewer than 2 x size models."""
    if models < 2 * size:
        return []
    if math.comb(models, 2 * size) * math.comb(2 * size, size) // 2 <= MOST_DRAWS:
        return [
            (first, second)
            for first, second in combinations(combinations(range(models), size), 2)
            if not set(first) & set(second)
        ]
    drawn = _drawn(models, 2 * size)
    pairs = (sorted((_sorted(each[:size]), _sorted(each[size:]))) for each in drawn)
    return [(first, second) for first, second in pairs]


@dataclass
class EnsembleCounts:
    """Right answers and disagreements of ensembles of one size, taken in some images at a time."""

    models: int
    size: int
    _right_on: list[Float64] = field(default_factory=list)  # image by image, shares of ensembles
    _apart_on: list[Float64] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Decide which ensembles are made."""
        self.single = ensembles_of(self.models, self.size)
        self.pairs = disjoint_pairs(self.models, self.size)
        paired = (members for pair in self.pairs for members in pair)
        self._place = {m: at for at, m in enumerate(dict.fromkeys([*self.single, *paired]))}
        self._right_of = np.zeros(len(self.single), np.int64)
        self._apart_of = np.zeros(len(self.pairs), np.int64)

    def add(self, probabilities: Probabilities, labels: NDArray[np.integer]) -> None:
        """Take in what the models answer on further images.

        Parameters
        ----------
        probabilities
            Shape (M, b, C).
        labels
            True classes, shape (b,).
        """
        answers = np.stack(
            [probabilities[list(members)].sum(axis=0).argmax(axis=1) for members in self._place]
        )
        right = answers[[self._place[members] for members in self.single]] == labels
        self._right_of += right.sum(axis=1)
        self._right_on.append(right.mean(axis=0))
        if self.pairs:
            first, second = (
                answers[[self._place[pair[side]] for pair in self.pairs]] for side in (0, 1)
            )
            apart = first != second
            self._apart_of += apart.sum(axis=1)
            self._apart_on.append(apart.mean(axis=0))

    def accuracy(self, group: str) -> Parts:
        """Share of images that an ensemble gets right, with the models as what is left out."""
        used = [set(members) for members in self.single]
        return self._parts(self._right_on, self._right_of, used, group)

    def churn(self, group: str) -> Parts | None:
        """Share of images on which two disjoint ensembles answer differently; None without two."""
        if not self.pairs:
            return None
        used = [{*first, *second} for first, second in self.pairs]
        return self._parts(self._apart_on, self._apart_of, used, group)

    def _parts(
        self,
        on_images: Sequence[Float64],
        counts: NDArray[np.int64],
        used: Sequence[set[int]],
        group: str,
    ) -> Parts:
        by_image = np.concatenate(on_images)
        means = counts / len(by_image)  # of each ensemble, or pair
        left = [means[[model not in members for members in used]] for model in range(self.models)]
        known = all(len(rest) for rest in left)
        without = np.array([rest.mean() for rest in left]) if known else np.empty(0)
        return Parts(float(means.mean()), by_image, {group: without})


def _drawn(models: int, count: int) -> Iterator[list[int]]:
    """``MOST_DRAWS`` times so many different models, at random but always the same ones."""
    rng = np.random.default_rng([models, count])
    for _ in range(MOST_DRAWS):
        yield rng.permutation(models)[:count].tolist()


def _sorted(members: Sequence[int]) -> Members:
    return tuple(sorted(members))
