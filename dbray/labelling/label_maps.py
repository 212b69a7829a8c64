"""Label maps: a model's predicted class at every grid point of many planes; also on images."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dbray.errors import TrialFailedError
from dbray.labelling.execution import Execution, execution_of
from dbray.planes import Frame, plane_grid

LabelMap = NDArray[Any]  # uint8, or uint16 above 256 classes
Confidence = NDArray[np.uint8]

# A batch of convolutional activations should stay in a CPU's cache; a GPU wants to be filled.
BATCH_ON_CPU = 256
ROWS_ON_CPU = 1250  # of a network without images inside
BATCH_ON_CUDA = 4096
USUAL_NUMBERS = 3 * 32 * 32  # of an input; larger ones make smaller batches


def label_dtype(classes: int) -> np.dtype[Any]:
    """Smallest unsigned integer that holds every class.

    Raises
    ------
    ValueError
        If there are more classes than 65,536.
    """
    if classes <= 256:
        return np.dtype(np.uint8)
    if classes <= 65_536:
        return np.dtype("<u2")
    raise ValueError(f"{classes} classes do not fit into 16 bits")


@torch.inference_mode()
def label_planes(
    model: nn.Module,
    frames: Iterable[Frame],
    input_shape: tuple[int, ...],
    *,
    classes: int,
    resolution: int,
    extent: float,
    device: torch.device,
) -> Iterator[LabelMap]:
    """Label maps of planes, one after the other.

    Parameters
    ----------
    model
        In evaluation mode, on ``device``; maps (B, channels, height, width) to logits (B, C).
    frames
        P planes in the space of inputs of ``input_shape``.

    Yields
    ------
    uint8 (uint16 above 256 classes), shape (R, R), first axis along e1.

    Raises
    ------
    TrialFailedError
        If the model returns a logit that is not finite.
    """
    for execution, frame in executed(model, frames, input_shape, device):
        grid = plane_grid(frame, resolution, extent).reshape(-1, 2)
        labels = [logits.argmax(dim=1) for logits in _plane_logits(execution, frame, grid)]
        label_map: LabelMap = torch.cat(labels).cpu().numpy().astype(label_dtype(classes))
        yield label_map.reshape(resolution, resolution)


@torch.inference_mode()
def shade_points(
    execution: Execution, frame: Frame, coordinates: NDArray[np.float64], *, classes: int
) -> tuple[LabelMap, Confidence]:
    """Predicted class and confidence at N points of a plane.

    Parameters
    ----------
    coordinates
        (alpha, beta) of the points, shape (N, 2).

    Returns
    -------
    Labels, uint8 (uint16 above 256 classes), and the probability of each, uint8 with 255 for
    certainty; both of shape (N,).

    Raises
    ------
    TrialFailedError
        If the model returns a logit that is not finite.
    """
    labels: list[Tensor] = []
    shades: list[Tensor] = []
    for logits in _plane_logits(execution, frame, coordinates):
        probability = logits.float().softmax(dim=1).amax(dim=1)
        labels.append(logits.argmax(dim=1))  # softmax may round two logits to one probability
        shades.append((probability * 255).round().to(torch.uint8))
    found = torch.cat(labels).cpu().numpy().astype(label_dtype(classes))
    return found, torch.cat(shades).cpu().numpy()


@torch.inference_mode()
def predict(
    model: nn.Module, inputs: NDArray[np.float32], device: torch.device
) -> NDArray[np.float32]:
    """Class probabilities of inputs, float32, shape (n, C).

    Parameters
    ----------
    model
        In evaluation mode, on ``device``.
    inputs
        Normalised, shape (n, channels, height, width).

    Raises
    ------
    TrialFailedError
        If the model returns a logit that is not finite.
    """
    parts = []
    most = batch_size(device, inputs[:1].size)
    for logits in in_batches(model, torch.from_numpy(inputs), lambda part: part.to(device), most):
        if not torch.isfinite(logits).all():
            raise TrialFailedError("the model's output is not finite on a test image")
        parts.append(logits.float().softmax(dim=1).cpu())
    return np.asarray(torch.cat(parts).numpy(), np.float32)


def executed(
    model: nn.Module,
    frames: Iterable[Frame],
    input_shape: tuple[int, ...],
    device: torch.device,
) -> Iterator[tuple[Execution, Frame]]:
    """Each plane with the way to execute the model on it, which is the same for all of them."""
    execution = None
    for frame in frames:
        execution = execution or execution_of(model, input_shape, device, frame)
        yield execution, frame


def _plane_logits(
    execution: Execution, frame: Frame, grid: NDArray[np.float64]
) -> Iterator[Tensor]:
    """Logits (B, C) at N coordinates of a plane, a batch at a time, on the device."""
    device = execution.device
    coordinates = torch.as_tensor(grid, dtype=torch.float32, device=device)
    finite = torch.ones((), dtype=torch.bool, device=device)
    most = ROWS_ON_CPU if execution.rows else batch_size(device, len(frame.origin))
    for logits in in_batches(execution.rest, coordinates, execution.at(frame), most):  # (B, C)
        finite &= torch.isfinite(logits).all()
        yield logits
    if not finite:
        raise TrialFailedError("the model's output is not finite on a plane of images")


def in_batches(
    model: nn.Module, items: Tensor, inputs: Callable[[Tensor], Tensor], most: int
) -> Iterator[Tensor]:
    """Logits of all items, a batch at a time; batches that do not fit into memory are halved.

    Parameters
    ----------
    inputs
        Makes the model's inputs of a batch of the items.
    most
        Items of a batch at most, memory permitting.
    """
    most = min(most, _FITTING.get(model, most))
    # Equal batches: a small last one would waste a whole pass.
    size = -(-len(items) // max(1, -(-len(items) // most)))
    start = 0
    while start < len(items):
        try:
            logits = model(inputs(items[start : start + size]))
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size = _FITTING[model] = size // 2
            torch.cuda.empty_cache()
            continue
        yield logits
        start += size


# Inputs that a model has been found to take at a time, where memory was short.
_FITTING: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


def batch_size(device: torch.device, numbers: int) -> int:
    """How many inputs of so many numbers a device labels at a time, memory permitting."""
    most = BATCH_ON_CUDA if device.type == "cuda" else BATCH_ON_CPU
    return max(1, min(most, most * USUAL_NUMBERS // max(1, numbers)))
