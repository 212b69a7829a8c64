"""One part of the pairwise scores: two blocks of trials on a range of planes, in bounded memory."""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbray.scores.agreement import count_agreements
from dbray.store import CommittedTrial, Study, read_label_maps

TRIALS_PER_BLOCK = 500  # at most; a block grows past it only for a group that is larger by itself
WORKING_BYTES = 128 * 2**20  # of label maps, and of counts, that a task holds at a time


@dataclass(frozen=True)
class Block:
    """Trials of whole groups, group after group."""

    trials: tuple[CommittedTrial, ...]
    groups: tuple[str, ...]  # one label a trial

    @property
    def ids(self) -> list[str]:
        """Ids of the trials."""
        return [trial.trial_id for trial in self.trials]

    def group_slices(self) -> dict[str, slice]:
        """Where each group's trials stand in the block."""
        names = list(dict.fromkeys(self.groups))
        starts = [self.groups.index(name) for name in names]
        stops = [*starts[1:], len(self.groups)]
        return {n: slice(a, b) for n, a, b in zip(names, starts, stops, strict=True)}


@dataclass(frozen=True)
class PairTask:
    """What one part covers; ``b is None`` means the pairs within block ``a``."""

    a: Block
    b: Block | None
    kind_planes: range  # ids of all planes of the kind
    planes: range  # ids of this part's planes
    classes: int
    points: int  # N of a plane
    within_groups: bool = False  # whether pairs across groups are left out

    @property
    def right(self) -> Block:
        """The block of the pairs' second trials."""
        return self.a if self.b is None else self.b


@dataclass(frozen=True)
class PairSums:
    """Sums of one part; parts of the same two blocks add up, in the order of their planes.

    Attributes
    ----------
    agreements, overlaps
        int64, shapes (M_a, M_b) and (M_a, M_b, C).
    histogram_a, histogram_b
        int64, shapes (M_a, C), (M_b, C).
    by_plane
        int64, shape (P', G_a, G_b): agreements of all pairs of two groups on each of the planes.
    """

    agreements: NDArray[np.int64]
    overlaps: NDArray[np.int64]
    histogram_a: NDArray[np.int64]
    histogram_b: NDArray[np.int64]
    by_plane: NDArray[np.int64]

    def __add__(self, other: "PairSums") -> "PairSums":
        return PairSums(
            self.agreements + other.agreements,
            self.overlaps + other.overlaps,
            self.histogram_a + other.histogram_a,
            self.histogram_b + other.histogram_b,
            np.concatenate([self.by_plane, other.by_plane]),
        )


def blocks_of(trials: Sequence[tuple[str, CommittedTrial]], classes: int) -> list[Block]:
    """Blocks of (group, trial) pairs, ordered by group and id; a group is never split.

    Many classes make smaller blocks: the overlaps of a block's pairs are held class by class.
    """
    limit = min(TRIALS_PER_BLOCK, int((WORKING_BYTES / (8 * classes)) ** 0.5))
    ordered = sorted(trials, key=lambda pair: (pair[0], pair[1].trial_id))
    blocks: list[list[tuple[str, CommittedTrial]]] = []
    for _, of_group in groupby(ordered, key=lambda pair: pair[0]):
        members = list(of_group)
        if blocks and len(blocks[-1]) + len(members) <= limit:
            blocks[-1].extend(members)
        else:
            blocks.append(members)
    return [Block(tuple(t for _, t in b), tuple(g for g, _ in b)) for b in blocks]


@dataclass(frozen=True)
class GroupPair:
    """Two groups, or one with itself, whose trials are compared."""

    names: tuple[str, str]
    members: tuple[slice, slice]  # places of their trials in the two blocks
    place: tuple[int, int]  # their own

    @property
    def is_within(self) -> bool:
        """Whether it is one group with itself."""
        return self.names[0] == self.names[1]

    @property
    def shape(self) -> tuple[int, int]:
        """Trials of each group."""
        a, b = self.members
        return a.stop - a.start, b.stop - b.start

    @property
    def pairs(self) -> int:
        """Pairs of trials."""
        a, b = self.shape
        return a * (a - 1) // 2 if self.is_within else a * b


def group_pairs(task: PairTask) -> Iterator[GroupPair]:
    """Pairs of groups that the task's two blocks hold."""
    slices_b = task.right.group_slices()
    for i, (group_a, rows) in enumerate(task.a.group_slices().items()):
        for j, (group_b, columns) in enumerate(slices_b.items()):
            if group_a == group_b:
                counts = rows.stop - rows.start > 1
            else:
                counts = not task.within_groups and (task.b is not None or group_a < group_b)
            if counts:
                yield GroupPair((group_a, group_b), (rows, columns), (i, j))


def sum_pairs(study: Study, task: PairTask) -> PairSums:
    """Work one part out, a chunk of planes at a time."""
    starts = [
        [members.start for members in block.group_slices().values()]
        for block in (task.a, task.right)
    ]
    parts = []
    for chunk in _chunks(task):
        labels_a = _read(study, task.a, chunk)
        labels_b = None if task.b is None else _read(study, task.b, chunk)
        counts = count_agreements(labels_a, labels_b, task.classes)
        # Group after group stands in a block; a pair that does not count holds zero.
        by_row = np.add.reduceat(counts.agreements, starts[0], axis=1, dtype=np.int64)
        parts.append(
            PairSums(
                counts.agreements.sum(axis=0, dtype=np.int64),
                counts.overlaps,
                counts.histogram_a,
                counts.histogram_b,
                np.add.reduceat(by_row, starts[1], axis=2),
            )
        )
    if not parts:
        raise ValueError("a part of the pairwise scores needs at least one plane")
    return reduce(operator.add, parts)


def _chunks(task: PairTask) -> Iterator[range]:
    models_a, models_b = len(task.a.trials), len(task.right.trials)
    bytes_a_plane = max((models_a + models_b) * task.points, 4 * models_a * models_b)
    step = max(1, WORKING_BYTES // bytes_a_plane)
    for start in range(task.planes.start, task.planes.stop, step):
        yield range(start, min(start + step, task.planes.stop))


def _read(study: Study, block: Block, planes: range) -> NDArray[Any]:
    """Label maps of a block's trials, shape (M, P', N)."""
    maps = [read_label_maps(study, t, planes.start, planes.stop) for t in block.trials]
    return np.stack(maps).reshape(len(maps), len(planes), -1)
