"""The embedded data set: scikit-learn's handwritten digits, 1,797 real images of 8 x 8 pixels."""

import base64
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dbray.datasets.dataset import Dataset, channel_statistics

# Which images are test images, a bit each: 360, a fifth of every class, by scikit-learn's
# stratified split with seed 0. Fixed for good, as it is part of what the data set is.
TEST = (
    "000DtH6#!~00uz-lR^am8UP3Z03-k?1}qW)5CD`40FW6H1R(gJ0)Y^q00;_*AVd`;NkTxN3IG5AKm^zT0D*uY07wPI01!"
    "Y3pb!8BKu7>E5C8%W#0dZbB!mEir~y16rkDx<000XJKnMh&7)SyFKtaI(fCNBBgg0t|0u}&7fB-;3prjZIPymDrg<-}B5P%"
    "2(On|^31O|=(0SJNsfdDuN1HcFw000mU0RV&$pdkP=C@BQMM8JS(4gms#0D=IBBBnqrBm^M{s9=DQfuIZmf&xMk0XU=;00"
)


def load_digits() -> Dataset:
    """Digits with pixel values 0..16 scaled to 0..255, split into 1,437 and 360 images."""
    path = packaged("data/digits.csv.gz")
    table = np.loadtxt(path, delimiter=",", dtype=np.int64)  # 64 pixels and the class
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = table[:, -1]
    test = is_test_image(len(labels))
    mean, std = channel_statistics(images[~test])
    return Dataset(
        name="digits",
        train_images=images[~test],
        train_labels=labels[~test],
        test_images=images[test],
        test_labels=labels[test],
        class_names=tuple(str(digit) for digit in range(10)),
        mean=mean,
        std=std,
    )


def packaged(name: str) -> Path:
    """A file of scikit-learn's data; importing it takes longer than many a command wants data."""
    return Path(str(distribution("scikit-learn").locate_file(f"sklearn/datasets/{name}")))


def is_test_image(count: int) -> NDArray[np.bool_]:
    """Whether each of the file's images is a test image."""
    bits = np.unpackbits(np.frombuffer(base64.b85decode(TEST), np.uint8), count=count)
    return bits.astype(bool)
