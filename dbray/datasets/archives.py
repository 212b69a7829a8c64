"""Data sets from NumPy archives (.npz)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbray.datasets.archive_reading import read_archive
from dbray.datasets.dataset import Dataset, dataset_of
from dbray.datasets.description import said_by
from dbray.datasets.labels import read_labels
from dbray.datasets.pixels import as_bytes, channels_first
from dbray.errors import UserError


def load_npz(path: Path) -> Dataset:
    """Read an archive of uint8 images (n, C, H, W) and integer labels (n,) for both splits.

    An optional array ``class_names`` names the classes; otherwise they are numbered. Other values
    and layouts are converted where they can be read in one way only; ``notes`` says what was done.

    Raises
    ------
    UserError
        If the archive cannot be read, or an array is missing or can be read in several ways.
    """
    where = f"npz:{path}"
    try:
        arrays, notes = read_archive(path)
        return dataset_of_arrays(where, f"npz:{path.stem}", arrays, notes)
    except MemoryError as error:
        raise UserError(
            f"{where}: does not fit into memory ({said_by(error)}); keep fewer or smaller images"
        ) from error


def dataset_of_arrays(
    where: str, name: str, arrays: Mapping[str, NDArray[Any]], notes: Sequence[str]
) -> Dataset:
    """A data set of the four arrays, and of ``class_names`` where it is there.

    Parameters
    ----------
    where
        What the message of an error begins with.
    notes
        What was done to the arrays before.

    Raises
    ------
    UserError
        If an array can be read in several ways, or in none.
    """
    train, test = arrays["train_images"], arrays["test_images"]
    train, test, moved = channels_first(where, train, test)
    train, test, scaled = as_bytes(where, train, test)
    labels = read_labels(where, arrays)
    return dataset_of(
        name,
        where,
        images=(np.ascontiguousarray(train), np.ascontiguousarray(test)),
        labels=(labels.train, labels.test),
        class_names=labels.class_names,
        notes=(*notes, *moved, *scaled, *labels.notes),
    )
