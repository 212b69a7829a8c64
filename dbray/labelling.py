"""Label maps: a model's predicted class at every grid point of many planes."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dbray.errors import TrialFailedError
from dbray.planes import Frame, plane_grid

LabelMap = NDArray[Any]  # uint8, or uint16 above 256 classes

# A batch of convolutional activations should stay in a CPU's cache; a GPU wants to be filled.
BATCH_ON_CPU = 256
BATCH_ON_CUDA = 4096


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
    frames: Sequence[Frame],
    input_shape: tuple[int, int, int],
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
    for frame in frames:
        grid = plane_grid(frame, resolution, extent).reshape(-1, 2)
        labels = _label_points(model, frame, grid, input_shape, device)
        label_map: LabelMap = labels.numpy().astype(label_dtype(classes))
        yield label_map.reshape(resolution, resolution)


def _label_points(
    model: nn.Module,
    frame: Frame,
    grid: NDArray[np.float64],
    input_shape: tuple[int, int, int],
    device: torch.device,
) -> Tensor:
    """Predicted classes at N coordinates of a plane, int64 (N,) on the CPU."""
    origin, axes, coordinates = (
        torch.as_tensor(part, dtype=torch.float32, device=device)
        for part in (frame.origin, frame.axes, grid)
    )
    batch = BATCH_ON_CUDA if device.type == "cuda" else BATCH_ON_CPU
    labels: list[Tensor] = []
    finite = torch.ones((), dtype=torch.bool, device=device)
    # Equal chunks: a small last batch would waste a whole pass.
    for chunk in coordinates.chunk(max(1, -(-len(coordinates) // batch))):
        inputs = torch.addmm(origin, chunk, axes)  # (B, D)
        logits = model(inputs.view(-1, *input_shape))  # (B, C)
        finite &= torch.isfinite(logits).all()
        labels.append(logits.argmax(dim=1))
    if not finite:
        raise TrialFailedError("the model's output is not finite on a plane of images")
    return torch.cat(labels).cpu()
