"""The lines that every model of a study walks: from images of one kind towards other images.

Margins are averaged over the lines of an image, class skips counted on each. The lines depend
on the seed alone, and more of them leave the first as they are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.planes import PLANE_KINDS, PlaneKind, PlaneSource, image_pool, of_training_split

DIRECTIONS = 4  # lines an image
STREAM = 1_000_003  # keeps these draws apart from those of planes with the same seed

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Lines:
    """Lines of one kind of images.

    Attributes
    ----------
    image_ids, toward_ids
        int64, shape (n,): where each line starts and ends, as positions in the kind's split; the
        lines of one image are neighbours.
    """

    kind: PlaneKind
    image_ids: Ids
    toward_ids: Ids

    def ends(self, dataset: Dataset) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Normalised inputs at both ends, shape (n, channels, height, width)."""
        train = of_training_split(self.kind)
        images = dataset.train_images if train else dataset.test_images
        return dataset.normalise(images[self.image_ids]), dataset.normalise(images[self.toward_ids])


def kinds_of_lines(source: PlaneSource) -> tuple[PlaneKind, ...]:
    """Which images lines start from: test and training images, the latter by their labels."""
    return ("test", "train_correct", "train_mislabelled") if source.noise else ("test", "train")


def check_lines(dataset: Dataset, images: int, source: PlaneSource) -> None:
    """Refuse to draw lines from more images than there are of any kind.

    Raises
    ------
    UserError
        It names how many there are.
    """
    kinds = kinds_of_lines(source)
    most = max(len(image_pool(dataset, kind, source.noise)) for kind in kinds)
    if images > most:
        raise UserError(
            f"--line-images {images}: data set {dataset.name} has at most {most} images of a kind"
        )


def draw_lines(dataset: Dataset, kind: PlaneKind, images: int, source: PlaneSource) -> Lines:
    """Lines from so many images, or all there are, each towards four of another right class.

    Raises
    ------
    UserError
        If the kind asks for mislabelled images and there is no label noise.
    """
    train = of_training_split(kind)
    labels = dataset.train_labels if train else dataset.test_labels
    stream = [source.seed, STREAM, PLANE_KINDS.index(kind)]
    order = np.random.default_rng(stream).permutation(image_pool(dataset, kind, source.noise))
    starts: list[int] = []
    ends: list[int] = []
    for number, image in enumerate(order[:images].tolist()):
        others = np.flatnonzero(labels != labels[image])
        rng = np.random.default_rng([*stream, number])
        toward = rng.choice(others, min(DIRECTIONS, len(others)), replace=False).tolist()
        starts += [image] * len(toward)
        ends += toward
    return Lines(kind, np.array(starts, np.int64), np.array(ends, np.int64))
