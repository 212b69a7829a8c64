"""A labelled image data set in memory, with the normalisation that its models see."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbray.errors import UserError


@dataclass(frozen=True)
class Dataset:
    """Images as they ship (uint8), their labels, and how inputs are normalised.

    Attributes
    ----------
    train_images, test_images
        uint8, shape (n, channels, height, width).
    train_labels, test_labels
        int64, shape (n,), values below ``len(class_names)``.
    mean, std
        Per channel, in units where a pixel runs from 0 to 1.
    notes
        What was done to the files' images and labels, for a person to read; no part of the data.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return len(self.class_names)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over images, labels, shapes, class names and normalisation, in hex."""
        digest = hashlib.sha256(repr((self.class_names, self.mean, self.std)).encode())
        parts: tuple[NDArray[Any], ...] = (
            self.train_images,
            self.train_labels,
            self.test_images,
            self.test_labels,
        )
        for part in parts:
            digest.update(repr((part.shape, part.dtype.str)).encode())
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def normalise(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Model inputs for images: (x/255 - mean)/std per channel, float32, same shape."""
        mean = np.asarray(self.mean, np.float32).reshape(-1, 1, 1)
        std = np.asarray(self.std, np.float32).reshape(-1, 1, 1)
        return (images.astype(np.float32) / np.float32(255) - mean) / std


def channel_statistics(
    images: NDArray[np.uint8],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 images (n, C, H, W), pixels from 0 to 1.

    Rounded to four decimals, as such constants are published; a constant channel gets 1.
    """
    pixels = images.transpose(1, 0, 2, 3).reshape(images.shape[1], -1)
    mean = tuple(round(float(channel.mean()) / 255, 4) for channel in pixels)
    std = tuple(round(float(channel.std()) / 255, 4) or 1.0 for channel in pixels)
    return mean, std


def dataset_of(
    name: str,
    where: str,
    *,
    images: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    labels: tuple[NDArray[np.int64], NDArray[np.int64]],
    class_names: tuple[str, ...],
    notes: tuple[str, ...],
) -> Dataset:
    """Build a data set of a person's own (training, test) images, normalised by the former.

    Raises
    ------
    UserError
        If all training pixels are equal, so that there is nothing to learn.
    """
    train, test = images
    if train.min() == train.max():
        raise UserError(f"{where}: every pixel of the training images is {train.min()}; check them")
    if test.min() == test.max():
        notes = (*notes, f"every pixel of the test images is {test.min()}")
    mean, std = channel_statistics(train)
    return Dataset(name, train, labels[0], test, labels[1], class_names, mean, std, notes)
