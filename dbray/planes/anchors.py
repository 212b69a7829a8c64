"""The three images that span each plane, by the plane's kind.

A plane is known by its id, which says its kind. With the plane seed the id decides the anchors,
so that a set of planes can grow without changing the first. Anchors are images as a data set has
them (uint8); those of kinds that no seed can decide are *given*: planes through chosen images, and
through images that were perturbed against one model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dbray.config import NoiseConfig
from dbray.datasets import noisy_labels
from dbray.datasets.dataset import Dataset
from dbray.errors import UserError
from dbray.planes.geometry import Frame, plane_frame
from dbray.planes.kinds import NOISY, PLANE_KINDS, PlaneKind, plane_ids_of, plane_kind

MAX_DRAWS = 1000  # of one plane's anchors, before its data set is called unusable
# Gaussian anchors' noise as published: standard deviations of the second and the third anchor's, in
# units of normalised inputs, and how many of them are the most.
NOISE = (0.5, 0.25)
CUT = 2.0
FIRST_NOISE = 0.1  # standard deviation in the first studies, where a pixel runs from 0 to 1
NO_IMAGE = -1  # image id and class of an anchor that is no image of the data set

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Anchors:
    """The three images that span one plane.

    Attributes
    ----------
    image_ids
        Positions in the training split for ``train``, ``train_correct`` and ``train_mislabelled``
        planes, in the test split for all others: the image itself, or the one it was made from;
        ``NO_IMAGE`` for pure noise.
    classes
        Right labels of those images; ``NO_IMAGE`` where the image shows nothing any more.
    images
        uint8, shape (3, channels, height, width).
    """

    image_ids: tuple[int, int, int]
    classes: tuple[int, int, int]
    images: Images


@dataclass(frozen=True)
class PlaneSource:
    """Where a study's planes come from.

    Attributes
    ----------
    seed
        Of the draws.
    chosen
        Test images that span the planes of kind ``chosen``, in their order.
    adversarial
        Anchors of the planes of kind ``adversarial``, in their order.
    noise
        Says which training images are mislabelled, for the kinds of planes that ask.
    published
        Whether noisy anchors are the paper's; not in studies that were begun before they were.
    """

    seed: int = 0
    chosen: tuple[tuple[int, int, int], ...] = ()
    adversarial: tuple[Anchors, ...] = field(default=(), repr=False)
    noise: NoiseConfig | None = None
    published: bool = True


def plane_anchors(dataset: Dataset, plane_id: int, source: PlaneSource) -> Anchors:
    """Anchors of a plane.

    ``test``: test images of three different classes. ``train``: training images;
    ``train_correct`` and ``train_mislabelled``: those whose label the noise has kept or changed.
    ``uniform``:
    uniform noise. ``shuffled``: test images, the pixels of each in an order of its own.
    ``mixed``: one test image and two shuffled ones. ``gaussian``: a test image and two copies with
    noise. ``rotated``: a test image and its copies turned by 90 and 180 degrees.

    Raises
    ------
    UserError
        If the data set has no three images that span a plane of that kind.

    References
    ----------
    Somepalli et al., CVPR 2022, section 2.
    """
    kind = plane_kind(plane_id)
    number = plane_id - plane_ids_of(kind, 1).start
    if kind == "adversarial":
        return source.adversarial[number]
    if kind == "chosen":
        return _chosen(dataset, source.chosen[number])
    pool = image_pool(dataset, kind, source.noise)
    _check_enough(dataset, kind, pool)
    rng = np.random.default_rng([source.seed, plane_id])
    for _ in range(MAX_DRAWS):
        anchors = _draw(dataset, kind, pool, rng, published=source.published)
        if anchors and _span_a_plane(dataset, anchors):
            return anchors
    raise UserError(
        f"data set {dataset.name}: no three images that span a plane of kind {kind} in "
        f"{MAX_DRAWS} draws; too many of its images are equal"
    )


def image_pool(dataset: Dataset, kind: str, noise: NoiseConfig | None) -> NDArray[np.int64]:
    """Positions of the images that a kind of planes or lines is drawn from, in their split.

    Raises
    ------
    UserError
        If the kind asks for mislabelled images and there is no label noise.
    """
    if kind not in NOISY:
        return np.arange(len(dataset.train_labels if kind == "train" else dataset.test_labels))
    if noise is None:
        raise UserError(f"planes of kind {kind} need label noise, and this study has none")
    wrong = noisy_labels(dataset.train_labels, dataset.classes, noise) != dataset.train_labels
    return np.flatnonzero(wrong if kind == "train_mislabelled" else ~wrong)


def of_training_split(kind: str) -> bool:
    """Whether a kind's images are training images; all others are test images."""
    return kind == "train" or kind in NOISY


def frames_of(dataset: Dataset, plane_ids: Sequence[int], source: PlaneSource) -> Iterator[Frame]:
    """Frames of planes in the space of normalised inputs, one at a time."""
    for plane_id in plane_ids:
        yield anchors_frame(dataset, plane_anchors(dataset, plane_id, source))


def anchors_frame(dataset: Dataset, anchors: Anchors) -> Frame:
    """Frame of the plane through three images, as normalised inputs."""
    return plane_frame(dataset.normalise(anchors.images).reshape(3, -1))


def check_planes(
    dataset: Dataset,
    counts: Mapping[str, int],
    source: PlaneSource,
    pictures: Sequence[int] = (),
) -> None:
    """Draw the first plane of every kind that is asked for, and every plane that gets a picture.

    Raises
    ------
    UserError
        If one cannot be drawn.
    """
    for kind in PLANE_KINDS:
        given = kind in ("adversarial", "chosen")
        if counts.get(kind, 0) and not given:
            plane_anchors(dataset, plane_ids_of(kind, 1).start, source)
    for plane_id in pictures:
        if plane_kind(plane_id) not in ("adversarial", "chosen"):
            plane_anchors(dataset, plane_id, source)
    for images in source.chosen:
        anchors = _chosen(dataset, images)
        if not _span_a_plane(dataset, anchors):
            raise UserError(f"images {', '.join(map(str, images))}: span no plane; two are equal")


def _check_enough(dataset: Dataset, kind: PlaneKind, pool: NDArray[np.int64]) -> None:
    if kind == "test" and len(np.unique(dataset.test_labels)) < 3:
        raise UserError(
            f"data set {dataset.name}: planes of kind test need three test images of three "
            "different classes, and it has fewer"
        )
    images = dataset.test_images
    if len(pool) < 3:
        raise UserError(f"data set {dataset.name}: planes of kind {kind} need three images")
    if kind == "rotated" and images.shape[2] != images.shape[3]:
        raise UserError(
            f"data set {dataset.name}: planes of kind rotated need square images, and these "
            f"have {images.shape[3]}x{images.shape[2]} pixels"
        )


def _draw(
    dataset: Dataset,
    kind: PlaneKind,
    pool: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    published: bool,
) -> Anchors | None:
    """One draw of anchors; None if these images will not do."""
    if kind == "uniform":
        noise = rng.integers(256, size=(3, *dataset.input_shape), dtype=np.uint8)
        return Anchors((NO_IMAGE,) * 3, (NO_IMAGE,) * 3, noise)
    images, labels = (
        (dataset.train_images, dataset.train_labels)
        if of_training_split(kind)
        else (dataset.test_images, dataset.test_labels)
    )
    ids = pool[rng.choice(len(pool), size=3, replace=False)]
    classes = labels[ids]
    if kind == "test" and len(set(classes.tolist())) < 3:
        return None
    if kind in ("gaussian", "rotated"):
        ids = ids[[0, 0, 0]]
        image = images[ids[0]]
        made = _turned(image) if kind == "rotated" else _noisy(image, dataset, rng, published)
        return _anchors(ids, labels[ids], made)
    if kind in ("shuffled", "mixed"):
        first = 1 if kind == "mixed" else 0
        made = np.stack([*images[ids[:first]], *(_shuffle(i, rng) for i in images[ids[first:]])])
        classes = np.where(np.arange(3) < first, classes, NO_IMAGE)
        return _anchors(ids, classes, made)
    return _anchors(ids, classes, images[ids])


def _anchors(ids: NDArray[np.int64], classes: NDArray[np.int64], images: Images) -> Anchors:
    one, two, three = ids.tolist()
    a, b, c = classes.tolist()
    return Anchors((one, two, three), (a, b, c), images)


def _shuffle(image: Images, rng: np.random.Generator) -> Images:
    """The pixels of an image (C, H, W) in another order, their channels kept together."""
    flat = image.reshape(len(image), -1)
    return flat[:, rng.permutation(flat.shape[1])].reshape(image.shape)


def _turned(image: Images) -> Images:
    """An image (C, H, W), and it turned once and twice."""
    return np.stack([np.rot90(image, turns, axes=(1, 2)) for turns in range(3)])


def _noisy(image: Images, dataset: Dataset, rng: np.random.Generator, published: bool) -> Images:
    """An image (C, H, W) and two noisy copies of it, which are images again: rounded, 0 to 255."""
    noise = rng.normal(0, 1, (2, *image.shape))
    if published:
        per_input = 255 * np.reshape(dataset.std, (-1, 1, 1))  # a step of normalised inputs
        noise = np.clip(noise, -CUT, CUT) * np.reshape(NOISE, (2, 1, 1, 1)) * per_input
    else:
        noise *= 255 * FIRST_NOISE
    noisy = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
    return np.stack([image, *noisy])


def _chosen(dataset: Dataset, ids: tuple[int, int, int]) -> Anchors:
    if max(ids) >= len(dataset.test_images):
        raise UserError(
            f"image {max(ids)}: data set {dataset.name} has test images 0 to "
            f"{len(dataset.test_images) - 1}"
        )
    which = np.array(ids)
    return _anchors(which, dataset.test_labels[which], dataset.test_images[which])


def _span_a_plane(dataset: Dataset, anchors: Anchors) -> bool:
    try:
        anchors_frame(dataset, anchors)
    except ValueError:
        return False
    return True
