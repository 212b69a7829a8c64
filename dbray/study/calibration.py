"""How fast a device trains and applies a model, from a few small steps."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from dbray.config import TrainingConfig
from dbray.labelling import BATCH_ON_CPU, BATCH_ON_CUDA
from dbray.training import AUTOCAST, make_optimizer

BACKWARD = 2  # gradients of weights and of activations: each costs about one forward pass
CALL_FLOPS = {"cpu": 20e9, "cuda": 2e12}  # a timed call shall do no more, if its batch allows
SLOW_SECONDS = 1.0  # a call that takes longer is timed once


@dataclass(frozen=True)
class Speed:
    """How long a device takes for one kind of model."""

    gradient: float  # seconds a FLOP of forward and backward pass
    forward: float  # seconds a FLOP of the forward pass alone
    update: float  # seconds a parameter and step of the optimizer


def measure_speed(
    model: nn.Module,
    training: TrainingConfig,
    input_shape: tuple[int, int, int],
    *,
    forward_flops: int,
    device: torch.device,
) -> Speed:
    """Speed of a model on a device, with batches like the trial's but no larger than need be.

    Parameters
    ----------
    model
        Not needed afterwards: its weights change.
    forward_flops
        Of one image.
    """
    flops = max(1, forward_flops)
    affordable = int(CALL_FLOPS[device.type] / flops)
    points = min(BATCH_ON_CUDA if device.type == "cuda" else BATCH_ON_CPU, max(1, affordable))
    # Batch norm needs two images.
    images = min(training.batch_size, max(2, affordable // (1 + BACKWARD)))
    inputs = torch.rand(max(images, points), *input_shape, device=device)
    model.to(device).train()
    if device.type == "cuda" and training.channels_last:
        model.to(memory_format=torch.channels_last)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    gradient = _seconds(lambda: _backward(model, inputs[:images], training), device)
    # A step of SAM is two gradients, which are counted as such, and one of SGD.
    plain = replace(training, optimizer="sgd") if str(training.optimizer) == "sam" else training
    update = _seconds(make_optimizer(model.parameters(), plain).step, device)
    model.eval()
    with torch.inference_mode():
        forward = _seconds(lambda: model(inputs[:points]), device)
    return Speed(
        gradient=gradient / ((1 + BACKWARD) * flops * images),
        forward=forward / (flops * points),
        update=update / max(1, sum(parameter.numel() for parameter in model.parameters())),
    )


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads, and restore what it used before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _backward(model: nn.Module, inputs: Tensor, training: TrainingConfig) -> None:
    model.zero_grad(set_to_none=True)
    lower = inputs.is_cuda and training.precision != "float32"
    dtype = AUTOCAST.get(training.precision)
    with torch.autocast(inputs.device.type, dtype=dtype, enabled=lower):
        logits = model(inputs)
        loss = nn.functional.cross_entropy(logits, logits.detach().argmax(dim=1))
    loss.backward()  # type: ignore[no-untyped-call]


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """Shortest of two calls after a warm-up; a slow call is not repeated."""
    times: list[float] = []
    while len(times) < 3 and not (times and times[0] > SLOW_SECONDS):
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times[1:] or times)
