"""A data set in words: the line that is printed when it is loaded, and how such lines are put."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dbray.datasets.dataset import Dataset
from dbray.errors import one_line


def describe_dataset(dataset: Dataset) -> str:
    """One line: images, classes, shape, range, images per class, and what was done to them."""
    shape = "x".join(str(side) for side in dataset.input_shape)
    facts = [
        f"{dataset.name}: {len(dataset.train_labels):,} training and "
        f"{len(dataset.test_labels):,} test images, {dataset.classes:,} classes",
        f"shape {shape} (channels x height x width)",
        f"range {_span(_range(dataset.train_images, dataset.test_images))}",
        f"{_span(_per_class(dataset.train_labels, dataset.classes))} training and "
        f"{_span(_per_class(dataset.test_labels, dataset.classes))} test images per class",
    ]
    return "; ".join([*facts, *dataset.notes])


def _range(*arrays: NDArray[np.uint8]) -> tuple[int, int]:
    lowest = min(int(array.min()) for array in arrays)
    return lowest, max(int(array.max()) for array in arrays)


def _per_class(labels: NDArray[np.int64], classes: int) -> tuple[int, int]:
    counts = np.bincount(labels, minlength=classes)
    return int(counts.min()), int(counts.max())


def _span(ends: tuple[int, int]) -> str:
    lowest, highest = ends
    return f"{lowest:,}" if lowest == highest else f"{lowest:,}-{highest:,}"


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names in one line, the first few where there are many."""
    everything = [name if name.isprintable() else ascii(name) for name in names]
    shown = ", ".join(everything[:most])
    return f"{shown} and {len(everything) - most:,} more" if everything[most:] else shown


def said_by(error: BaseException) -> str:
    """What an exception says, in one line; its type where it says nothing."""
    return one_line(error).rstrip(".") or type(error).__name__
