"""How alike the predictions of two models are on the same test images, for all pairs at once.

Every function takes two blocks of models, M_a and M_b of them, and returns float64, shape
(M_a, M_b). The blocks may be one and the same array. Images are worked on in chunks, so that
the working memory does not grow with their number.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

WORKING_BYTES = 16 * 2**20  # of one chunk of images
_SMALLEST_MANTISSA = 0x3FE6A09E00000000  # the bits of 0.7071 in float64
_TWO_OVER_LN_2 = 2 / math.log(2)

Predicted = NDArray[np.uint8] | NDArray[np.uint16]
Probabilities = NDArray[np.float32] | NDArray[np.float16]
Float64 = NDArray[np.float64]


def disagreement(predicted_a: Predicted, predicted_b: Predicted) -> Float64:
    """Share of the images on which two models predict different classes, also called churn.

    Parameters
    ----------
    predicted_a, predicted_b
        Predicted classes, unsigned integers, shapes (M_a, n) and (M_b, n).

    References
    ----------
    M. Milani Fard, Q. Cormier, K. Canini, M. Gupta, Launch and Iterate: Reducing Prediction
    Churn, NeurIPS 2016.
    """
    images = predicted_a.shape[1]
    different = np.zeros((len(predicted_a), len(predicted_b)), np.int64)
    for part in _chunks(images, len(predicted_b)):
        for model, predicted in enumerate(predicted_a[:, part]):
            different[model] += np.count_nonzero(predicted != predicted_b[:, part], axis=1)
    return np.asarray(different / images, np.float64)


def error_overlap(
    predicted_a: Predicted, predicted_b: Predicted, labels: NDArray[np.integer]
) -> Float64:
    """Jaccard index of the sets of images that two models misclassify.

    Parameters
    ----------
    predicted_a, predicted_b
        Predicted classes, unsigned integers, shapes (M_a, n) and (M_b, n).
    labels
        True classes, integers, shape (n,).

    Returns
    -------
    Images that both get wrong over images that either gets wrong; 1 where neither errs, so that
    a model and itself always score 1.
    """
    both = np.zeros((len(predicted_a), len(predicted_b)))
    errors_a, errors_b = np.zeros((len(predicted_a), 1)), np.zeros((1, len(predicted_b)))
    for part in _chunks(len(labels), 8 * (len(predicted_a) + len(predicted_b))):
        wrong_a = (predicted_a[:, part] != labels[part]).astype(np.float64)
        wrong_b = (predicted_b[:, part] != labels[part]).astype(np.float64)
        both += wrong_a @ wrong_b.T  # whole numbers, so exact
        errors_a += wrong_a.sum(axis=1)[:, None]
        errors_b += wrong_b.sum(axis=1)
    either = errors_a + errors_b - both
    return np.divide(both, either, out=np.ones(both.shape), where=either > 0)


def js_divergence(probabilities_a: Probabilities, probabilities_b: Probabilities) -> Float64:
    """Jensen-Shannon divergence of two models' predicted probabilities, mean over the images.

    Parameters
    ----------
    probabilities_a, probabilities_b
        float32 or float16, shapes (M_a, n, C) and (M_b, n, C). Rows are made to sum to 1 again.

    Returns
    -------
    In bits, between 0 and 1; exactly 0 for a model and itself.

    References
    ----------
    J. Lin, Divergence measures based on the Shannon entropy, 1991.
    """
    within = probabilities_a is probabilities_b
    models_a, images, classes = probabilities_a.shape
    totals = np.zeros((models_a, len(probabilities_b)))
    # Two float64 copies of a chunk are alive at once: widened, and divided by its sums.
    for part in _chunks(images, 2 * 8 * classes * (models_a + len(probabilities_b))):
        chunk_a = _normalised(probabilities_a[:, part])
        chunk_b = chunk_a if within else _normalised(probabilities_b[:, part])
        _add_divergences(chunk_a, chunk_b, within, totals)
    if within:
        totals += totals.T
    return np.asarray(totals / images, np.float64)


def expected_agreement(accuracy_a: Float64, accuracy_b: Float64, classes: int) -> Float64:
    """Share of images on which two models agree if their accuracies are all that they share.

    Errors then fall independently, and a wrong answer is any of the C - 1 wrong classes with
    the same probability.

    Parameters
    ----------
    accuracy_a, accuracy_b
        Shares between 0 and 1, shapes that broadcast: (M_a, 1) and (1, M_b) for all pairs.

    Returns
    -------
    float64 of the broadcast shape; 1 where there is a single class.

    References
    ----------
    R. Geirhos, K. Meding, F. A. Wichmann, Beyond accuracy: quantifying trial-by-trial behaviour
    of CNNs and humans by measuring error consistency, NeurIPS 2020.
    """
    right = np.asarray(accuracy_a * accuracy_b, np.float64)
    if classes == 1:
        return np.ones_like(right)
    return right + (1 - accuracy_a) * (1 - accuracy_b) / (classes - 1)


def _chunks(images: int, bytes_per_image: int) -> Iterator[slice]:
    """Slices of at most ``WORKING_BYTES``, one image at least, that cover all the images."""
    step = max(1, WORKING_BYTES // bytes_per_image)
    return (slice(start, start + step) for start in range(0, images, step))


def _normalised(probabilities: Probabilities) -> Float64:
    """Contiguous float64 copy, classes before images, shape (M, C, k), that sums to 1 over C."""
    wide = np.ascontiguousarray(probabilities.transpose(0, 2, 1), np.float64)
    return np.asarray(wide / wide.sum(axis=1, keepdims=True), np.float64)


@intrinsic  # type: ignore[untyped-decorator]
def _as_integer(_typing_context: Any, _number: Any) -> Any:  # noqa: ANN401 - numba's own protocol
    """The bits of a float64."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _as_float(_typing_context: Any, _bits: Any) -> Any:  # noqa: ANN401 - numba's own protocol
    """The float64 of these bits."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


# A product and a sum in one instruction and one rounding: faster, and no less exact.
@njit(cache=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def _entropy_term(probability: float) -> float:
    """``-p log2(p)`` to a relative 1e-14, or to 1e-300; 0 for 0.

    The library's logarithm is a call for each number; this one is arithmetic alone, which a
    compiler does for several images at once. With p = 2^e m, m from .7 to 1.4, the logarithm of m
    is the series of 2 artanh(s) in s = (m - 1) / (m + 1), |s| < .172, to the power 17.
    """
    bits = _as_integer(probability)
    exponent: int = (bits - _SMALLEST_MANTISSA) >> 52
    mantissa: float = _as_float(bits - (exponent << 52))
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    series = z * (1 / 17) + 1 / 15
    series = series * z + 1 / 13
    series = series * z + 1 / 11
    series = series * z + 1 / 9
    series = series * z + 1 / 7
    series = series * z + 1 / 5
    series = series * z + 1 / 3
    series = series * z + 1.0
    return -probability * (exponent + _TWO_OVER_LN_2 * s * series)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _entropies(probabilities: Float64) -> Float64:
    """Entropy in bits of each image, shape (M, k) for probabilities of shape (M, C, k)."""
    models, classes, images = probabilities.shape
    entropies = np.zeros((models, images))
    for model in range(models):
        for c in range(classes):
            for image in range(images):
                entropies[model, image] += _entropy_term(probabilities[model, c, image])
    return entropies


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _add_divergences(
    probabilities_a: Float64, probabilities_b: Float64, within: bool, totals: Float64
) -> None:
    """Add each pair's divergences, H((p + q) / 2) - (H(p) + H(q)) / 2, to ``totals``.

    One logarithm per class. The mixture's entropy is summed in the order of the models' own, so
    that equal rows give exactly 0. ``within`` leaves out all but the upper triangle.
    """
    entropies_a, entropies_b = _entropies(probabilities_a), _entropies(probabilities_b)
    models_a, classes, images = probabilities_a.shape
    mixed = np.empty(images)
    for a in range(models_a):
        for b in range(a + 1 if within else 0, len(probabilities_b)):
            mixed[:] = 0.0
            for c in range(classes):
                of_a, of_b = probabilities_a[a, c], probabilities_b[b, c]
                for image in range(images):
                    mixed[image] += _entropy_term((of_a[image] + of_b[image]) / 2)
            for image in range(images):
                own = (entropies_a[a, image] + entropies_b[b, image]) / 2
                totals[a, b] += min(max(mixed[image] - own, 0.0), 1.0)  # rounding can step outside
