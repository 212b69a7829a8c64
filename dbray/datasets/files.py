"""Data sets from a user's own files: a NumPy archive, or a folder of images."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbray.datasets.dataset import Dataset, channel_statistics
from dbray.errors import UserError

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
MAX_CLASSES = 65_536  # a label map holds classes as uint16 at most
IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def load_npz(path: Path) -> Dataset:
    """Read an archive of uint8 images (n, C, H, W) and integer labels (n,) for both splits.

    An optional array ``class_names`` names the classes; otherwise they are numbered.

    Raises
    ------
    UserError
        If the archive cannot be read, or an array is missing or has another type or shape.
    """
    try:
        arrays = _read_arrays(path)
    # zipfile: RuntimeError for a password, NotImplementedError (one of them) for odd compression
    except (EOFError, OSError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"npz:{path}: cannot be read: {error}") from error
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise UserError(f"npz:{path}: has no array {missing[0]}; it needs {', '.join(ARRAYS)}")
    for split in ("train", "test"):
        _check_split(path, split, arrays[f"{split}_images"], arrays[f"{split}_labels"])
    if arrays["train_images"].shape[1:] != arrays["test_images"].shape[1:]:
        raise UserError(f"npz:{path}: training and test images differ in shape")
    return _dataset(f"npz:{path.stem}", arrays, _class_names(path, arrays))


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    source = np.load(path, allow_pickle=False)
    if isinstance(source, np.ndarray):
        raise ValueError("it is a single array (.npy), not an archive of arrays")  # noqa: TRY004
    with source as archive:
        return {name: archive[name] for name in archive.files if name in (*ARRAYS, "class_names")}


def load_folder(path: Path) -> Dataset:
    """Read RGB images from ``train/CLASS/`` and ``test/CLASS/``; all have one size.

    Raises
    ------
    UserError
        If a split is missing, the splits differ in classes, or images differ in size.
    """
    names = {split: _class_folders(path, split) for split in ("train", "test")}
    if names["train"] != names["test"]:
        odd = sorted(set(names["train"]) ^ set(names["test"]))[0]
        raise UserError(f"folder:{path}: class {odd} is in one of train/ and test/ only")
    arrays: dict[str, NDArray[Any]] = {}
    for split in ("train", "test"):
        images, labels = _read_images(path / split, names[split])
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images, labels
    if arrays["train_images"].shape[1:] != arrays["test_images"].shape[1:]:
        raise UserError(f"folder:{path}: training and test images differ in size; resize them")
    return _dataset(f"folder:{path.resolve().name}", arrays, tuple(names["train"]))


def _dataset(name: str, arrays: dict[str, NDArray[Any]], class_names: tuple[str, ...]) -> Dataset:
    mean, std = channel_statistics(arrays["train_images"])
    return Dataset(
        name=name,
        train_images=arrays["train_images"],
        train_labels=arrays["train_labels"].astype(np.int64),
        test_images=arrays["test_images"],
        test_labels=arrays["test_labels"].astype(np.int64),
        class_names=class_names,
        mean=mean,
        std=std,
    )


def _check_split(path: Path, split: str, images: NDArray[Any], labels: NDArray[Any]) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise UserError(
            f"npz:{path}: {split}_images is {images.dtype} of shape {images.shape}; "
            "it must be uint8 of shape (n, channels, height, width)"
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1] or labels.min() < 0:
        raise UserError(
            f"npz:{path}: {split}_labels is {labels.dtype} of shape {labels.shape}; "
            f"it must hold {len(images)} integers from 0 on"
        )
    if labels.max() >= MAX_CLASSES:
        raise UserError(
            f"npz:{path}: {split}_labels has a label {labels.max()}; labels must be below "
            f"{MAX_CLASSES}: number the classes from 0 on"
        )


def _class_names(path: Path, arrays: dict[str, NDArray[Any]]) -> tuple[str, ...]:
    used = 1 + max(int(arrays[f"{split}_labels"].max()) for split in ("train", "test"))
    if "class_names" not in arrays:
        return tuple(str(label) for label in range(used))
    if arrays["class_names"].ndim != 1 or arrays["class_names"].dtype.kind != "U":
        raise UserError(
            f"npz:{path}: class_names is {arrays['class_names'].dtype} of shape "
            f"{arrays['class_names'].shape}; it must be a list of texts, one for each class"
        )
    names = tuple(str(name) for name in arrays["class_names"])
    if len(names) < used:
        raise UserError(f"npz:{path}: {len(names)} class_names, but a label is {used - 1}")
    return names


def _class_folders(path: Path, split: str) -> list[str]:
    top = path / split
    folders = [p for p in top.iterdir() if p.is_dir()] if top.is_dir() else []
    names = sorted(p.name for p in folders if not p.name.startswith("."))
    if not names:
        raise UserError(f"folder:{path}: has no {split}/ with a folder for each class")
    return names


def _read_images(top: Path, class_names: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from PIL import Image

    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        for file in sorted((top / name).iterdir()):
            if file.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            try:
                with Image.open(file) as image:
                    pixels = np.asarray(image.convert("RGB"), np.uint8)
            except OSError as error:
                raise UserError(f"{file}: is not a readable image: {error}") from error
            if images and pixels.shape != images[0].shape:
                raise UserError(
                    f"{file}: is {pixels.shape[1]}x{pixels.shape[0]} pixels, others are "
                    f"{images[0].shape[1]}x{images[0].shape[0]}; resize them to one size"
                )
            images.append(pixels)
            labels.append(label)
    if not images:
        raise UserError(f"{top}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return np.stack(images).transpose(0, 3, 1, 2).copy(), np.array(labels, np.int64)
