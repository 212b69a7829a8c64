"""Label noise: a given share of the training labels, in every class, becomes another class."""

import numpy as np
from numpy.typing import NDArray

from dbray.config import NoiseConfig
from dbray.errors import UserError

Labels = NDArray[np.int64]


def noisy_labels(labels: Labels, classes: int, noise: NoiseConfig | None) -> Labels:
    """Labels of which a share is wrong.

    Parameters
    ----------
    labels
        int64, shape (n,), values below ``classes``.
    noise
        ``symmetric``: a wrong label is any of the other classes, each equally likely;
        ``asymmetric``: it is the class after the right one, and the first after the last. None
        leaves the labels as they are.

    Returns
    -------
    int64, shape (n,): exactly ``round(share * n)`` labels differ, and of each class the share that
    differs is ``share`` to within one image. A larger share with the same seed changes the
    same images and more (again to within one image a class).

    Raises
    ------
    UserError
        If there is a single class, so that no label can be another one.

    References
    ----------
    Somepalli et al., CVPR 2022, section 4 (symmetric); Patrini et al., Making Deep Neural Networks
    Robust to Label Noise, CVPR 2017, section 5 (asymmetric).
    """
    if noise is None:
        return labels
    if classes < 2:
        raise UserError("label noise needs two classes or more")
    changed = labels.copy()
    counts = np.bincount(labels, minlength=classes)
    for of_class, flips in enumerate(_flips(counts, noise.share)):
        rng = np.random.default_rng([noise.seed, of_class])
        chosen = rng.permutation(np.flatnonzero(labels == of_class))[:flips]
        # Drawn for all, used for some: the classes do not change when the share grows.
        steps = rng.integers(1, classes, counts[of_class])[:flips]
        changed[chosen] = (of_class + (1 if noise.kind == "asymmetric" else steps)) % classes
    return changed


def _flips(counts: Labels, share: float) -> list[int]:
    """How many labels of each class change: the share of each, rounded so that the sum is right."""
    exact = share * counts
    flips = np.floor(exact).astype(np.int64)
    left = round(share * int(counts.sum())) - int(flips.sum())
    largest_remainders = np.argsort(flips - exact, kind="stable")[:left]
    flips[largest_remainders] += 1
    return [int(flip) for flip in flips]
