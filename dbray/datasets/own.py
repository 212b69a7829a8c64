"""Data sets of a user's own, named ``package.module:load``: arrays, torch's, Hugging Face's.

Only what can be read in one way is taken; what was done to it is said in the data set's notes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbray.datasets.archive_reading import ARRAYS, OTHER_NAMES
from dbray.datasets.archives import dataset_of_arrays
from dbray.datasets.dataset import Dataset
from dbray.datasets.description import listed, said_by
from dbray.errors import UserError, reason
from dbray.importing import import_named

SPLITS = (("train", "test"), ("train", "validation"), ("training", "test"))
IMAGE_COLUMNS = ("image", "img", "images", "pixel_values")
LABEL_COLUMNS = ("label", "labels", "fine_label", "target", "class")
FORMS = (
    "return a dict of train_images, train_labels, test_images and test_labels, or two data sets "
    "(training, test) of (image, label)"
)


@dataclass(frozen=True)
class Split:
    """Images and labels as they came, and the names of the classes if they have some."""

    images: NDArray[Any]
    labels: NDArray[Any]
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def load_own(spec: str) -> Dataset:
    """Load what ``package.module:name`` is, or returns if it is a function.

    It may be a ``Dataset``; a dict of the arrays of an archive (see ``load_npz``), with ``mean``
    and ``std`` per channel where the models have a normalisation of their own; a pair (training,
    test), or a dict of ``train`` and ``test``, each a torch ``Dataset`` of (image, label), a
    Hugging Face ``Dataset`` with an image and a label column, or a pair of arrays.

    Raises
    ------
    UserError
        If it cannot be imported, fails, or is nothing of that kind.
    """
    where = f"data set {spec}"
    found = import_named("data set", spec)
    if callable(found) and not isinstance(found, Mapping | Dataset):
        try:
            found = found()
        except (Exception, SystemExit) as error:  # the user's own code
            raise UserError(f"{where}: fails: {reason(error)}") from error
    if isinstance(found, Dataset):
        return found
    try:
        return _dataset(where, spec, found)
    except UserError:
        raise
    except Exception as error:  # the user's own objects
        raise UserError(f"{where}: cannot be read: {said_by(error)}; {FORMS}") from error


def _dataset(where: str, spec: str, found: Any) -> Dataset:  # noqa: ANN401 - a user's object
    if isinstance(found, Mapping):
        for names in (ARRAYS, *OTHER_NAMES):
            if set(names) <= found.keys():
                return _of_arrays(where, spec, found, names)
    train, test = _two_splits(where, found)
    splits = _split(f"{where}: training", train), _split(f"{where}: test", test)
    if splits[0].class_names != splits[1].class_names:
        raise UserError(f"{where}: training and test images have other names of classes")
    arrays = {
        "train_images": splits[0].images,
        "train_labels": splits[0].labels,
        "test_images": splits[1].images,
        "test_labels": splits[1].labels,
    }
    if splits[0].class_names:
        arrays["class_names"] = np.array(splits[0].class_names)
    notes = list(dict.fromkeys([*splits[0].notes, *splits[1].notes]))
    made = dataset_of_arrays(where, spec, arrays, notes)
    own = found if isinstance(found, Mapping) else {}
    return _normalised(where, made, own)


def _of_arrays(where: str, spec: str, found: Mapping[str, Any], names: Sequence[str]) -> Dataset:
    arrays = {
        name: np.asarray(_as_array(found[other])) for name, other in zip(ARRAYS, names, strict=True)
    }
    if "class_names" in found:
        arrays["class_names"] = np.asarray(found["class_names"])
    unused = found.keys() - {*names, "class_names", "mean", "std"}
    notes = [f"left out: {listed(sorted(map(str, unused)))}"] if unused else []
    return _normalised(where, dataset_of_arrays(where, spec, arrays, notes), found)


def _normalised(where: str, dataset: Dataset, found: Mapping[str, Any]) -> Dataset:
    """The data set with the user's own mean and standard deviation, if both are given."""
    if "mean" not in found and "std" not in found:
        return dataset
    channels = dataset.input_shape[0]
    values = []
    for name in ("mean", "std"):
        given = np.atleast_1d(np.asarray(found.get(name, ()), float))
        if given.shape not in ((1,), (channels,)) or not np.isfinite(given).all():
            raise UserError(f"{where}: {name} must be a number, or one for each channel")
        values.append(tuple(np.broadcast_to(given, channels).tolist()))
    if min(values[1]) <= 0:
        raise UserError(f"{where}: std must be above 0")
    return replace(dataset, mean=values[0], std=values[1])


def _two_splits(where: str, found: Any) -> tuple[Any, Any]:  # noqa: ANN401 - a user's object
    if isinstance(found, Mapping):
        for train, test in SPLITS:
            if train in found and test in found:
                return found[train], found[test]
        has = listed(map(str, found.keys()))
        raise UserError(f"{where}: is a dict of {has}; {FORMS}")
    if isinstance(found, tuple | list) and len(found) == 2:
        return found[0], found[1]
    raise UserError(f"{where}: is {type(found).__name__}; {FORMS}")


def _split(where: str, found: Any) -> Split:  # noqa: ANN401 - a user's object
    if hasattr(found, "column_names") and hasattr(found, "features"):
        return _of_columns(where, found)
    if isinstance(found, tuple | list) and len(found) == 2 and hasattr(found[0], "shape"):
        return Split(_as_array(found[0]), _as_array(found[1]))
    if hasattr(found, "__getitem__") and hasattr(found, "__len__"):
        return _of_pairs(where, found)
    raise UserError(f"{where}: {type(found).__name__} is no data set of (image, label)")


def _of_columns(where: str, found: Any) -> Split:  # noqa: ANN401 - a Hugging Face Dataset
    features = found.features
    images = _column(where, "an image", features, IMAGE_COLUMNS, ("Image", "Array3D", "Array2D"))
    labels = _column(where, "a label", features, LABEL_COLUMNS, ("ClassLabel",))
    names = tuple(getattr(features[labels], "names", None) or ())
    unused = sorted(set(found.column_names) - {images, labels})
    notes = (f"left out: {listed(unused)}",) if unused else ()
    pictures = [_as_array(picture) for picture in found[images]]
    return Split(_stacked(where, pictures), np.asarray(list(found[labels])), names, notes)


def _column(
    where: str, what: str, features: Mapping[str, Any], usual: Sequence[str], kinds: Sequence[str]
) -> str:
    """The one column of a kind, or of a usual name."""
    for kinds_or_names in (
        [name for name, feature in features.items() if type(feature).__name__ in kinds],
        [name for name in usual if name in features],
    ):
        if len(kinds_or_names) == 1:
            return kinds_or_names[0]
        if kinds_or_names:
            several = listed(kinds_or_names)
            raise UserError(f"{where}: has several columns that may be {what}: {several}")
    raise UserError(f"{where}: has no column of {what}; it has {listed(features)}")


def _of_pairs(where: str, found: Any) -> Split:  # noqa: ANN401 - a torch Dataset
    if len(found) == 0:
        raise UserError(f"{where}: has no images")
    pictures, labels = [], []
    for index in range(len(found)):
        item = found[index]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UserError(f"{where}: item {index} is no pair of an image and a label")
        pictures.append(_as_array(item[0]))
        labels.append(_as_array(item[1]))
    names = tuple(str(name) for name in getattr(found, "classes", None) or ())
    return Split(_stacked(where, pictures), np.stack(labels), names)


def _stacked(where: str, pictures: Sequence[NDArray[Any]]) -> NDArray[Any]:
    shapes = sorted({picture.shape for picture in pictures})
    if len(shapes) > 1:
        raise UserError(
            f"{where}: images are of several shapes, such as {shapes[0]} and {shapes[-1]}; "
            "bring them to one"
        )
    return np.stack(pictures)


def _as_array(value: Any) -> NDArray[Any]:  # noqa: ANN401 - a picture, a tensor, an array
    if hasattr(value, "detach"):  # a torch tensor
        value = value.detach().cpu()
    return np.asarray(value)
