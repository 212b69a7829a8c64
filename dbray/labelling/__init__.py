"""What a trained model answers: label maps, pictures, and margins along segments between images."""

from dbray.labelling.label_maps import (
    BATCH_ON_CPU,
    BATCH_ON_CUDA,
    label_dtype,
    label_planes,
    predict,
)
from dbray.labelling.margins import HALVINGS, STEPS, walk
from dbray.labelling.pictures import shade_planes
from dbray.labelling.segments import DIRECTIONS, check_lines, draw_lines, kinds_of_lines

__all__ = [
    "BATCH_ON_CPU",
    "BATCH_ON_CUDA",
    "DIRECTIONS",
    "HALVINGS",
    "STEPS",
    "check_lines",
    "draw_lines",
    "kinds_of_lines",
    "label_dtype",
    "label_planes",
    "predict",
    "shade_planes",
    "walk",
]
