"""A person's own files, small: archives and folders of images."""

from pathlib import Path

import numpy as np
from PIL import Image

from dbray.datasets import Dataset, load_dataset


def arrays(**changes):
    """Arrays of an archive, with some exchanged or (None) left out."""
    rng = np.random.default_rng(0)
    content = {
        "train_images": rng.integers(0, 256, (6, 3, 4, 5), dtype=np.uint8),
        "train_labels": np.array([0, 1, 2, 0, 1, 2]),
        "test_images": rng.integers(0, 256, (3, 3, 4, 5), dtype=np.uint8),
        "test_labels": np.array([0, 1, 2]),
    } | changes
    return {name: array for name, array in content.items() if array is not None}


def save(path: Path, **changes) -> str:
    """Write an archive and return it as a --dataset."""
    np.savez(path, **arrays(**changes))
    return f"npz:{path}"


def make_folder(top, sizes=((6, 4),) * 4, splits=("train", "test")):
    """Two classes of two images in each split."""
    for split in splits:
        for label, name in enumerate(("cat", "dog")):
            (top / split / name).mkdir(parents=True)
            for i in range(2):
                picture = Image.new("RGB", sizes[2 * label + i], (40 * label, 10 * i, 0))
                picture.save(top / split / name / f"{i}.png")


def add_everywhere(top: Path, name: str, write) -> None:
    """Call ``write`` with a new path in each of the four folders that ``make_folder`` makes."""
    for folder in sorted(top.glob("*/*")):
        write(folder / name)


def load_only(top: Path, name: str, write) -> Dataset:
    """Load a folder of which every image is written by ``write``."""
    make_folder(top)
    for path in top.rglob("*.png"):
        path.unlink()
    add_everywhere(top, name, write)
    return load_dataset(f"folder:{top}")
