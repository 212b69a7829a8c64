"""Labels as archives hold them, brought to class numbers 0, 1, 2, ... that all have images."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbray.datasets.description import listed
from dbray.errors import UserError

MAX_CLASSES = 65_536  # a label map holds classes as uint16 at most
NUMBER_THEM = (
    "number the classes 0, 1, 2, ... without gaps, in both splits, "
    "and leave out images that belong to none"
)


@dataclass(frozen=True)
class Labels:
    """Labels of both splits, the names of the classes, and what was done to get them."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_labels(where: str, arrays: Mapping[str, NDArray[Any]]) -> Labels:
    """Labels and class names of an archive's arrays.

    Raises
    ------
    UserError
        If labels can be read in several ways or in none, or a class has no training image.
    """
    notes: list[str] = []
    train, test = (_one_each(where, split, arrays, notes) for split in ("train", "test"))
    given = _given_names(where, arrays, notes)
    if (train.dtype.kind == "U") != (test.dtype.kind == "U"):
        raise UserError(f"{where}: labels are numbers in one split and texts in the other")
    names: Sequence[str]
    if train.dtype.kind == "U":
        names = sorted(set(train.tolist())) if given is None else given
        train, test = (
            _numbered(where, *part, names) for part in (("train", train), ("test", test))
        )
        notes.append(
            "text labels taken as class names" + (" in the order of class_names" if given else "")
        )
    else:
        used = 1 + max(int(train.max()), int(test.max()))
        names = [str(label) for label in range(used)] if given is None else given
        if len(names) < used:
            raise UserError(f"{where}: {len(names)} class_names, but a label is {used - 1}")
    _check_train(where, train, test, names)
    notes += missing_test_classes(test, names)
    return Labels(train, test, tuple(names), tuple(dict.fromkeys(notes)))


def check_names(where: str, names: Sequence[str]) -> None:
    """Check that names of classes differ and can be printed.

    Raises
    ------
    UserError
        If not.
    """
    if len(names) > MAX_CLASSES:
        raise UserError(
            f"{where}: has {len(names):,} classes; at most {MAX_CLASSES:,} are possible"
        )
    twice = [(name, times) for name, times in Counter(names).items() if times > 1]
    if twice:
        name, times = twice[0]
        raise UserError(f"{where}: {times} classes are named {name!a}; give each its own name")
    # Lone surrogates stand for bytes that are not UTF-8; they cannot be written to a report.
    odd = [n for n in names if any(unicodedata.category(c) in ("Cc", "Cs") for c in n)]
    if odd:
        raise UserError(f"{where}: class {odd[0]!a} has characters that cannot be shown; rename it")


def missing_test_classes(test: NDArray[np.int64], names: Sequence[str]) -> list[str]:
    """Note on classes that no test image has, if there are any."""
    counts = np.bincount(test, minlength=len(names))
    missing = [names[int(label)] for label in np.flatnonzero(counts == 0)]
    return [f"no test images of class {listed(missing, 3)}"] if missing else []


def _one_each(
    where: str, split: str, arrays: Mapping[str, NDArray[Any]], notes: list[str]
) -> NDArray[Any]:
    """Labels of shape (n,), either int64 or text."""
    labels, images = arrays[f"{split}_labels"], len(arrays[f"{split}_images"])
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
        notes.append("labels of shape (n, 1) taken as (n,)")
    elif _is_one_hot(labels):
        labels = labels.argmax(axis=1)
        notes.append("one-hot labels numbered")
    if labels.shape != (images,):
        raise UserError(
            f"{where}: {split}_labels is {labels.dtype} of shape {labels.shape}; "
            f"it must hold {images} integers from 0 on, one for each image"
        )
    if labels.dtype.kind in "US":
        return _texts(where, f"{split}_labels", labels)
    return _integers(where, split, labels, notes)


def _is_one_hot(labels: NDArray[Any]) -> bool:
    if labels.ndim != 2 or labels.dtype.kind not in "biuf":
        return False
    marked = labels == 1
    return bool((marked | (labels == 0)).all() and (marked.sum(axis=1) == 1).all())


def _texts(where: str, name: str, texts: NDArray[Any]) -> NDArray[Any]:
    if texts.dtype.kind == "U":
        return texts
    try:
        return np.char.decode(texts, "utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: {name} is not UTF-8; save it as texts") from error


def _integers(where: str, split: str, labels: NDArray[Any], notes: list[str]) -> NDArray[np.int64]:
    kind = labels.dtype.kind
    whole = kind in "biu" or (kind == "f" and bool((labels == np.rint(labels)).all()))
    if not whole or labels.min() < 0:
        raise UserError(
            f"{where}: {split}_labels is {labels.dtype} and holds other values than "
            f"integers from 0 on; {NUMBER_THEM}"
        )
    if labels.max() >= MAX_CLASSES:
        raise UserError(
            f"{where}: {split}_labels has a label {labels.max()}; labels must be below "
            f"{MAX_CLASSES}: {NUMBER_THEM}"
        )
    if kind in "bf":
        notes.append(f"{labels.dtype.name} labels taken as integers")
    return labels.astype(np.int64)


def _given_names(
    where: str, arrays: Mapping[str, NDArray[Any]], notes: list[str]
) -> list[str] | None:
    names = arrays.get("class_names")
    if names is None:
        return None
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise UserError(
            f"{where}: class_names is {names.dtype} of shape {names.shape}; "
            "it must be a list of texts, one for each class"
        )
    if names.dtype.kind == "S":
        notes.append("class_names decoded from bytes")
    texts = [str(name) for name in _texts(where, "class_names", names)]
    check_names(where, texts)
    return texts


def _numbered(
    where: str, split: str, labels: NDArray[Any], names: Sequence[str]
) -> NDArray[np.int64]:
    numbers = {name: number for number, name in enumerate(names)}
    unknown = sorted(set(labels.tolist()) - set(numbers))
    if unknown:
        raise UserError(
            f"{where}: {split}_labels has {unknown[0]!r}, which is no class of the training "
            "images or of class_names; correct it or leave its images out"
        )
    return np.array([numbers[label] for label in labels.tolist()], np.int64)


def _check_train(
    where: str, train: NDArray[np.int64], test: NDArray[np.int64], names: Sequence[str]
) -> None:
    """Refuse classes that nothing can be learned of: numbers with gaps, from 1, or of a test."""
    check_names(where, names)
    missing = np.flatnonzero(np.bincount(train, minlength=len(names)) == 0)
    if missing.size == 0:
        return
    label = int(missing[0])
    named = "" if names[label] == str(label) else f" ({names[label]})"
    tested = int((test == label).sum())
    raise UserError(
        f"{where}: no training image has class {label}{named}"
        + (f", but {tested} test images do" if tested else "")
        + (f"; {len(missing) - 1:,} other classes have none either" if missing.size > 1 else "")
        + f"; {NUMBER_THEM}"
    )
