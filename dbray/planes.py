"""Planes through three images: which images, which frame, which points.

A plane is known by its id alone. The id says the kind (``id // IDS_PER_KIND``) and, with the
plane seed, decides the three anchors, so a set of planes can grow without changing the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dbray.datasets.dataset import Dataset
from dbray.errors import UserError

PlaneKind = Literal["test", "train"]
PLANE_KINDS: tuple[PlaneKind, ...] = ("test", "train")  # append only: ids are built on the order
IDS_PER_KIND = 1_000_000
MAX_DRAWS = 1000  # of one plane's anchors, before its data set is called unusable

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class PlaneSet:
    """P planes of one data set, in the order of their ids.

    Attributes
    ----------
    plane_ids
        int32, shape (P,).
    image_ids
        int32, shape (P, 3): the anchors x1, x2, x3 as positions in the kind's split.
    anchor_classes
        int16, shape (P, 3): their labels.
    """

    plane_ids: NDArray[np.int32]
    image_ids: NDArray[np.int32]
    anchor_classes: NDArray[np.int16]

    @property
    def kinds(self) -> list[PlaneKind]:
        """The kind of each plane."""
        return [plane_kind(plane_id) for plane_id in self.plane_ids.tolist()]


@dataclass(frozen=True)
class Frame:
    """The two-dimensional coordinate system of one plane in input space.

    Attributes
    ----------
    origin
        float64, shape (D,): the first anchor.
    axes
        float64, shape (2, D): orthonormal directions e1, e2.
    anchors
        float64, shape (3, 2): coordinates (alpha, beta) of x1, x2, x3, in units of
        normalised-input distance.
    """

    origin: Float64
    axes: Float64
    anchors: Float64


def plane_kind(plane_id: int) -> PlaneKind:
    """Kind of the plane with this id."""
    return PLANE_KINDS[plane_id // IDS_PER_KIND]


def plane_ids_of(kind: str, count: int) -> range:
    """Ids of the first ``count`` planes of a kind.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    first = [str(known) for known in PLANE_KINDS].index(kind) * IDS_PER_KIND
    return range(first, first + count)


def draw_planes(dataset: Dataset, plane_ids: Sequence[int], plane_seed: int) -> PlaneSet:
    """Draw the anchors of planes by their ids.

    Parameters
    ----------
    dataset
        Anchors of ``test`` planes come from its test images and have three different classes;
        those of ``train`` planes are any three training images.
    plane_ids
        P ids; each plane depends on its id and ``plane_seed`` only.

    Raises
    ------
    UserError
        If no three images span a plane of that kind, or two kinds are mixed up by too many ids.

    References
    ----------
    Somepalli et al., CVPR 2022, section 2.
    """
    ids = sorted(plane_ids)
    images = np.array([_draw_anchors(dataset, i, plane_seed) for i in ids], np.int32)
    images = images.reshape(-1, 3)
    classes = [_split(dataset, i)[1][anchors] for i, anchors in zip(ids, images, strict=True)]
    return PlaneSet(
        plane_ids=np.array(ids, np.int32),
        image_ids=images,
        anchor_classes=np.array(classes, np.int16).reshape(-1, 3),
    )


def plane_frame(anchors: NDArray[np.floating]) -> Frame:
    """Orthonormal frame of the plane through three points.

    Parameters
    ----------
    anchors
        shape (3, D): x1, x2, x3 as normalised inputs, flattened.

    Raises
    ------
    ValueError
        If the three points lie on one line (or coincide) and so span no plane.
    """
    x1, x2, x3 = anchors.astype(np.float64)
    a, b = x2 - x1, x3 - x1
    length_a = float(np.linalg.norm(a))
    if length_a == 0:
        raise ValueError("the first two anchors coincide")
    e1 = a / length_a
    along = b @ e1
    across = b - along * e1
    height = float(np.linalg.norm(across))
    # A relative bound: rounding leaves about 1e-16 of |b| across e1 for points on one line.
    if height <= 1e-9 * max(length_a, float(np.linalg.norm(b))):
        raise ValueError("the three anchors lie on one line")
    coordinates = np.array([[0.0, 0.0], [length_a, 0.0], [along, height]])
    return Frame(origin=x1, axes=np.stack([e1, across / height]), anchors=coordinates)


def plane_grid(frame: Frame, resolution: int, extent: float) -> Float64:
    """Coordinates of the R x R grid on the anchors' bounding box, widened by ``extent``.

    Parameters
    ----------
    extent
        Share of each side's own length that is added at both of its ends.

    Returns
    -------
    float64, shape (R, R, 2): (alpha, beta) of each point; the first index runs along e1, the
    second along e2, and both ends are included.
    """
    low, high = frame.anchors.min(axis=0), frame.anchors.max(axis=0)
    margin = extent * (high - low)
    alpha, beta = np.linspace(low - margin, high + margin, resolution).T
    return np.stack(np.meshgrid(alpha, beta, indexing="ij"), axis=-1)


def anchor_inputs(dataset: Dataset, planes: PlaneSet, index: int) -> NDArray[np.float32]:
    """Anchors of the plane at position ``index`` as normalised inputs, float32, shape (3, D)."""
    images = _split(dataset, int(planes.plane_ids[index]))[0][planes.image_ids[index]]
    return dataset.normalise(images).reshape(3, -1)


def _split(dataset: Dataset, plane_id: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images and labels that planes of this id's kind are drawn from."""
    if plane_kind(plane_id) == "test":
        return dataset.test_images, dataset.test_labels
    return dataset.train_images, dataset.train_labels


def _draw_anchors(dataset: Dataset, plane_id: int, plane_seed: int) -> NDArray[np.int64]:
    kind = plane_kind(plane_id)
    images, labels = _split(dataset, plane_id)
    if len(images) < 3 or (kind == "test" and len(np.unique(labels)) < 3):
        raise UserError(
            f"data set {dataset.name}: planes of kind {kind} need three {kind} images"
            f"{' of three different classes' if kind == 'test' else ''}, and it has fewer"
        )
    rng = np.random.default_rng([plane_seed, plane_id])
    for _ in range(MAX_DRAWS):
        chosen = rng.choice(len(images), size=3, replace=False)
        if kind == "test" and len(set(labels[chosen].tolist())) < 3:
            continue
        if _spans_a_plane(dataset.normalise(images[chosen]).reshape(3, -1)):
            return chosen
    raise UserError(
        f"data set {dataset.name}: no three {kind} images that span a plane in "
        f"{MAX_DRAWS} draws; too many of its images are equal"
    )


def _spans_a_plane(anchors: NDArray[np.float32]) -> bool:
    try:
        plane_frame(anchors)
    except ValueError:
        return False
    return True
