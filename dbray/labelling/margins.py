"""Straight walks from one image towards others: margins and class skips."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dbray.errors import TrialFailedError
from dbray.labelling.label_maps import batch_size, in_batches

STEPS = 64  # equal steps of each walk: a class that is left and found again within one is missed
HALVINGS = 20  # of the step in which the class first changes


@dataclass(frozen=True)
class Walks:
    """What n walks along straight lines have met.

    Attributes
    ----------
    length
        float64, shape (n,): from start to end, normalised-input distance.
    margin
        float64, shape (n,): from the start to where the predicted class first changes, likewise;
        where it never does, the whole length, which the margin exceeds.
    censored
        bool, shape (n,): whether it never does.
    skips
        int32, shape (n,): how often the predicted class changes from one step to the next.
    """

    length: NDArray[np.float64]
    margin: NDArray[np.float64]
    censored: NDArray[np.bool_]
    skips: NDArray[np.int32]


@torch.inference_mode()
def walk(
    model: nn.Module,
    starts: NDArray[np.float32],
    ends: NDArray[np.float32],
    device: torch.device,
    *,
    steps: int = STEPS,
) -> Walks:
    """Walk from each start to its end and watch the predicted class.

    The first change is bracketed by ``steps`` equal steps, then found by bisection to a
    millionth of a step; all walks of a batch are halved together.

    Parameters
    ----------
    model
        In evaluation mode, on ``device``; maps (B, channels, height, width) to logits (B, C).
    starts, ends
        Normalised inputs, shape (n, channels, height, width).

    Raises
    ------
    TrialFailedError
        If the model returns a logit that is not finite.

    References
    ----------
    Somepalli et al., CVPR 2022, section 4 (the margin; class changes along a segment).
    """
    at_once = max(1, batch_size(device, starts[:1].size) // (steps + 1))
    from_, to = (torch.split(torch.from_numpy(side), at_once) for side in (starts, ends))
    parts = [
        _walk_batch(model, a.to(device), b.to(device), steps)
        for a, b in zip(from_, to, strict=True)
    ]
    share, censored, skips = (torch.cat(each).cpu().numpy() for each in zip(*parts, strict=True))
    apart = (ends.astype(np.float64) - starts).reshape(len(starts), -1)
    length = np.linalg.norm(apart, axis=1)
    return Walks(length, length * share, censored, skips.astype(np.int32))


def _walk_batch(
    model: nn.Module, starts: Tensor, ends: Tensor, steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Share of the way to the first change (1 without one), whether there is none, changes."""
    count = len(starts)
    shares = torch.linspace(0, 1, steps + 1, dtype=torch.float64, device=starts.device)
    labels = _classes(model, starts, ends, shares.expand(count, -1))  # (n, steps + 1)
    skips = (labels[:, 1:] != labels[:, :-1]).sum(dim=1)
    left = labels != labels[:, :1]
    censored = ~left.any(dim=1)
    above = torch.where(censored, steps, left.int().argmax(dim=1)) / steps
    above = above.to(torch.float64)
    below = above - 1 / steps
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        changed = _classes(model, starts, ends, middle[:, None])[:, 0] != labels[:, 0]
        above, below = torch.where(changed, middle, above), torch.where(changed, below, middle)
    return torch.where(censored, 1.0, (below + above) / 2), censored, skips


def _classes(model: nn.Module, starts: Tensor, ends: Tensor, shares: Tensor) -> Tensor:
    """Predicted classes (n, k) at shares (n, k) of the ways."""
    ways = (ends - starts).flatten(1)[:, None]  # (n, 1, D)
    points = starts.flatten(1)[:, None] + shares[:, :, None].to(starts.dtype) * ways
    inputs = points.view(-1, *starts.shape[1:])
    logits = torch.cat(list(in_batches(model, inputs, lambda part: part, len(inputs))))
    if not torch.isfinite(logits).all():
        raise TrialFailedError("the model's output is not finite between two images")
    return torch.as_tensor(logits.argmax(dim=1)).view(shares.shape)
