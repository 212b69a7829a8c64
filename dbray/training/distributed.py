"""Processes that train one model together: each takes its share of every batch."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from dbray.errors import TrialFailedError

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """The place of one process among those that train a model; alone unless told otherwise.

    The processes have torch's default process group (gloo on CPUs, NCCL on GPUs) and hold the same
    weights. Of a batch every process makes all images, from the same random numbers, and trains on
    its share, so that a step differs from that of one process by rounding alone; but batch norm
    takes the statistics of each share.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes results."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """Its own part of a batch, along the first axis; parts differ by at most one in length."""
        return batch.tensor_split(self.size)[self.rank]

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model with gradients that are averaged over the team in the backward pass."""
        return model if self.size == 1 else DistributedDataParallel(model)

    def total(self, values: Tensor) -> Tensor:
        """Sum over the team."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def by_leader(self, call: Callable[[], T]) -> T:
        """What a call returns that the leader alone makes; the others wait for it.

        Raises
        ------
        TrialFailedError
            In every process, if it is raised in the leader's.
        """
        if self.size == 1:
            return call()
        said: list[Any] = [None, None]
        if self.leads:
            try:
                said = [call(), None]
            except TrialFailedError as error:
                said = [None, str(error)]
        distributed.broadcast_object_list(said)
        if said[1] is not None:
            raise TrialFailedError(said[1])
        result: T = said[0]
        return result

    @contextlib.contextmanager
    def own_randomness(self, device: torch.device, step: int) -> Iterator[None]:
        """Other numbers for every process from torch's global generators, as dropout needs.

        Afterwards the generators are where they were, which is the same place in all processes.
        """
        if self.size == 1:
            yield
            return
        entropy = (torch.initial_seed(), step, self.rank)
        seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield


ALONE = Team()


def smallest_share(images: int, steps: int, size: int) -> int:
    """Images in the smallest share of an epoch's batches, by its steps and the team's size."""
    return images // steps // size
