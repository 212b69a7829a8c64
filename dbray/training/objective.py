"""What a training step minimises: the labels' cross-entropy, or distance from a teacher."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dbray.config import DistillationConfig

Loss = Callable[[Tensor], Tensor]  # logits (B, C) to a scalar


@dataclass(frozen=True)
class Teacher:
    """A trained model and how its student learns from it."""

    model: nn.Module  # in evaluation mode, on the student's device
    config: DistillationConfig


def label_loss(targets: Tensor) -> Loss:
    """Cross-entropy against class indices (B,) or class probabilities (B, C)."""
    return lambda logits: nn.functional.cross_entropy(logits, targets)


def teacher_loss(teacher: Teacher, inputs: Tensor) -> Loss:
    """Distance of the student's logits from the teacher's on the same (augmented) inputs.

    ``kl``: T^2 times the Kullback-Leibler divergence of the outputs at temperature T; ``hard``:
    cross-entropy against the teacher's arg-max; ``mse``: mean squared difference of the logits.

    References
    ----------
    Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015.
    """
    with torch.no_grad():
        taught = teacher.model(inputs).float()
    return distillation_loss(taught, teacher.config)


def distillation_loss(taught: Tensor, config: DistillationConfig) -> Loss:
    """The loss for known logits of the teacher, shape (B, C)."""
    if config.loss == "hard":
        return label_loss(taught.argmax(dim=1))
    if config.loss == "mse":
        return lambda logits: nn.functional.mse_loss(logits, taught)
    heat = config.temperature
    soft = nn.functional.log_softmax(taught / heat, dim=1)

    def loss(logits: Tensor) -> Tensor:
        own = nn.functional.log_softmax(logits / heat, dim=1)
        return heat**2 * nn.functional.kl_div(own, soft, log_target=True, reduction="batchmean")

    return loss
