"""Label maps as trained models make them, for benchmarks: smooth regions, alike among models."""

import numpy as np
from numpy.typing import NDArray

SITES = 10


def make_label_maps(
    models: int, planes: int, resolution: int = 50, classes: int = 10
) -> NDArray[np.uint8]:
    """Label maps, uint8, shape (M, P, R, R): the nearest of some sites, which each model moves.

    About seven regions a plane and 75 % agreement between two models, as on trained models.
    """
    rng = np.random.default_rng(0)
    axis = np.linspace(0, 1, resolution, dtype=np.float32)
    x, y = axis[:, None, None], axis[None, :, None]
    maps = np.empty((models, planes, resolution, resolution), np.uint8)
    for plane in range(planes):
        common = rng.random((SITES, 2), dtype=np.float32)
        labels = rng.integers(0, classes, SITES).astype(np.uint8)
        for model in range(models):
            sites = common + rng.normal(0, 0.06, (SITES, 2)).astype(np.float32)
            distance = (x - sites[:, 0]) ** 2 + (y - sites[:, 1]) ** 2
            maps[model, plane] = labels[distance.argmin(axis=-1)]
    return maps
