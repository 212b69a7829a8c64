"""Weight matching: hidden units of one network permuted to be like those of another.

References
----------
Ainsworth, Hayase and Srinivasa, *Git Re-Basin*, ICLR 2023: its greedy weight matching.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from dbray.architectures.compiler import compiler_when_called
from dbray.architectures.preactivation import PreactivationBlock

with compiler_when_called():
    from torchvision.models.resnet import BasicBlock

Axis = tuple[str, int]  # name in the state dict, and which of the tensor's axes
Units = list[Axis]  # axes along which the units of one layer lie
State = Mapping[str, Tensor]

UNIT_BY_UNIT = (nn.ReLU, nn.Dropout, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Identity)
NORM = ("weight", "bias", "running_mean", "running_var")
MOST_ROUNDS = 100


def hidden_units(model: nn.Module) -> list[Units] | None:
    """Axes that have to be permuted together, for every permutation that leaves the function.

    None for a network that is not a sequence of layers and residual blocks as they are known here.
    """
    if not isinstance(model, nn.Sequential):
        return None
    found: list[Units] = []
    inputs: Units = []  # the pixels', which are not permuted
    pooled = True  # whether what is flattened is one number a unit
    for name, layer in _layers(model):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            inputs.append((f"{name}.weight", 1))
            inputs = [(f"{name}.{part}", 0) for part, _ in layer.named_parameters()]
            found.append(inputs)
            pooled = isinstance(layer, nn.Linear)
        elif isinstance(layer, nn.BatchNorm2d):
            inputs += [(f"{name}.{part}", 0) for part in NORM]
        elif isinstance(layer, BasicBlock | PreactivationBlock):
            inputs = _block(name, layer, inputs, found)
        elif isinstance(layer, nn.Flatten):
            if not pooled:
                return None
        elif not isinstance(layer, UNIT_BY_UNIT):
            return None
        pooled = pooled or (isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size == 1)
    return found[:-1]  # the last layer's are the classes


def _layers(model: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Layers in their order, those of sequences within the sequence too."""
    for name, layer in model.named_children():
        if isinstance(layer, nn.Sequential):
            yield from _layers(layer, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", layer


def _block(
    name: str, block: BasicBlock | PreactivationBlock, inputs: Units, found: list[Units]
) -> Units:
    """Take in a block's inner units; returns those that it passes on: a new layer's or its own."""
    if isinstance(block, BasicBlock):
        before, between, after = "", "bn1", "bn2"
        shortcut, after_it = ("downsample.0", "downsample.1") if block.downsample else ("", "")
    else:
        before, between, after = "norm1", "norm2", ""
        shortcut, after_it = "" if block.shortcut is None else "shortcut", ""
    inputs += [*_norm(name, before), (f"{name}.conv1.weight", 1)]
    inner = [(f"{name}.conv1.weight", 0), *_norm(name, between), (f"{name}.conv2.weight", 1)]
    found.append(inner)
    outputs = [(f"{name}.conv2.weight", 0), *_norm(name, after)]
    if not shortcut:  # added to what comes in: one order for both
        inputs += outputs
        return inputs
    inputs.append((f"{name}.{shortcut}.weight", 1))
    outputs += [(f"{name}.{shortcut}.weight", 0), *_norm(name, after_it)]
    found.append(outputs)
    return outputs


def _norm(block: str, name: str) -> Units:
    """Axes of a batch norm, if there is one of this name."""
    return [(f"{block}.{name}.{part}", 0) for part in NORM] if name else []


def permuted(state: State, units: Sequence[Units], orders: Sequence[Tensor]) -> dict[str, Tensor]:
    """A state dict with the units of every layer in another order: the same function."""
    found = dict(state)
    for axes, order in zip(units, orders, strict=True):
        for name, axis in axes:
            found[name] = found[name].index_select(axis, order.to(found[name].device))
    return found


def matched(one: State, other: State, units: Sequence[Units], seed: int = 0) -> dict[str, Tensor]:
    """``other`` with its units in the order in which their weights are most like those of ``one``.

    Layer after layer, in random order, gets the best order given those of all others, until
    nothing changes: a local optimum.
    """
    rng = np.random.default_rng(seed)
    found = dict(other)
    for _ in range(MOST_ROUNDS):
        changed = False
        for place in rng.permutation(len(units)):
            axes = units[place]
            order = _best_order(one, found, axes)
            if not torch.equal(order, torch.arange(len(order))):
                found = permuted(found, [axes], [order])
                changed = True
        if not changed:
            break
    return found


def _best_order(one: State, other: State, axes: Units) -> Tensor:
    """Order of a layer's units with the largest sum of products of weights, shape (units,)."""
    alike = torch.zeros(())
    for name, axis in axes:
        if "running" not in name:  # statistics are no weights
            alike = alike + _rows(one[name], axis) @ _rows(other[name], axis).T
    same = float(alike.trace())
    order = torch.tensor(linear_sum_assignment(alike.numpy(), maximize=True)[1])
    gain = float(alike[torch.arange(len(order)), order].sum()) - same
    # Rounding alone must not move units for ever.
    return order if gain > 1e-9 * max(1.0, abs(same)) else torch.arange(len(order))


def _rows(tensor: Tensor, axis: int) -> Tensor:
    """Weights of each unit, shape (units, weights)."""
    return tensor.detach().cpu().double().movedim(axis, 0).reshape(tensor.shape[axis], -1)
