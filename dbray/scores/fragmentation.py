"""Fragmentation: the number of connected decision regions of a label map.

Many planes go through one call of the component labeller: they are stacked with a separating
row between them, so that no region reaches across two planes.
"""

import cc3d
import numpy as np
from numpy.typing import NDArray

PLANES_PER_CALL = 256  # bounds the working memory; larger calls are no faster


def count_regions(label_maps: NDArray[np.unsignedinteger]) -> NDArray[np.int32]:
    """Connected regions of equal label on each plane, with 8 neighbours a point.

    Parameters
    ----------
    label_maps
        Unsigned integers, shape (P, R, R).

    Returns
    -------
    int32, shape (P,): at least the number of classes present, at most R * R. It depends on R:
    counts at different resolutions cannot be compared.

    References
    ----------
    Somepalli et al., CVPR 2022, section 4.
    """
    starts = range(0, len(label_maps), PLANES_PER_CALL)
    counts: list[NDArray[np.int32]] = [
        _count_stacked(label_maps[start : start + PLANES_PER_CALL]) for start in starts
    ]
    return np.concatenate([np.empty(0, np.int32), *counts])


def count_classes(label_maps: NDArray[np.unsignedinteger]) -> NDArray[np.int32]:
    """Different labels on each plane, int32, shape (P,), of label maps of shape (P, R, R)."""
    ordered = np.sort(label_maps.reshape(len(label_maps), -1), axis=1)
    changes: NDArray[np.int32] = np.count_nonzero(np.diff(ordered, axis=1), axis=1).astype(np.int32)
    return changes + np.int32(1)


def _count_stacked(label_maps: NDArray[np.unsignedinteger]) -> NDArray[np.int32]:
    planes, height, width = label_maps.shape
    # Label 0 is background to the labeller: it separates planes, and classes start at 1.
    wide = np.uint8 if label_maps.max(initial=0) < 255 else np.uint32
    stacked = np.zeros((planes, height + 1, width), wide)
    np.add(label_maps, 1, out=stacked[:, :height], casting="unsafe", dtype=wide)
    regions, found = cc3d.connected_components(
        stacked.reshape(-1, width), connectivity=8, return_N=True
    )
    plane_of = np.zeros(int(found) + 1, np.int32)
    plane_of[regions.reshape(planes, -1)] = np.arange(planes, dtype=np.int32)[:, None]
    counts: NDArray[np.int32] = np.bincount(plane_of[1:], minlength=planes).astype(np.int32)
    return counts
