"""Fully connected networks on flattened pixels."""

import math
from itertools import pairwise

from torch import nn

from dbray.config import SizeName


def fcnet(
    *, input_shape: tuple[int, int, int], classes: int, width: int, size: SizeName
) -> nn.Module:
    """FCNet of the paper: hidden layers of 1024, 512, 256 and 64 units; a quarter if small.

    ``width`` sets the first hidden layer, the others keep their proportions.
    """
    first = width or (1024 if size == "paper" else 256)
    return _stack(math.prod(input_shape), [first, first // 2, first // 4, first // 16], classes)


def mlp(
    *, input_shape: tuple[int, int, int], classes: int, width: int, size: SizeName
) -> nn.Module:
    """One hidden layer of ``width`` units (128 if small, else 1024, unless told)."""
    hidden = width or (1024 if size == "paper" else 128)
    return _stack(math.prod(input_shape), [hidden], classes)


def _stack(inputs: int, hidden: list[int], classes: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise([inputs, *(max(1, units) for units in hidden)]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(max(1, hidden[-1]), classes))
