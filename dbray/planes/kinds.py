"""Kinds of planes, and how a plane's id says its kind and its number within it."""

import re
from typing import Literal, get_args

from dbray.errors import UserError

PlaneKind = Literal[  # append only: ids are built on the order
    "test",
    "train",
    "uniform",
    "shuffled",
    "mixed",
    "gaussian",
    "rotated",
    "adversarial",
    "chosen",
    "train_correct",
    "train_mislabelled",
]
PLANE_KINDS: tuple[PlaneKind, ...] = get_args(PlaneKind)
OFF_MANIFOLD: tuple[PlaneKind, ...] = ("uniform", "shuffled", "mixed")
NOISY: tuple[PlaneKind, ...] = ("train_correct", "train_mislabelled")  # defined by label noise
LOCAL: tuple[PlaneKind, ...] = ("gaussian", "rotated", "adversarial")
IDS_PER_KIND = 1_000_000


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


def parse_plane_id(text: str) -> int:
    """Id of a plane given as an id, or as ``KIND:NUMBER`` counted from 0.

    Examples
    --------
    >>> parse_plane_id("30"), parse_plane_id("uniform:2")
    (30, 2000002)

    Raises
    ------
    UserError
        If there can be no such plane.
    """
    kind, colon, number = text.rpartition(":")
    if colon and kind not in PLANE_KINDS:
        raise UserError(f"plane {text!r}: {kind} is no kind of planes ({', '.join(PLANE_KINDS)})")
    limit = IDS_PER_KIND if colon else IDS_PER_KIND * len(PLANE_KINDS)
    # Digits of other scripts are none, and so many that int() refuses them are too many.
    if not (re.fullmatch("[0-9]{1,9}", number) and int(number) < limit):
        raise UserError(f"plane {text!r}: give an id such as 30, or KIND:NUMBER such as train:4")
    return plane_ids_of(kind, 1).start + int(number) if colon else int(number)
