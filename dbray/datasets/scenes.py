"""The embedded colour images: scikit-learn's digits at random places of its two photographs.

The digits and the photographs are real; putting them together is ours. A digit of 8 x 8 pixels
lies anywhere on a patch of a photograph, and is bright on a dark patch or dark on a bright one, in
each of the three colours for itself. So a class is a shape wherever it is and whatever its colour,
as in photographs of things, and unlike in digits as they ship.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dbray.datasets.dataset import Dataset, channel_statistics
from dbray.datasets.digits import load_digits, packaged

SIDE = 10  # pixels of an image
COPIES = 3  # of every training digit, each at a place and on a patch of its own
SHRINK = 2  # photographs are made smaller by it, so that a patch of so few pixels shows something
TONE = 0.5  # what is left of a patch's range, at its dark or its bright end: digits have the other
TRAINING_SHARE = 0.75  # of the photographs' width, from the left: test patches are of the rest
DRAW_SEED = 0  # fixed for good, as all of these are: they are part of what the data set is

FULL = 255
MARGIN = 8  # empty rows and columns of a digit can lie outside of the image

Floats = NDArray[np.float32]


def load_scenes() -> Dataset:
    """Digits on photographs; training and test images share neither digits nor parts of these."""
    digits, photographs = load_digits(), _photographs()
    border = round(photographs.shape[2] * TRAINING_SHARE)
    rng = np.random.default_rng(DRAW_SEED)
    train_digits = np.repeat(digits.train_images, COPIES, axis=0)
    train_images = _scenes(train_digits, photographs[:, :, :border], rng)
    test_images = _scenes(digits.test_images, photographs[:, :, border:], rng)
    mean, std = channel_statistics(train_images)
    return Dataset(
        name="scenes",
        train_images=train_images,
        train_labels=np.repeat(digits.train_labels, COPIES),
        test_images=test_images,
        test_labels=digits.test_labels,
        class_names=digits.class_names,
        mean=mean,
        std=std,
        notes=("real digits on patches of two real photographs, put together by dbray",),
    )


def _photographs() -> Floats:
    """The two photographs with pixels from 0 to 255, shape (2, height, width, 3)."""
    files = [packaged(f"images/{name}.jpg") for name in ("china", "flower")]
    images = np.stack([np.asarray(Image.open(file)) for file in files]).astype(np.float32)
    count, height, width, channels = images.shape
    rows, columns = height // SHRINK, width // SHRINK
    blocks = images[:, : rows * SHRINK, : columns * SHRINK].reshape(
        count, rows, SHRINK, columns, SHRINK, channels
    )
    smaller: Floats = blocks.mean(axis=(2, 4))
    return smaller


def _scenes(
    digits: NDArray[np.uint8], photographs: Floats, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Each digit (n, 1, 8, 8) over a patch of its own; uint8, shape (n, 3, SIDE, SIDE)."""
    patches, strokes = _patches(photographs, len(digits), rng), _strokes(digits, rng)
    bright = rng.random((len(digits), 3, 1, 1)) < 0.5  # of each colour of a patch
    toned = np.where(bright, FULL - TONE * (FULL - patches), TONE * patches)
    colours = np.where(bright, 0, FULL)
    images: NDArray[np.uint8] = np.rint(toned + strokes * (colours - toned)).astype(np.uint8)
    return images


def _patches(photographs: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Patches at random places, shape (count, 3, SIDE, SIDE)."""
    windows = np.lib.stride_tricks.sliding_window_view(photographs, (SIDE, SIDE), axis=(1, 2))
    which, rows, columns = (rng.integers(length, size=count) for length in windows.shape[:3])
    patches: Floats = windows[which, rows, columns]
    return patches


def _strokes(digits: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
    """The digits at random places: how much of a pixel is stroke, (n, 1, SIDE, SIDE).

    What is placed is the digit without the empty rows and columns around it: these go over the
    border of the image where there is no room for them.
    """
    inked = digits[:, 0] > 0
    rows, columns = (_offsets(inked, axis, rng) for axis in (2, 1))  # (n, 8) each
    strokes = np.zeros((len(digits), 1, SIDE + 2 * MARGIN, SIDE + 2 * MARGIN), np.float32)
    which = np.arange(len(digits))[:, None, None]
    ink = digits[:, 0] / np.float32(FULL)
    strokes[which, 0, MARGIN + rows[:, :, None], MARGIN + columns[:, None, :]] = ink
    return strokes[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def _offsets(inked: NDArray[np.bool_], other: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Where in the image each of a digit's 8 rows (or columns) comes to lie, (n, 8)."""
    used: NDArray[np.bool_] = np.any(inked, axis=other)
    length = used.shape[1]
    first, last = used.argmax(axis=1), length - 1 - used[:, ::-1].argmax(axis=1)
    start: NDArray[np.int64] = rng.integers(-first, SIDE - last)
    return start[:, None] + np.arange(length)
