"""Optimizers and learning-rate schedules by name."""

import inspect
import math
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, cast

import torch
from torch import nn

from dbray.config import TrainingConfig

STEPS = (0.375, 0.625, 0.875)  # shares of the training at which the rate drops tenfold
WARM_UP = 0.3  # share of a one-cycle training in which the rate rises
START = 1 / 25  # of the peak rate, at the start of one cycle


def make_optimizer(
    parameters: Iterable[nn.Parameter], config: TrainingConfig
) -> torch.optim.Optimizer:
    """Build the optimizer that a config names, at its peak learning rate.

    References
    ----------
    ``sam``: Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization,
    ICLR 2021: the gradient that SGD takes is that at w + radius * g / |g|.
    """
    # Fused: one call for all parameters. Tensor by tensor, a small network's step spends a third of
    # its time here.
    common = {"lr": config.learning_rate, "weight_decay": config.weight_decay, "fused": True}
    sgd: dict[str, Any] = {**common, "momentum": config.momentum}
    if config.optimizer == "sam":
        from pytorch_optimizer import SAM  # slow to import

        sam = SAM(parameters, torch.optim.SGD, rho=config.sam_radius, **sgd)
        _begin_at_rest(sam.base_optimizer)
        return cast(torch.optim.Optimizer, sam)
    if config.optimizer == "sgd":
        return _begin_at_rest(_uncompiled(torch.optim.SGD)(parameters, **sgd))
    adaptive = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return _uncompiled(adaptive)(parameters, **common)


def _begin_at_rest(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Give SGD momenta of zero, from which its first step is what it is without any.

    Fused, it takes them from uninitialised memory, and keeps what lay there where a gradient scaler
    leaves the first step out, as half precision often makes it do (PyTorch 2.15).
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


@cache
def _uncompiled(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """One of torch's optimizers, without what tells torch's compiler to leave its methods alone.

    That loads the compiler: two seconds of every process that trains, and nothing is compiled here.
    """
    names = ("add_param_group", "load_state_dict", "state_dict", "step", "zero_grad")
    plain: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    plain["step"] = torch.no_grad()(plain["step"])  # which a decorator does, too
    return type(kind.__name__, (kind,), plain)


class ScaledStep:
    """The step that SAM makes after its second gradient, through a gradient scaler.

    The scaler leaves the step out where the gradient has overflowed; SAM restores the weights
    either way. Its perturbation has a fixed length, so it does not see the scale.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> None:
        self.optimizer = optimizer
        self.scaler = scaler

    def step(self) -> None:
        """Unscale, step and adapt the scale."""
        self.scaler.step(self.optimizer)
        self.scaler.update()


def make_schedule(config: TrainingConfig, total_steps: int) -> Callable[[int], float]:
    """Learning rate, as a share of its peak, for each step from 0 to ``total_steps`` - 1.

    ``step``: a tenth after 37.5 %, 62.5 % and 87.5 % of the training; ``cosine``: from 1 to 0;
    ``one_cycle``: up along a cosine for 30 % of the training, then down to 0; ``constant``: 1.
    """

    def share(step: int) -> float:
        progress = step / total_steps
        if config.schedule == "step":
            return 10.0 ** -sum(progress >= at for at in STEPS)
        if config.schedule == "cosine":
            return _cosine(1.0, 0.0, progress)
        if config.schedule == "one_cycle":
            if progress < WARM_UP:
                return _cosine(START, 1.0, progress / WARM_UP)
            return _cosine(1.0, 0.0, (progress - WARM_UP) / (1 - WARM_UP))
        return 1.0

    return share


def _cosine(first: float, last: float, progress: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2
