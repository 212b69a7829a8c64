"""Pictures of planes: label maps with the model's confidence, at up to a thousand points a side.

Scores are made of every point. A large picture is looked at, so it may save work where nothing is
to be seen: every fourth point is labelled first, and the points between only near a border. What
is narrower than four points, inside a region, can be missed.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dbray.labelling.execution import Execution
from dbray.labelling.label_maps import Confidence, LabelMap, executed, shade_points
from dbray.planes import Frame, plane_grid

LARGEST_IN_FULL = 200  # points a side
STEP = 4  # between the points that are labelled first in a larger picture

Mask = NDArray[np.bool_]
Plane = tuple[Execution, Frame, NDArray[np.float64]]
Shaded = tuple[LabelMap, Confidence]


def shade_planes(
    model: nn.Module,
    frames: Iterable[Frame],
    input_shape: tuple[int, ...],
    *,
    classes: int,
    resolution: int,
    extent: float,
    device: torch.device,
) -> Iterator[tuple[LabelMap, Confidence]]:
    """Pictures of planes, one after the other.

    Parameters
    ----------
    model
        In evaluation mode, on ``device``; maps (B, channels, height, width) to logits (B, C).
    frames
        P planes in the space of inputs of ``input_shape``.

    Yields
    ------
    The label map, uint8 (uint16 above 256 classes), and the probability of the predicted class at
    each of its points, uint8 with 255 for certainty; both of shape (R, R), first axis along e1.

    Raises
    ------
    TrialFailedError
        If the model returns a logit that is not finite.
    """
    for execution, frame in executed(model, frames, input_shape, device):
        grid = plane_grid(frame, resolution, extent)

        def shade(points: Mask, at: Plane = (execution, frame, grid)) -> Shaded:
            execution, frame, grid = at
            return shade_points(execution, frame, grid[points], classes=classes)

        if resolution <= LARGEST_IN_FULL:
            labels, confidence = shade(np.ones((resolution, resolution), np.bool_))
            yield labels.reshape(resolution, -1), confidence.reshape(resolution, -1)
        else:
            yield _refined(shade, resolution)


def _refined(shade: Callable[[Mask], Shaded], resolution: int) -> Shaded:
    """A picture from every fourth point, and from all points of cells near a border."""
    at = np.unique(np.append(np.arange(0, resolution, STEP), resolution - 1))  # (K,)
    first = np.zeros((resolution, resolution), np.bool_)
    first[np.ix_(at, at)] = True
    found = [part.reshape(len(at), -1) for part in shade(first)]  # (K, K)
    cell = np.minimum(np.arange(resolution) // STEP, len(at) - 2)  # of each row and column
    cells = np.ix_(cell, cell)
    labels, confidence = found[0][cells], _interpolated(found[1], at, cell)
    labels[first], confidence[first] = (part.ravel() for part in found)
    rest = ~_calm(found[0])[cells] & ~first
    if rest.any():
        labels[rest], confidence[rest] = shade(rest)
    return labels, confidence


def _calm(labels: LabelMap) -> Mask:
    """Cells between labelled points (K, K) that have, with all cells around, one label."""
    corners = np.stack([labels[:-1, :-1], labels[1:, :-1], labels[:-1, 1:], labels[1:, 1:]])
    plain = (corners == corners[0]).all(axis=0)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(plain, 1, mode="edge"), (3, 3))
    return np.asarray(around.all(axis=(2, 3)), np.bool_)


def _interpolated(values: Confidence, at: NDArray[np.int64], cell: NDArray[np.int64]) -> Confidence:
    """Values at the points ``at`` of both axes, bilinear in between."""
    share = (np.arange(len(cell)) - at[cell]) / (at[cell + 1] - at[cell])
    rows = values[cell] * (1 - share)[:, None] + values[cell + 1] * share[:, None]
    both = rows[:, cell] * (1 - share) + rows[:, cell + 1] * share
    rounded: Confidence = np.rint(both).astype(np.uint8)
    return rounded
