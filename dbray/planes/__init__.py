"""Planes through images: their geometry, their kinds and ids, and the images that span them.

``dbray.planes.attack`` makes adversarial anchors; it needs torch, and so is imported by itself.
"""

from dbray.planes.anchors import (
    Anchors,
    PlaneSource,
    anchors_frame,
    check_planes,
    frames_of,
    image_pool,
    of_training_split,
    plane_anchors,
)
from dbray.planes.geometry import Frame, plane_frame, plane_grid
from dbray.planes.kinds import (
    IDS_PER_KIND,
    LOCAL,
    NOISY,
    OFF_MANIFOLD,
    PLANE_KINDS,
    PlaneKind,
    parse_plane_id,
    plane_ids_of,
    plane_kind,
)
from dbray.planes.thumbnails import png_bytes

__all__ = [
    "IDS_PER_KIND",
    "LOCAL",
    "NOISY",
    "OFF_MANIFOLD",
    "PLANE_KINDS",
    "Anchors",
    "Frame",
    "PlaneKind",
    "PlaneSource",
    "anchors_frame",
    "check_planes",
    "frames_of",
    "image_pool",
    "of_training_split",
    "parse_plane_id",
    "plane_anchors",
    "plane_frame",
    "plane_grid",
    "plane_ids_of",
    "plane_kind",
    "png_bytes",
]
