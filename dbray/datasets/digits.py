"""The embedded data set: scikit-learn's handwritten digits, 1,797 real images of 8 x 8 pixels."""

import numpy as np

from dbray.datasets.dataset import Dataset, channel_statistics

TEST_IMAGES = 360  # a fifth, the same share of every class
SPLIT_SEED = 0  # fixed for good: it is part of what the data set is


def load_digits() -> Dataset:
    """Digits with pixel values 0..16 scaled to 0..255, split into 1,437 and 360 images."""
    from sklearn.datasets import load_digits as load_from_package
    from sklearn.model_selection import train_test_split

    source = load_from_package()
    images = np.rint(source.images * (255 / 16)).astype(np.uint8)[:, None]  # (n, 1, 8, 8)
    labels = source.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=TEST_IMAGES, random_state=SPLIT_SEED, stratify=labels
    )
    train, test = np.sort(train), np.sort(test)
    mean, std = channel_statistics(images[train])
    return Dataset(
        name="digits",
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        class_names=tuple(str(digit) for digit in range(10)),
        mean=mean,
        std=std,
    )
