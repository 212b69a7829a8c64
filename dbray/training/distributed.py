"""A training by several processes: each takes its shard of every batch."""

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
class ProcessGroup:
    """One process's place in the group that trains a model; alone by default.

    The processes share torch's default process group (gloo on CPUs, NCCL on GPUs) and hold the same
    weights. Every process makes the whole batch from the same random numbers and trains on its
    shard, so that a step differs from that of one process by rounding alone; only batch norm takes
    its statistics from each shard.
    """

    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which writes the results."""
        return self.rank == 0

    def shard(self, batch: Tensor) -> Tensor:
        """The rank's part of a batch along its first axis; parts differ by one item at most."""
        return batch.tensor_split(self.world_size)[self.rank]

    def data_parallel(self, model: nn.Module) -> nn.Module:
        """The model; its backward pass averages gradients over the ranks."""
        return model if self.world_size == 1 else DistributedDataParallel(model)

    def all_reduce(self, values: Tensor) -> Tensor:
        """Sum over the ranks."""
        if self.world_size > 1:
            distributed.all_reduce(values)
        return values

    def on_main(self, call: Callable[[], T]) -> T:
        """Make a call on rank 0 and return its result on every rank; the others wait.

        Raises
        ------
        TrialFailedError
            On every rank, if rank 0 raises it.
        """
        if self.world_size == 1:
            return call()
        said: list[Any] = [None, None]
        if self.is_main:
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
    def rank_randomness(self, device: torch.device, step: int) -> Iterator[None]:
        """Give every rank other numbers from torch's global generators, as dropout needs.

        Afterwards the generators are where they were before, on every rank alike.
        """
        if self.world_size == 1:
            yield
            return
        entropy = (torch.initial_seed(), step, self.rank)
        seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield


ONE_PROCESS = ProcessGroup()


def smallest_shard(images: int, steps: int, world_size: int) -> int:
    """Images in the smallest shard of an epoch's batches."""
    return images // steps // world_size
