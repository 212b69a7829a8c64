"""Slices that an explorer shows: which planes, and how they are packed into a page."""

import base64
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from dbray.planes import IDS_PER_KIND, plane_ids_of
from dbray.report.figures.regions import LARGEST_ON_PAGE, plotted_rectangle
from dbray.report.page.names import KIND_TITLES, class_name
from dbray.report.tables.pictures import Plane, pictured_ids, read_pictures, read_planes
from dbray.scores.fragmentation import count_regions
from dbray.store import CommittedTrial, Study, read_label_maps

SLICES = 20  # scored ones, of all kinds together
ANSWERS = "test_predictions.parquet"

Corner = tuple[float, float]


@dataclass(frozen=True)
class Slice:
    """All models' answers on one plane.

    Attributes
    ----------
    through
        What planes of its kind go through.
    pixels
        The anchors as they are shown, uint8, shape (3, channels, height, width).
    anchor_classes
        Negative for an image that shows nothing; empty where they are not known.
    coordinates
        (alpha, beta) of the anchors, float64, shape (3, 2).
    maps
        Label maps, unsigned integers, shape (M, R, R); first axis of a map along e1.
    confidence
        uint8, shape (M, R, R): probability of the predicted class, 255 for certainty. Or None.
    low, high
        (alpha, beta) of the first and of the last point, normalised-input distance.
    """

    name: str
    through: str
    pixels: NDArray[np.uint8]
    anchor_classes: tuple[int, ...]
    coordinates: NDArray[np.float64]
    maps: NDArray[Any]
    confidence: NDArray[np.uint8] | None
    low: Corner
    high: Corner


def read_slices(
    study: Study, info: Mapping[str, Any], trials: Sequence[CommittedTrial]
) -> Iterator[Slice]:
    """Planes with pictures, which reach further and may have confidences, then scored planes.

    Only planes that all of the trials have answered: the first of each kind, which are as good as
    any, since planes are drawn at random.
    """
    yield from _pictured(study, info, trials)
    if not all(any(name.startswith("predictions") for name in trial.files) for trial in trials):
        return
    counts = {kind: min(t.planes.get(kind, 0) for t in trials) for kind in info["planes"]["counts"]}
    kinds = [kind for kind, count in counts.items() if count]
    for kind in kinds:
        ids = plane_ids_of(kind, min(counts[kind], max(1, SLICES // len(kinds))))
        maps = np.stack([read_label_maps(study, t, ids.start, ids.stop) for t in trials], axis=1)
        yield from scored_slices(read_planes(study, ids), maps, info["planes"]["extent"])


def scored_slices(
    planes: Iterable[Plane], maps: Iterable[NDArray[Any]], extent: float
) -> Iterator[Slice]:
    """Planes with the label maps that scores are made of; each of ``maps`` has shape (M, R, R)."""
    for plane, of_plane in zip(planes, maps, strict=True):
        box = plotted_rectangle(plane.coordinates, extent)
        yield _slice(plane, of_plane, None, box.low, box.high)


def packed_slice(
    one: Slice, groups: Sequence[Sequence[int]], class_names: Sequence[str]
) -> dict[str, Any]:
    """What ``slices.js`` calls a slice; ``groups`` are the places of each group's models.

    Its bytes are the anchors' pixels, then every model's map, then every model's confidences.
    """
    parts = [one.pixels, one.maps.astype(label_type(len(class_names)))]
    if one.confidence is not None:
        parts.append(one.confidence)
    classes = [class_name(class_names, of_class) for of_class in one.anchor_classes]
    return {
        "name": f"{one.name} ({', '.join(classes)})" if classes else one.name,
        "kind": one.through,
        "coordinates": one.coordinates.tolist(),
        "low": list(one.low),
        "high": list(one.high),
        "resolution": one.maps.shape[1],
        "agreement": agreement_within(one.maps, groups),
        "regions": float(count_regions(one.maps).mean()),
        "confidence": one.confidence is not None,
        "anchors": list(one.anchor_classes),
        "packed": deflated(*parts),
    }


def packed_answers(
    study: Study, trials: Sequence[CommittedTrial], classes: int
) -> dict[str, Any] | None:
    """Right classes of the test images and every model's answers, image by image.

    None where a trial has no answers, or not on the same images.
    """
    columns: list[NDArray[Any]] = []
    for trial in trials:
        if ANSWERS not in trial.files:
            return None
        table = pq.read_table(
            io.BytesIO(study.read_file(trial, ANSWERS)), columns=["label", "predicted"]
        )
        if not columns:
            columns.append(table["label"].to_numpy())
        columns.append(table["predicted"].to_numpy())
    if len({len(column) for column in columns}) != 1:
        return None
    return packed_columns(columns, classes)


def packed_columns(columns: Sequence[NDArray[Any]], classes: int) -> dict[str, Any]:
    """Right classes of test images, then every model's answers, each of shape (n,)."""
    answers = np.stack(columns, axis=1).astype(label_type(classes))  # (images, 1 + M)
    return {"images": len(answers), "packed": deflated(answers)}


def agreement_within(maps: NDArray[Any], groups: Sequence[Sequence[int]]) -> float | None:
    """Mean over groups of the share of points on which two of its models agree."""
    shares = [
        np.mean([np.mean(maps[a] == maps[b]) for a, b in combinations(group, 2)])
        for group in groups
        if len(group) > 1
    ]
    return float(np.mean(shares)) if shares else None


def anchor_pixels(plane: Plane) -> NDArray[np.uint8]:
    """The three anchors as they are shown, uint8, shape (3, channels, height, width)."""
    images = [np.asarray(Image.open(io.BytesIO(png))) for png in plane.thumbnails]
    return np.stack([i[None] if i.ndim == 2 else i.transpose(2, 0, 1) for i in images])


def label_type(classes: int) -> str:
    """One byte a label where that is enough, two (little-endian) elsewhere."""
    return "<u1" if classes <= 256 else "<u2"


def deflated(*arrays: NDArray[Any]) -> str:
    """The arrays' bytes one after the other, deflated (zlib), in base64."""
    together = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return base64.b64encode(zlib.compress(together, 9)).decode()


def _pictured(
    study: Study, info: Mapping[str, Any], trials: Sequence[CommittedTrial]
) -> Iterator[Slice]:
    planes = read_planes(study, pictured_ids(study)[:SLICES])
    pictures = read_pictures(study, trials, planes)
    for plane in planes:
        there = [pictures.get((trial.trial_id, plane.plane_id)) for trial in trials]
        found = [picture for picture in there if picture is not None]
        if len(found) < len(trials) or len({picture.labels.shape for picture in found}) > 1:
            continue
        side = len(found[0].labels)
        box = plotted_rectangle(plane.coordinates, info["pictures"]["extent"])
        kept = np.arange(0, side, -(-side // LARGEST_ON_PAGE))
        ends = np.linspace(box.low, box.high, side)[kept[[0, -1]]].tolist()
        shades = [p.confidence[np.ix_(kept, kept)] for p in found if p.confidence is not None]
        yield _slice(
            plane,
            np.stack([picture.labels[np.ix_(kept, kept)] for picture in found]),
            np.stack(shades) if len(shades) == len(found) else None,
            (ends[0][0], ends[0][1]),
            (ends[1][0], ends[1][1]),
            ", wide",
        )


def _slice(
    plane: Plane,
    maps: NDArray[Any],
    confidence: NDArray[np.uint8] | None,
    low: Corner,
    high: Corner,
    more: str = "",
) -> Slice:
    return Slice(
        name=f"{plane.kind.replace('_', ' ')} {plane.plane_id % IDS_PER_KIND}{more}",
        through=KIND_TITLES[plane.kind],
        pixels=anchor_pixels(plane),
        anchor_classes=plane.anchor_classes,
        coordinates=plane.coordinates,
        maps=maps,
        confidence=confidence,
        low=low,
        high=high,
    )
