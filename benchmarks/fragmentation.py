"""Connected regions of many planes against scikit-image once for each class of each plane."""

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from benchmarks.label_maps import make_label_maps
from benchmarks.timing import Result, take_turns
from dbray.scores.fragmentation import count_regions

PLANES = 1000


def run() -> list[Result]:
    """Time 1000 planes of 50 x 50 points."""
    maps = make_label_maps(1, PLANES)[0]
    assert count_regions(maps).tolist() == _each_class(maps)
    ours, theirs = take_turns(lambda: count_regions(maps), lambda: _each_class(maps))
    about = f"fragmentation, {PLANES} planes, R = 50"
    return [Result(about, ours, theirs, "scikit-image, one class at a time", ">= 13")]


def _each_class(maps: NDArray[np.uint8]) -> list[int]:
    return [
        sum(int(label(plane == c, connectivity=2, return_num=True)[1]) for c in np.unique(plane))
        for plane in maps
    ]
