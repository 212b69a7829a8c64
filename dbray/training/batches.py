"""Batches of an epoch: shuffled, and of equal size but for one image."""

import math

import torch
from torch import Tensor


def batches(
    images: int, batch_size: int, shuffler: torch.Generator, device: torch.device
) -> tuple[Tensor, ...]:
    """Shuffled positions, all of them; batches differ by at most one image in size."""
    order = torch.randperm(images, generator=shuffler).to(device)  # one copy an epoch
    return order.tensor_split(steps_per_epoch(images, batch_size))


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Number of batches, the same in every epoch.

    Batch norm needs two images, so that three images in batches of two are one batch of three.
    """
    fewest = min(2, batch_size)
    return min(math.ceil(images / batch_size), max(1, images // fewest))
