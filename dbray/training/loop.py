"""One step of a training: batch in, updated weights out."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dbray.config import TrainingConfig
from dbray.training.augmentation import Augment, Mix
from dbray.training.distributed import ONE_PROCESS, ProcessGroup
from dbray.training.objective import Loss, Teacher, label_loss, teacher_loss

AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class Loop:
    """What the steps of one training share."""

    model: nn.Module
    config: TrainingConfig
    augment: Augment
    mix: Mix
    optimizer: torch.optim.Optimizer
    schedule: Callable[[int], float]  # share of the peak learning rate at a step
    scaler: torch.amp.GradScaler
    device: torch.device
    process_group: ProcessGroup = ONE_PROCESS
    teacher: Teacher | None = None
    steps: int = field(default=0, init=False)  # done so far

    def __post_init__(self) -> None:
        """Let the ranks average their gradients."""
        self.forward = self.process_group.data_parallel(self.model)

    def step(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One update; summed loss and number of hits of this rank's shard, still on the device."""
        inputs, targets = self.mix(self.augment(inputs), labels)
        images = len(labels)
        inputs, targets, labels = map(self.process_group.shard, (inputs, targets, labels))
        # Shards differ by one image; their gradients' mean is to be that of the images.
        weight = self.process_group.world_size * len(labels) / images
        if self.device.type == "cuda" and self.config.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        # Set by hand: torch's schedulers complain when the scaler skips a float16 step.
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * self.schedule(self.steps)
        with self._precision():
            objective = teacher_loss(self.teacher, inputs) if self.teacher else label_loss(targets)
        with self.process_group.rank_randomness(self.device, self.steps):
            logits, loss = self._gradient(inputs, objective, weight)
            self._update(inputs, objective, weight)
        self.steps += 1
        return loss * len(labels), (logits.argmax(dim=1) == labels).sum()

    def _gradient(self, inputs: Tensor, objective: Loss, weight: float) -> tuple[Tensor, Tensor]:
        """Leave the loss's gradient at the present weights; return the logits and the loss."""
        with self._precision():
            logits = self.forward(inputs)
            loss = objective(logits)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss * weight).backward()  # type: ignore[no-untyped-call]
        return logits.detach(), loss.detach()

    def _update(self, inputs: Tensor, objective: Loss, weight: float) -> None:
        """Step along the gradient; SAM takes a second one where the first leads it."""
        if self.config.optimizer != "sam":
            self.scaler.step(self.optimizer)
            self.scaler.update()
            return
        sam: Any = self.optimizer
        sam.first_step()
        # The model is never used at the perturbed weights (NaN, where a gradient overflowed).
        with _running_statistics_kept(self.model):
            self._gradient(inputs, objective, weight)
        sam.second_step()

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        if self.device.type != "cuda" or self.config.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=AUTOCAST[self.config.precision])


@contextlib.contextmanager
def _running_statistics_kept(model: nn.Module) -> Iterator[None]:
    """Let batch norm use a batch's statistics without recording them."""
    norms = [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
