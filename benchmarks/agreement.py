"""All pairs' agreement against a NumPy loop over pairs, and against reading both files a pair."""

import tempfile
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.label_maps import make_label_maps
from benchmarks.timing import Result, take_turns
from dbray.scores.agreement import count_agreements

PLANES, CLASSES = 500, 10
FILE_PAIRS = 4  # pairs a repetition that are timed from files; all pairs take hours


def run() -> list[Result]:
    """Time M = 40 and M = 200 models on 500 planes of 50 x 50 points."""
    results = []
    for models in (40, 200):
        labels = make_label_maps(models, PLANES).reshape(models, PLANES, -1)
        count_agreements(labels[:2, :1], None, CLASSES)  # compile
        ours, loop = take_turns(partial(_ours, labels), partial(_loop, labels))
        files = _from_files(labels)
        about = f"agreement, M = {models}, P = 500, R = 50"
        aim = ">= 2" if models == 200 else ">= 1"
        results += [
            Result(about, ours, loop, "NumPy == for each pair, in memory", aim),
            Result(about, ours, files, "both files read for each ordered pair (scaled)", ">= 500"),
        ]
    return results


def _ours(labels: NDArray[np.uint8]) -> object:
    # More than the peers: overlaps of every class for the Jaccard index, marginals for kappa.
    return count_agreements(labels, None, CLASSES)


def _loop(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    flat = labels.reshape(len(labels), -1)
    counts = np.zeros((len(flat), len(flat)), np.int64)
    for a, b in combinations(range(len(flat)), 2):
        counts[a, b] = np.count_nonzero(flat[a] == flat[b])
    return counts


def _from_files(labels: NDArray[np.uint8]) -> tuple[float, ...]:
    """Seconds for all ordered pairs, from a few: each reads two files of text-free float logits.

    The reference code stores each point's ten scores and takes their arg-max after reading.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{model}.npy" for model in range(2)]
        for path, label_map in zip(paths, labels[:2].reshape(2, -1), strict=True):
            np.save(path, np.eye(CLASSES, dtype=np.float32)[label_map])

        def pairs() -> None:
            for _ in range(FILE_PAIRS):
                a, b = (np.load(path).argmax(axis=1) for path in paths)
                np.count_nonzero(a == b)

        (seconds,) = take_turns(pairs)
    return tuple(some / FILE_PAIRS * len(labels) ** 2 for some in seconds)
