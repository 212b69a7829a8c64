"""Data sets from folders of images: ``train/CLASS/`` and ``test/CLASS/``."""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dbray.datasets.dataset import Dataset, dataset_of
from dbray.datasets.description import listed, said_by
from dbray.datasets.image_files import Found, find_images, left_out_note, other_folders
from dbray.datasets.image_reading import read_image
from dbray.datasets.labels import check_names
from dbray.datasets.pixels import dark_notes
from dbray.errors import UserError


def load_folder(path: Path) -> Dataset:
    """Read images from ``train/CLASS/`` and ``test/CLASS/`` as RGB; all have one size.

    Modes other than RGB are converted where that can be done in one way only; ``notes`` says what
    was done, and what was left out.

    Raises
    ------
    UserError
        If a split is missing, the splits differ in classes, a class has no images, or images
        cannot be read or differ in size.
    """
    try:
        return _load(path)
    except MemoryError as error:
        raise UserError(
            f"folder:{path}: does not fit into memory ({said_by(error)}); "
            "keep fewer or smaller images"
        ) from error


def _load(path: Path) -> Dataset:
    where = f"folder:{path}"
    train, test = find_images(path, "train"), find_images(path, "test")
    names = tuple(train.files)
    _check_classes(where, train, test)
    with _quiet():
        images, notes = _read_all(where, [*_files(train), *_files(test)])
    count = len(list(_files(train)))
    return dataset_of(
        f"folder:{path.resolve().name}",
        where,
        images=(images[:count], images[count:]),
        labels=(_labels(train), _labels(test)),
        class_names=names,
        notes=(*notes, *_left_out(path, train.left_out + test.left_out)),
    )


def _check_classes(where: str, train: Found, test: Found) -> None:
    odd = sorted(train.files.keys() ^ test.files.keys())
    if odd:
        raise UserError(
            f"{where}: class {odd[0]} is in one of train/ and test/ only; "
            "give it images in both, or remove it"
        )
    check_names(where, tuple(train.files))


def _files(found: Found) -> Iterator[Path]:
    return chain.from_iterable(found.files.values())


def _labels(found: Found) -> NDArray[np.int64]:
    counts = [len(files) for files in found.files.values()]
    return np.repeat(np.arange(len(counts), dtype=np.int64), counts)


def _left_out(path: Path, left_out: Counter[str]) -> list[str]:
    folders = other_folders(path)
    notes = [left_out_note(left_out)] if left_out else []
    return [*notes, f"left out: {listed(folders)}"] if folders else notes


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings of odd metadata in; what it takes for a decompression bomb ends."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _read_all(where: str, files: Sequence[Path]) -> tuple[NDArray[np.uint8], list[str]]:
    """Images of all files (n, 3, H, W), and notes on how many of them were converted."""
    first = read_image(files[0]).pixels
    images = np.empty((len(files), 3, *first.shape[:2]), np.uint8)
    done: Counter[str] = Counter()
    highest: list[int] = []
    for index, file in enumerate(files):
        picture = read_image(file)
        if picture.pixels.shape != first.shape:
            raise UserError(_sizes_differ(file, picture.pixels, files[0], first))
        images[index] = picture.pixels.transpose(2, 0, 1)
        done.update(picture.notes)
        highest += [] if picture.highest is None else [picture.highest]
    notes = [_counted(note, count, len(files)) for note, count in done.items()]
    return images, notes + _deep_notes(where, highest)


def _sizes_differ(
    file: Path, pixels: NDArray[np.uint8], first_file: Path, first: NDArray[np.uint8]
) -> str:
    return (
        f"{file}: is {pixels.shape[1]}x{pixels.shape[0]} pixels, but {first_file} is "
        f"{first.shape[1]}x{first.shape[0]}; resize them to one size"
    )


def _counted(note: str, count: int, total: int) -> str:
    return note if count == total else f"{note} ({count:,} of {total:,} images)"


def _deep_notes(where: str, highest: Sequence[int]) -> list[str]:
    if not highest:
        return []
    if max(highest) <= 255:
        raise UserError(
            f"{where}: its 16-bit images hold values up to {max(highest)} only, which would all "
            "be black; save them with 8 bits a pixel"
        )
    return dark_notes(max(highest))
