"""Agreement of label maps, exact and for all pairs at once.

Each class of each label map becomes a row of bits; the points on which two models both predict
that class are the set bits of the two rows' conjunction. One pass over the pairs therefore
gives the agreement on every plane (for the intervals) and the per-class overlaps (for the
Jaccard index), in integers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Labels = NDArray[np.uint8] | NDArray[np.uint16]

LAST_BITS = np.uint64(0x0102040810204080)  # gathers the last bits of eight bytes by one product


@dataclass(frozen=True)
class PairCounts:
    """Exact counts for pairs of M_a and M_b models on the same planes.

    When both sides are the same models only the upper triangle (a < b) is filled.

    Attributes
    ----------
    agreements
        int32, shape (P, M_a, M_b): points of each plane with equal labels.
    overlaps
        int64, shape (M_a, M_b, C): points, over all planes, where both predict that class.
    histogram_a, histogram_b
        int64, shapes (M_a, C) and (M_b, C): points, over all planes, of each predicted class.
    """

    agreements: NDArray[np.int32]
    overlaps: NDArray[np.int64]
    histogram_a: NDArray[np.int64]
    histogram_b: NDArray[np.int64]


def count_agreements(labels_a: Labels, labels_b: Labels | None, classes: int) -> PairCounts:
    """Count where the labels of two sets of models agree.

    Parameters
    ----------
    labels_a, labels_b
        Unsigned integers below ``classes``, shape (M, P, N): label maps of M models on the same
        P planes. ``labels_b=None`` means all pairs within ``labels_a``.

    Returns
    -------
    The counts for every pair of one model from each side.
    """
    within = labels_b is None
    other = labels_a if labels_b is None else labels_b
    models_a, planes, _ = labels_a.shape
    agreements = np.zeros((planes, models_a, len(other)), np.int32)
    overlaps = np.zeros((models_a, len(other), classes), np.int64)
    histogram_a = np.zeros((models_a, classes), np.int64)
    histogram_b = histogram_a if within else np.zeros((len(other), classes), np.int64)
    for plane in range(planes):
        of_a = np.ascontiguousarray(labels_a[:, plane])
        of_b = of_a if within else np.ascontiguousarray(other[:, plane])
        seen = np.zeros(classes, np.bool_)
        _mark_present(of_a, seen)
        if not within:
            _mark_present(of_b, seen)
        present = np.flatnonzero(seen)
        bits_a = _class_bits(of_a, present.astype(of_a.dtype), histogram_a)
        bits_b = bits_a if within else _class_bits(of_b, present.astype(of_b.dtype), histogram_b)
        _intersect(bits_a, bits_b, present, within, agreements[plane], overlaps)
    return PairCounts(agreements, overlaps, histogram_a, histogram_b)


def cohens_kappa(
    agreements: NDArray[np.int64], histogram_a: NDArray[np.int64], histogram_b: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Chance-corrected agreement over the pooled points of each pair.

    Parameters
    ----------
    agreements
        shape (K,): points on which each of K pairs agrees.
    histogram_a, histogram_b
        shape (K, C): class histograms of the pairs' two models, over the same points.

    Returns
    -------
    float64, shape (K,): (observed - expected) / (1 - expected); 1 where both models predict
    the same single class everywhere.

    References
    ----------
    J. Cohen, A coefficient of agreement for nominal scales, 1960.
    """
    points = histogram_a.sum(axis=1).astype(np.float64)
    observed = agreements / points
    expected = ((histogram_a / points[:, None]) * (histogram_b / points[:, None])).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = (observed - expected) / (1 - expected)
    return np.where(expected == 1, 1.0, kappa)


def mean_jaccard(
    overlaps: NDArray[np.int64], histogram_a: NDArray[np.int64], histogram_b: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Jaccard index of each class's points, averaged over the classes that either model predicts.

    All parameters have shape (K, C) for K pairs; the result is float64, shape (K,).
    """
    union = histogram_a + histogram_b - overlaps
    used = union > 0
    ratio = np.divide(overlaps, union, out=np.zeros(union.shape), where=used)
    return np.asarray(ratio.sum(axis=1) / used.sum(axis=1), np.float64)


@intrinsic  # type: ignore[untyped-decorator]
def _popcount(_typing_context: Any, _word: Any) -> Any:  # noqa: ANN401 - numba's own protocol
    """Number of set bits of a 64-bit word, one instruction where the processor has it."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@njit(cache=True)  # type: ignore[untyped-decorator]
def _mark_present(labels: Labels, seen: NDArray[np.bool_]) -> None:
    """Mark the classes that some point has."""
    for label in labels.ravel():
        seen[label] = True


@njit(cache=True)  # type: ignore[untyped-decorator]
def _class_bits(
    labels: Labels, present: Labels, histogram: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Bit k of row [class, model] says whether the model gives point k that class.

    Adds the models' points of each class to ``histogram``. One pass a class, each in steps without
    a branch that processors do many points of at once, is faster than one pass over all points.
    """
    models, points = labels.shape
    words = (points + 63) // 64
    bits = np.empty((len(present), models, words), np.uint64)
    given = np.zeros(64 * words, np.uint8)  # no point beyond the last has a class
    eights = given.view(np.uint64)
    for row in range(len(present)):
        label = present[row]
        for model in range(models):
            of_model = labels[model]
            for point in range(points):
                given[point] = of_model[point] == label
            count = np.uint64(0)
            for word in range(words):
                packed = np.uint64(0)
                for eighth in range(8):
                    # The product's top byte has the last bits of the eight bytes, in their order.
                    byte = (eights[8 * word + eighth] * LAST_BITS) >> np.uint64(56)
                    packed |= byte << np.uint64(8 * eighth)
                bits[row, model, word] = packed
                count += _popcount(packed)
            histogram[model, label] += np.int64(count)
    return bits


@njit(cache=True)  # type: ignore[untyped-decorator]
def _intersect(
    bits_a: NDArray[np.uint64],
    bits_b: NDArray[np.uint64],
    present: NDArray[np.int64],
    within: bool,
    agreements: NDArray[np.int32],
    overlaps: NDArray[np.int64],
) -> None:
    """Add one plane's common points of every pair to ``agreements`` and ``overlaps``."""
    rows, models_a, words = bits_a.shape
    models_b = bits_b.shape[1]
    for row in range(rows):
        used_a = [m for m in range(models_a) if bits_a[row, m].any()]
        used_b = [m for m in range(models_b) if bits_b[row, m].any()]
        for a in used_a:
            for b in used_b:
                if within and b <= a:
                    continue
                first, second = bits_a[row, a], bits_b[row, b]
                common = np.uint64(0)
                for word in range(words):
                    common += _popcount(first[word] & second[word])
                agreements[a, b] += np.int32(common)
                overlaps[a, b, present[row]] += np.int64(common)
