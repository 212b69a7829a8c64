"""Pixel values and layouts that files use, brought to uint8 of shape (n, channels, height, width).

Only what can be read in one way is converted; each conversion comes with a note that says so.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbray.errors import UserError

CHANNELS = (1, 3, 4)  # grey, RGB, RGBA: a last axis of one of these may be channels
SMALLEST_SIDE = 5  # images with fewer rows than this cannot be told from channels
AT_ONCE = 256  # images converted at a time: scaling takes several times their memory

Images = NDArray[Any]
Convert = Callable[[Images], Images]


def from_16_bits(values: Images) -> NDArray[np.uint8]:
    """16-bit values to 8 bits, rounded: 65535 becomes 255."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def from_unit_range(values: Images) -> NDArray[np.uint8]:
    """Values from 0 to 1 to 8 bits, rounded."""
    scaled: NDArray[np.uint8] = np.rint(values.astype(np.float64) * 255).astype(np.uint8)
    return scaled


def dark_notes(highest: int) -> list[str]:
    """Note on 16-bit values that use few of their bits, as a 12-bit camera's do."""
    if highest >= 2**15:
        return []
    return [f"16-bit values reach {highest:,} of 65,535 only: the images are dark"]


def as_bytes(where: str, train: Images, test: Images) -> tuple[Images, Images, list[str]]:
    """Both splits as uint8 with the same conversion, and notes on it.

    Raises
    ------
    UserError
        If the values can be read in several ways, or in none.
    """
    if train.dtype.newbyteorder("=") != test.dtype.newbyteorder("="):
        raise UserError(
            f"{where}: train_images is {train.dtype} and test_images is {test.dtype}; "
            "save both as uint8 with values from 0 to 255"
        )
    if train.dtype == np.uint8:
        return train, test, []
    convert, notes = _conversion(where, train, test)
    return _in_parts(convert, train), _in_parts(convert, test), notes


def _conversion(where: str, train: Images, test: Images) -> tuple[Convert, list[str]]:
    kind, name = train.dtype.kind, train.dtype.name
    if kind == "b":
        return from_unit_range, ["boolean images scaled to 0 and 255"]
    if kind not in "iuf":
        raise UserError(f"{where}: images are {train.dtype}; save them as uint8 from 0 to 255")
    low, high = min(train.min(), test.min()), max(train.max(), test.max())
    whole = kind in "iu" or (low >= 0 and high > 1 and _is_whole(train) and _is_whole(test))
    if kind == "f" and low >= 0 and high <= 1:
        return from_unit_range, [f"{name} images from 0 to 1 scaled to 0-255"]
    if whole and low >= 0 and high <= 255:
        return lambda part: part.astype(np.uint8), [f"{name} images from 0 to 255 stored as uint8"]
    if name == "uint16":
        return from_16_bits, ["16-bit images scaled to 8 bits", *dark_notes(int(high))]
    # A comparison with NaN is false, so arrays that hold one end here too.
    raise UserError(
        f"{where}: images are {name} from {low:g} to {high:g}, which can be scaled in several "
        "ways; save them as uint8 from 0 to 255, or as floats from 0 to 1"
    )


def _is_whole(images: Images) -> bool:
    parts = (images[i : i + AT_ONCE] for i in range(0, len(images), AT_ONCE))
    return all(bool((part == np.rint(part)).all()) for part in parts)


def _in_parts(convert: Convert, images: Images) -> NDArray[np.uint8]:
    result = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), AT_ONCE):
        result[start : start + AT_ONCE] = convert(images[start : start + AT_ONCE])
    return result


def channels_first(where: str, train: Images, test: Images) -> tuple[Images, Images, list[str]]:
    """Both splits with shape (n, channels, height, width), and notes on what was moved.

    Raises
    ------
    UserError
        If they are not images, or the splits differ in shape.
    """
    for split, images in (("train", train), ("test", test)):
        if images.ndim not in (3, 4) or math.prod(images.shape) == 0:
            raise UserError(
                f"{where}: {split}_images is {images.dtype} of shape {images.shape}; it must be "
                "uint8 of shape (n, channels, height, width): reshape it"
            )
    if train.shape[1:] != test.shape[1:]:
        raise UserError(
            f"{where}: training and test images differ in shape, {train.shape[1:]} and "
            f"{test.shape[1:]}; bring them to one"
        )
    if train.ndim == 3:
        return train[:, None], test[:, None], ["greyscale images given a channel axis"]
    return _from_four_axes(train, test)


def _from_four_axes(train: Images, test: Images) -> tuple[Images, Images, list[str]]:
    first, second, last = train.shape[1:]
    if last not in CHANNELS:
        return train, test, []
    if first not in CHANNELS and min(first, second) >= SMALLEST_SIDE:
        return _front(train), _front(test), ["channels moved to the front"]
    # Either axis may be the channels: taken as the documented layout, and said.
    return train, test, [f"shape {train.shape[1:]} taken as (channels, height, width)"]


def _front(images: Images) -> Images:
    return images.transpose(0, 3, 1, 2)
