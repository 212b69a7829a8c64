"""The barrier between two networks: how much worse it is on the straight line between them.

References
----------
Frankle, Dziugaite, Roy and Carbin, *Linear Mode Connectivity and the Lottery Ticket Hypothesis*,
ICML 2020: the largest test error on the line less the mean of its ends'.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dbray.datasets import Dataset
from dbray.training.evaluation import EVALUATION_BATCH, evaluate, on_device
from dbray.trial.matching import hidden_units, matched

POINTS = 11  # on the line, both ends among them
ESTIMATED_ON = 5_000  # training images, spread over all of them; each point goes through them

State = Mapping[str, Tensor]
Norm = nn.modules.batchnorm._BatchNorm


def barriers(one: nn.Module, other: nn.Module, dataset: Dataset) -> dict[str, float]:
    """``barrier`` between two networks of one architecture, and ``barrier_matched``.

    The second is that after the units of one were permuted to match the other's; it is missing
    where this is not known to leave the network's function.
    """
    ends = one.state_dict(), other.state_dict()
    found = {"barrier": barrier(one, *ends, dataset)}
    units = hidden_units(one)
    if units is not None:
        found["barrier_matched"] = barrier(one, ends[0], matched(*ends, units), dataset)
    return found


def barrier(like: nn.Module, one: State, other: State, dataset: Dataset) -> float:
    """Largest test error on the line between two states less the mean of its ends', 0 to 1.

    Batch norm's statistics are estimated anew at every point, ends too, on the training images or
    5,000 of these: those of a mixture are no mixture of statistics.

    Parameters
    ----------
    like
        A network that can have these states, on the device that is to be used.
    """
    model = copy.deepcopy(like)
    device = next(model.parameters()).device
    test = on_device(dataset, dataset.test_images, dataset.test_labels, device)
    norms = [module for module in model.modules() if isinstance(module, Norm)]
    every = -(-len(dataset.train_labels) // ESTIMATED_ON)
    chosen = slice(None, None, every) if norms else slice(0)
    images, _ = on_device(
        dataset, dataset.train_images[chosen], dataset.train_labels[chosen], device
    )
    errors = []
    for share in torch.linspace(0, 1, POINTS).tolist():
        model.load_state_dict(_between(one, other, share))
        _estimate_statistics(model, norms, images)
        errors.append(1 - evaluate(model, *test))
    return max(errors) - (errors[0] + errors[-1]) / 2


def _between(one: State, other: State, share: float) -> dict[str, Tensor]:
    return {
        name: torch.lerp(tensor, other[name].to(tensor.device), share)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in one.items()
    }


@torch.inference_mode()
def _estimate_statistics(model: nn.Module, norms: list[Norm], images: Tensor) -> None:
    """Let batch norm average over the images; all else is as in evaluation."""
    if not norms:
        return
    model.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # all batches count the same
        norm.train()
    for batch in images.tensor_split(-(-len(images) // EVALUATION_BATCH)):
        model(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
