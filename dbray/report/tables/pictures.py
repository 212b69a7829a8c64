"""The pictures of a study as they lie on storage: planes with their anchors, and label maps."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dbray.planes import IDS_PER_KIND, LOCAL, OFF_MANIFOLD, plane_ids_of
from dbray.store import CommittedTrial, Study
from dbray.store.schemas import confidences_from_table, label_maps_from_table

PLANES_SHOWN = 3  # of one kind, in a gallery
APART = (*OFF_MANIFOLD, *LOCAL)  # kinds that are shown apart from those through real images


@dataclass(frozen=True)
class Plane:
    """One plane that has pictures.

    Attributes
    ----------
    anchor_classes
        Of the three anchors; negative for an image that shows nothing.
    coordinates
        (alpha, beta) of the anchors, float64, shape (3, 2).
    thumbnails
        The anchors' raw images as PNG bytes, in order.
    """

    plane_id: int
    kind: str
    image_ids: tuple[int, ...]
    anchor_classes: tuple[int, ...]
    coordinates: NDArray[np.float64]
    thumbnails: tuple[bytes, ...]

    @property
    def apart(self) -> bool:
        """Whether it lies off the data or around one image."""
        return self.kind in APART


@dataclass(frozen=True)
class Picture:
    """One model's answers on one plane.

    Attributes
    ----------
    labels
        Unsigned integers, shape (R, R), first axis along e1.
    confidence
        uint8, shape (R, R): probability of the predicted class, 255 for certainty. None in files
        that do not have it.
    """

    labels: NDArray[Any]
    confidence: NDArray[np.uint8] | None


def pictured_ids(study: Study) -> list[int]:
    """Ids of all planes of a study that have pictures."""
    info = study.info
    chosen = plane_ids_of("chosen", len(info["planes"].get("chosen", ())))
    return [*info["pictures"]["plane_ids"], *chosen]


def gallery_planes(study: Study) -> list[Plane]:
    """The planes of the report's galleries: chosen ones, and a few of each other kind."""
    ids = pictured_ids(study)
    of_kind = {i: [j for j in ids if j // IDS_PER_KIND == i // IDS_PER_KIND] for i in ids}
    chosen = plane_ids_of("chosen", IDS_PER_KIND)
    return read_planes(study, [i for i in ids if i in chosen or of_kind[i].index(i) < PLANES_SHOWN])


def read_planes(study: Study, plane_ids: Sequence[int]) -> list[Plane]:
    """Planes with their anchors, in the order of the ids."""
    if not plane_ids:
        return []
    planes = study.read_table("planes.parquet").to_pandas().set_index("plane_id")
    anchors = study.read_table("anchors.parquet").to_pandas().sort_values("position")
    pictures = anchors.groupby("plane_id").png.agg(tuple)
    return [
        Plane(
            plane_id=plane_id,
            kind=str(planes.kind[plane_id]),
            image_ids=tuple(map(int, planes.image_ids[plane_id])),
            anchor_classes=tuple(map(int, planes.anchor_classes[plane_id])),
            coordinates=np.asarray(planes.coordinates[plane_id], np.float64).reshape(3, 2),
            thumbnails=pictures[plane_id],
        )
        for plane_id in plane_ids
    ]


def read_pictures(
    study: Study, trials: Iterable[CommittedTrial], planes: Sequence[Plane]
) -> dict[tuple[str, int], Picture]:
    """Pictures by (trial id, plane id); a trial may keep them in several files."""
    wanted = {plane.plane_id for plane in planes}
    found: dict[tuple[str, int], Picture] = {}
    for trial in trials:
        for name in sorted(n for n in trial.files if n.startswith("pictures")):
            table = pq.read_table(io.BytesIO(study.read_file(trial, name)))
            try:
                labels = label_maps_from_table(table)
            except ValueError:  # the study's command names it, and makes it again
                continue
            shaded = "confidence" in table.column_names
            shades = confidences_from_table(table) if shaded else [None] * len(labels)
            ids = table["plane_id"].to_pylist()
            for plane_id, label_map, shade in zip(ids, labels, shades, strict=True):
                if plane_id in wanted:
                    found[trial.trial_id, plane_id] = Picture(label_map, shade)
    return found
