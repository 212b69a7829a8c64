"""Training of one model on one device, with the data set in the device's memory. No Ray."""

import contextlib
import math
import os
import time
from collections.abc import Iterator
from dataclasses import astuple
from typing import IO, Any

import torch
from torch import Tensor, nn

from dbray.config import NoiseConfig, TrainingConfig
from dbray.datasets import Dataset, noisy_labels
from dbray.errors import TrialFailedError
from dbray.training.augmentation import make_augmentation, make_mix
from dbray.training.batches import batches, steps_per_epoch
from dbray.training.distributed import ONE_PROCESS, ProcessGroup
from dbray.training.evaluation import evaluate, on_device
from dbray.training.history import LONGEST_HISTORY, EpochRecord, OnEpoch
from dbray.training.loop import Loop
from dbray.training.objective import Teacher
from dbray.training.optimization import ScaledStep, make_optimizer, make_schedule
from dbray.training.saved_state import load, save
from dbray.training.streams import drawn_sample, stream_seeds


class Training:
    """A training that can be paused after any epoch, saved, and taken up again.

    However it is cut into runs, on one CPU the weights come out the same to the bit.

    Parameters
    ----------
    model
        On ``device``; maps (B, C, H, W) to logits. It is trained in place.
    data_seed
        Decides the order of the images, their augmentation and dropout; or a seed for each.
    sample_seed
        Draws the training images with replacement; without it all are used.
    noise
        Which training labels are wrong; without it they are as the data set has them.
    teacher
        If there is one, its outputs are learned and the labels serve for the accuracies only.
    process_group
        The processes that train this model, each of which makes an equal training.
    deterministic
        Use deterministic kernels only. On one CPU, with one number of threads, equal seeds give
        bit-equal weights without it, too.

    Attributes
    ----------
    epoch
        Passes over the training set so far.
    history
        A record of every epoch, or of 200 of them where there are more.

    Notes
    -----
    ``precision`` and ``channels_last`` act on CUDA only: on a CPU lower precision is slower, and
    the channels-last layout is unsafe in some convolutions' backward pass.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        config: TrainingConfig,
        *,
        data_seed: int | tuple[int, int, int],
        device: torch.device,
        sample_seed: int | None = None,
        noise: NoiseConfig | None = None,
        teacher: Teacher | None = None,
        deterministic: bool = False,
        process_group: ProcessGroup = ONE_PROCESS,
    ) -> None:
        labels = noisy_labels(dataset.train_labels, dataset.classes, noise)
        images = dataset.train_images
        if sample_seed is not None:
            chosen = drawn_sample(len(labels), sample_seed)
            images, labels = images[chosen], labels[chosen]
        self.inputs, self.labels = on_device(dataset, images, labels, device)
        self.test = on_device(dataset, dataset.test_images, dataset.test_labels, device)
        order, augmentation, dropout = stream_seeds(data_seed)
        self.shuffler = torch.Generator().manual_seed(order)
        self.augmenter = torch.Generator(device).manual_seed(augmentation)
        self.loop = _make_loop(
            model, dataset, config, len(labels), self.augmenter, device, process_group
        )
        self.loop.teacher = teacher
        self.deterministic = deterministic
        self.epoch = 0
        self.seconds = 0.0
        self.history: list[EpochRecord] = []
        with self._global_randomness():
            torch.manual_seed(dropout)

    def run(self, until: int, on_epoch: OnEpoch | None = None) -> None:
        """Train up to and including an epoch, and leave the model in evaluation mode.

        Parameters
        ----------
        on_epoch
            Called with every record of the history as it is made.

        Raises
        ------
        TrialFailedError
            If the loss of an epoch is not finite.
        """
        config, model = self.loop.config, self.loop.model
        every = math.ceil(config.epochs / LONGEST_HISTORY)
        started = time.perf_counter() - self.seconds
        kernels = _deterministic_kernels() if self.deterministic else contextlib.nullcontext()
        with self._global_randomness(), kernels:
            while self.epoch < until:
                loss, accuracy = _train_epoch(self.loop, self.inputs, self.labels, self.shuffler)
                self.epoch += 1
                if not math.isfinite(loss):
                    raise TrialFailedError(
                        f"the loss became {loss} in epoch {self.epoch} of {config.epochs} "
                        f"({config.optimizer}, learning rate {config.learning_rate}); "
                        "try a lower learning rate"
                    )
                self.seconds = time.perf_counter() - started
                if self.epoch % every == 0 or self.epoch == until:
                    now = evaluate(model, *self.test)
                    record = EpochRecord(self.epoch, loss, accuracy, now, self.seconds)
                    self.history.append(record)
                    if on_epoch:
                        on_epoch(record)
        model.eval()

    def reorder(self, seed: int) -> None:
        """Draw the order of the images from another seed, from the next epoch on."""
        self.shuffler.manual_seed(stream_seeds(seed)[0])

    def release(self) -> None:
        """Give up all that only training needs: labelling wants the memory. It cannot go on."""
        self.loop.optimizer.zero_grad(set_to_none=True)
        self._stateful_optimizer().state.clear()
        if self.loop.device.type == "cuda":
            torch.cuda.empty_cache()

    def fit_accuracy(self) -> float:
        """Share of training images, not augmented, that get the label they were trained with."""
        return evaluate(self.loop.model, self.inputs, self.labels)

    def save(self, sink: IO[bytes]) -> None:
        """Write all that a later process needs to continue as if there had been no break."""
        state = {
            "device": self.loop.device.type,
            "model": self.loop.model.state_dict(),
            "optimizer": self._stateful_optimizer().state_dict(),
            "scaler": self.loop.scaler.state_dict(),
            "steps": self.loop.steps,
            "shuffler": self.shuffler.get_state(),
            "augmenter": self.augmenter.get_state(),
            "random": self.random,
            "epoch": self.epoch,
            "seconds": self.seconds,
            "history": [astuple(record) for record in self.history],
        }
        save(state, sink)

    def resume(self, source: IO[bytes], *, at_most: int | None = None) -> None:
        """Continue from a state that an equal training has saved.

        Parameters
        ----------
        at_most
            The last epoch that is of use.

        Raises
        ------
        ValueError
            If the file is no such state, is damaged, is from beyond ``at_most``, or is of another
            model or kind of device. The training is then of no more use.
        """
        state = load(source)
        here = self.loop.device.type
        try:
            if state["device"] != here:
                raise ValueError(f"it was saved on {state['device']}, and this is {here}")
            if at_most is not None and state["epoch"] > at_most:
                raise ValueError(f"it is of epoch {state['epoch']}, past {at_most}")
            self._restore(state)
        except (LookupError, TypeError, RuntimeError, AttributeError) as error:
            raise ValueError("it is the state of another training") from error

    def _restore(self, state: dict[str, Any]) -> None:
        self.loop.model.load_state_dict(state["model"])
        optimizer = self._stateful_optimizer()
        optimizer.load_state_dict(state["optimizer"])
        # SAM shares the groups and the state of the one inside it, which loading has replaced.
        self.loop.optimizer.param_groups = optimizer.param_groups
        self.loop.optimizer.state = optimizer.state
        self.loop.scaler.load_state_dict(state["scaler"])
        self.loop.steps = state["steps"]
        self.shuffler.set_state(state["shuffler"])
        self.augmenter.set_state(state["augmenter"])
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(state["random"][0])  # refuses what is none
        self.random = state["random"]
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.history = [EpochRecord(*record) for record in state["history"]]

    def _stateful_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer that keeps momenta; SAM's own state lives within one step only."""
        base: Any = getattr(self.loop.optimizer, "base_optimizer", self.loop.optimizer)
        inner: torch.optim.Optimizer = base.optimizer if isinstance(base, ScaledStep) else base
        return inner

    @contextlib.contextmanager
    def _global_randomness(self) -> Iterator[None]:
        """Give dropout and mixtures, which draw from torch's global generators, their own state."""
        cuda = self.loop.device if self.loop.device.type == "cuda" else None
        with torch.random.fork_rng(devices=[cuda] if cuda else []):
            if hasattr(self, "random"):
                torch.set_rng_state(self.random[0])
                if cuda:
                    torch.cuda.set_rng_state(self.random[1], cuda)
            try:
                yield
            finally:
                states = [torch.get_rng_state()]
                self.random = [*states, *([torch.cuda.get_rng_state(cuda)] if cuda else [])]


def train(
    model: nn.Module,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    data_seed: int | tuple[int, int, int],
    device: torch.device,
    on_epoch: OnEpoch | None = None,
    **options: Any,  # noqa: ANN401 - those of Training
) -> list[EpochRecord]:
    """Run a whole ``Training``, which takes the same parameters; returns its history."""
    training = Training(model, dataset, config, data_seed=data_seed, device=device, **options)
    training.run(config.epochs, on_epoch)
    return training.history


def _make_loop(
    model: nn.Module,
    dataset: Dataset,
    config: TrainingConfig,
    images: int,
    augmenter: torch.Generator,
    device: torch.device,
    process_group: ProcessGroup,
) -> Loop:
    if device.type == "cuda" and config.channels_last:
        model.to(memory_format=torch.channels_last)
    black = torch.tensor([-m / s for m, s in zip(dataset.mean, dataset.std, strict=True)])
    augment = make_augmentation(
        config.crop_padding,
        flip=config.flip,
        padding_value=black.to(device),
        generator=augmenter,
    )
    optimizer = make_optimizer(model.parameters(), config)
    schedule = make_schedule(config, config.epochs * steps_per_epoch(images, config.batch_size))
    scaled = device.type == "cuda" and config.precision == "float16"
    scaler = torch.amp.GradScaler(device.type, enabled=scaled)
    if config.optimizer == "sam":
        sam: Any = optimizer
        sam.base_optimizer = ScaledStep(sam.base_optimizer, scaler)
    mix = make_mix(config.mixup, config.cutmix, dataset.classes)
    return Loop(model, config, augment, mix, optimizer, schedule, scaler, device, process_group)


def _train_epoch(
    loop: Loop, inputs: Tensor, labels: Tensor, shuffler: torch.Generator
) -> tuple[float, float]:
    """Mean loss and accuracy of one pass; the device is read once, at its end."""
    loop.model.train()
    total_loss = torch.zeros((), device=loop.device)
    hits = torch.zeros((), dtype=torch.int64, device=loop.device)
    for batch in batches(len(labels), loop.config.batch_size, shuffler, loop.device):
        loss, right = loop.step(inputs[batch], labels[batch])
        total_loss += loss
        hits += right
    total_loss, hits = (
        loop.process_group.all_reduce(total_loss),
        loop.process_group.all_reduce(hits),
    )
    return float(total_loss) / len(labels), int(hits) / len(labels)


@contextlib.contextmanager
def _deterministic_kernels() -> Iterator[None]:
    """Ask torch for deterministic kernels, and restore what was asked for before."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at a GPU's first product
    torch.use_deterministic_algorithms(True)  # loads torch's compiler, which takes two seconds
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
