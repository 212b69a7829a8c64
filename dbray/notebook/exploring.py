"""The explorer of decision regions in a notebook's cell."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dbray.planes import plane_frame
from dbray.report import (
    HOW,
    Instrument,
    Shown,
    Slice,
    framed,
    instrument,
    packed_columns,
    plotted_rectangle,
)

CHANNELS = (1, 3)  # of what can be shown as an image


class Explorer:
    """Label maps of all models on one slice: point at a place to see its image and its classes.

    A notebook shows it as the result of a cell. It needs no network and no kernel.
    """

    def __init__(self, part: Instrument, about: str) -> None:
        self._part = part
        self._about = about

    def __repr__(self) -> str:
        return f"Explorer({self._about}; a notebook shows it)"

    def _repr_html_(self) -> str:
        return framed(self._part)


def explorer_of_maps(
    maps: NDArray[Any],
    inputs: NDArray[np.float32],
    image_ids: NDArray[np.int64],
    *,
    models: Sequence[str],
    groups: Mapping[str, str],
    classes: int,
    extent: float,
    agreement: pd.DataFrame,
    answers: pd.DataFrame,
) -> Instrument | None:
    """The explorer of models that were compared; None for inputs that are no images.

    Parameters
    ----------
    maps
        Label maps, shape (M, P, R, R).
    inputs
        What the models were given, shape (n, channels, height, width).
    image_ids
        The inputs that span each plane, shape (P, 3).
    groups
        Group of each model, or nothing.
    agreement
        One row a pair: ``model_a``, ``model_b``, ``agreement``.
    answers
        One row an input: ``image``, ``label`` where known, and a column a model.
    """
    if inputs.ndim != 4 or inputs.shape[1] not in CHANNELS:
        return None
    by_image = answers.sort_values("image")
    answered = by_image[list(models)].to_numpy()
    labels = by_image["label"].to_numpy() if "label" in by_image else None
    if labels is not None and not set(labels.tolist()) <= set(range(classes)):
        labels = None  # names, or numbers, of which it is not known which class they are
    tests = None if labels is None else packed_columns([labels, *answered.T], classes)
    rows = list(dict.fromkeys(groups.values())) or [""]
    place = {name: at for at, name in enumerate(models)}
    shown = Shown(
        rows,
        [],
        [{"row": row, "at": [], "agreement": "", "mixed": False} for row in range(len(rows))],
        [
            {
                "group": rows.index(groups[name]) if groups else 0,
                "seed": name,
                "accuracy": "" if labels is None else f": right {np.mean(given == labels):.1%}",
            }
            for name, given in zip(models, answered.T, strict=True)
        ],
    )
    pairs = {
        f"{place[a]} {place[b]}": share
        for a, b, share in zip(
            *(agreement[name] for name in ("model_a", "model_b", "agreement")), strict=True
        )
    }
    about = f"{HOW} {len(models)} models call it."
    return instrument(
        shown,
        _slices(maps, inputs, image_ids, labels, extent),
        [str(number) for number in range(classes)],
        pairs=pairs,
        tests=tests,
        about=lambda _: about,
    )


def _slices(
    maps: NDArray[Any],
    inputs: NDArray[np.float32],
    image_ids: NDArray[np.int64],
    labels: NDArray[Any] | None,
    extent: float,
) -> Iterator[Slice]:
    """Planes with their images: each channel from its least to its largest value of all inputs.

    A weighted sum of images is not changed by that, as the weights sum to 1.
    """
    low = inputs.min(axis=(0, 2, 3), keepdims=True)
    width = np.maximum(inputs.max(axis=(0, 2, 3), keepdims=True) - low, 1e-12)
    for number, ids in enumerate(image_ids):
        coordinates = plane_frame(inputs[ids].reshape(3, -1)).anchors
        box = plotted_rectangle(coordinates, extent)
        yield Slice(
            name=f"slice {number}",
            through="three of the images",
            pixels=np.rint(255 * (inputs[ids] - low) / width).astype(np.uint8),
            anchor_classes=() if labels is None else tuple(labels[ids].tolist()),
            coordinates=coordinates,
            maps=maps[:, number],
            confidence=None,
            low=box.low,
            high=box.high,
        )
