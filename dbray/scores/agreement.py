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
        present = np.unique(
            np.concatenate(
                [
                    _classes_present(labels_a[:, plane], classes),
                    _classes_present(other[:, plane], classes),
                ]
            )
        )
        bits_a = _class_bits(
            np.ascontiguousarray(labels_a[:, plane]), present, classes, histogram_a
        )
        bits_b = (
            bits_a
            if within
            else _class_bits(np.ascontiguousarray(other[:, plane]), present, classes, histogram_b)
        )
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
def _classes_present(labels: Labels, classes: int) -> NDArray[np.int64]:
    seen = np.zeros(classes, np.bool_)
    for label in labels.flat:
        seen[label] = True
    return np.flatnonzero(seen)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _class_bits(
    labels: Labels, present: NDArray[np.int64], classes: int, histogram: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Bit k of row [class, model] says whether the model gives point k that class.

    Adds the models' points of each class to ``histogram``.
    """
    models, points = labels.shape
    row_of = np.zeros(classes, np.int64)
    for row, label in enumerate(present):
        row_of[label] = row
    bits = np.zeros((len(present), models, (points + 63) // 64), np.uint64)
    for model in range(models):
        for point in range(points):
            label = labels[model, point]
            histogram[model, label] += 1
            row = row_of[label]
            bits[row, model, point >> 6] |= np.uint64(1) << np.uint64(point & 63)
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
                common = np.uint64(0)
                for word in range(words):
                    common += _popcount(bits_a[row, a, word] & bits_b[row, b, word])
                agreements[a, b] += np.int32(common)
                overlaps[a, b, present[row]] += np.int64(common)
