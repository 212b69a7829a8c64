"""Training of one model on one device, with the data set in the device's memory. No Ray."""

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dbray.augmentation import Augment, Mix, make_augmentation, make_mix
from dbray.config import TrainingConfig
from dbray.datasets import Dataset
from dbray.errors import TrialFailedError
from dbray.objective import Loss, Teacher, label_loss, teacher_loss
from dbray.optimization import ScaledStep, make_optimizer, make_schedule

EVALUATION_BATCH = 512
AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class EpochRecord:
    """One row of a training history; accuracies are shares from 0 to 1."""

    epoch: int  # from 1
    train_loss: float  # mean over the epoch's augmented images, while training
    train_accuracy: float  # likewise
    test_accuracy: float  # after the epoch
    seconds: float  # since the training started


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
    teacher: Teacher | None = None
    steps: int = field(default=0, init=False)  # done so far

    def step(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One update; the batch's summed loss and number of hits, still on the device."""
        inputs, targets = self.mix(self.augment(inputs), labels)
        if self.device.type == "cuda" and self.config.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        # Set by hand: torch's schedulers complain when the scaler skips a float16 step.
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * self.schedule(self.steps)
        with self._precision():
            objective = teacher_loss(self.teacher, inputs) if self.teacher else label_loss(targets)
        logits, loss = self._gradient(inputs, objective)
        self._update(inputs, objective)
        self.steps += 1
        return loss * len(labels), (logits.argmax(dim=1) == labels).sum()

    def _gradient(self, inputs: Tensor, objective: Loss) -> tuple[Tensor, Tensor]:
        """Leave the loss's gradient at the present weights; return the logits and the loss."""
        with self._precision():
            logits = self.model(inputs)
            loss = objective(logits)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return logits.detach(), loss.detach()

    def _update(self, inputs: Tensor, objective: Loss) -> None:
        """Step along the gradient; SAM takes a second one where the first leads it."""
        if self.config.optimizer != "sam":
            self.scaler.step(self.optimizer)
            self.scaler.update()
            return
        sam: Any = self.optimizer
        sam.first_step()
        # The model is never used at the perturbed weights (NaN, where a gradient overflowed).
        with _running_statistics_kept(self.model):
            self._gradient(inputs, objective)
        sam.second_step()

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        if self.device.type != "cuda" or self.config.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=AUTOCAST[self.config.precision])


def train(
    model: nn.Module,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    data_seed: int,
    device: torch.device,
    teacher: Teacher | None = None,
    deterministic: bool = False,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> list[EpochRecord]:
    """Train a model in place and leave it in evaluation mode.

    Parameters
    ----------
    model
        On ``device``; maps (B, C, H, W) to logits.
    data_seed
        Decides the order of the images, their augmentation and dropout.
    teacher
        If there is one, its outputs are learned and the labels serve for the accuracies only.
    deterministic
        Use deterministic kernels only. On one CPU, with one number of threads, equal seeds give
        bit-equal weights without it, too.
    on_epoch
        Called after every epoch.

    Raises
    ------
    TrialFailedError
        If the loss of an epoch is not finite.

    Notes
    -----
    ``precision`` and ``channels_last`` act on CUDA only: on a CPU lower precision is slower, and
    the channels-last layout is unsafe in some convolutions' backward pass.
    """
    inputs, labels = _on_device(dataset, dataset.train_images, dataset.train_labels, device)
    test = _on_device(dataset, dataset.test_images, dataset.test_labels, device)
    order, noise, dropout = np.random.SeedSequence(data_seed).generate_state(3).tolist()
    loop = _make_loop(model, dataset, config, len(labels), noise, device)
    loop.teacher = teacher
    shuffler = torch.Generator().manual_seed(order)
    history: list[EpochRecord] = []
    started = time.perf_counter()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), _deterministic_kernels(enabled=deterministic):
        torch.manual_seed(dropout)
        for epoch in range(1, config.epochs + 1):
            loss, accuracy = _train_epoch(loop, inputs, labels, shuffler)
            if not math.isfinite(loss):
                raise TrialFailedError(
                    f"the loss became {loss} in epoch {epoch} of {config.epochs} "
                    f"({config.optimizer}, learning rate {config.learning_rate}); "
                    "try a lower learning rate"
                )
            seconds = time.perf_counter() - started
            record = EpochRecord(epoch, loss, accuracy, evaluate(model, *test), seconds)
            history.append(record)
            if on_epoch:
                on_epoch(record)
    model.eval()
    return history


@torch.inference_mode()
def evaluate(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Share of inputs (n, C, H, W) whose arg-max logit is their label; evaluation mode stays on."""
    model.eval()
    hits = torch.zeros((), dtype=torch.int64, device=labels.device)
    for part, truth in zip(
        torch.split(inputs, EVALUATION_BATCH), torch.split(labels, EVALUATION_BATCH), strict=True
    ):
        hits += (model(part).argmax(dim=1) == truth).sum()
    return int(hits) / len(labels)


def evaluate_on(model: nn.Module, dataset: Dataset, device: torch.device) -> float:
    """Accuracy of a model on ``device`` on all test images."""
    return evaluate(model, *_on_device(dataset, dataset.test_images, dataset.test_labels, device))


def _make_loop(
    model: nn.Module,
    dataset: Dataset,
    config: TrainingConfig,
    images: int,
    noise_seed: int,
    device: torch.device,
) -> Loop:
    if device.type == "cuda" and config.channels_last:
        model.to(memory_format=torch.channels_last)
    black = torch.tensor([-m / s for m, s in zip(dataset.mean, dataset.std, strict=True)])
    augment = make_augmentation(
        config.crop_padding,
        flip=config.flip,
        padding_value=black.to(device),
        generator=torch.Generator(device).manual_seed(noise_seed),
    )
    optimizer = make_optimizer(model.parameters(), config)
    schedule = make_schedule(config, config.epochs * _steps_per_epoch(images, config.batch_size))
    scaled = device.type == "cuda" and config.precision == "float16"
    scaler = torch.amp.GradScaler(device.type, enabled=scaled)
    if config.optimizer == "sam":
        sam: Any = optimizer
        sam.base_optimizer = ScaledStep(sam.base_optimizer, scaler)
    mix = make_mix(config.mixup, config.cutmix, dataset.classes)
    return Loop(model, config, augment, mix, optimizer, schedule, scaler, device)


def _train_epoch(
    loop: Loop, inputs: Tensor, labels: Tensor, shuffler: torch.Generator
) -> tuple[float, float]:
    """Mean loss and accuracy of one pass; the device is read once, at its end."""
    loop.model.train()
    total_loss = torch.zeros((), device=loop.device)
    hits = torch.zeros((), dtype=torch.int64, device=loop.device)
    for batch in _batches(len(labels), loop.config.batch_size, shuffler, loop.device):
        loss, right = loop.step(inputs[batch], labels[batch])
        total_loss += loss
        hits += right
    return float(total_loss) / len(labels), int(hits) / len(labels)


def _batches(
    images: int, batch_size: int, shuffler: torch.Generator, device: torch.device
) -> tuple[Tensor, ...]:
    """Shuffled positions, all of them; batches differ by at most one image in size."""
    order = torch.randperm(images, generator=shuffler).to(device)  # one copy an epoch
    return order.tensor_split(_steps_per_epoch(images, batch_size))


def _steps_per_epoch(images: int, batch_size: int) -> int:
    """Number of batches, the same in every epoch.

    Batch norm needs two images, so that three images in batches of two are one batch of three.
    """
    fewest = min(2, batch_size)
    return min(math.ceil(images / batch_size), max(1, images // fewest))


def _on_device(
    dataset: Dataset, images: NDArray[np.uint8], labels: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor]:
    inputs = torch.from_numpy(dataset.normalise(images)).to(device)
    return inputs, torch.tensor(labels, device=device)


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


@contextlib.contextmanager
def _deterministic_kernels(*, enabled: bool) -> Iterator[None]:
    """Ask torch for deterministic kernels, and restore what was asked for before."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if enabled:  # cuBLAS reads it when a process first multiplies matrices on a GPU
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(before[0] or enabled)
    torch.backends.cudnn.benchmark = before[1] and not enabled
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
