"""Ray Data job: committed predictions to ``agreement.parquet`` and ``agreement_by_group.parquet``.

The pairs are cut into blocks of trials and, where blocks alone would leave cores idle, into
ranges of planes. Every part reads just the label maps it needs and returns sums of integers; no
step holds the label maps of all trials, and how the work is cut does not change one bit.
"""

import math
import operator
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, reduce
from itertools import combinations, groupby
from typing import Any

import numpy as np
import pyarrow as pa

from dbray.claims import Key
from dbray.jobs.columns import interval_columns
from dbray.jobs.contrasts import Contrasts
from dbray.jobs.pairs import (
    Block,
    GroupPair,
    PairSums,
    PairTask,
    blocks_of,
    group_pairs,
    sum_pairs,
)
from dbray.scores.agreement import cohens_kappa, mean_jaccard
from dbray.scores.intervals import Estimate
from dbray.scores.jackknife import (
    SHARE,
    Parts,
    across_pairs,
    estimate,
    estimates_across,
    over_pairs,
)
from dbray.store import Study
from dbray.store.scope import Scope
from dbray.store.score_schemas import AGREEMENT, AGREEMENT_BY_GROUP

PAIR_POINTS_A_TASK = 2e10  # pairs x planes x points: a second or so; less is not worth a task


@dataclass(frozen=True)
class AgreementJob:
    """Agreement of every pair of trials, and of every pair of groups, on each kind of planes."""

    study: Study
    scope: Scope  # which trials, in which groups, on how many planes of each kind

    @cached_property
    def items(self) -> list[PairTask]:
        """Two blocks of trials on a range of planes each."""
        scope = self.scope
        return [task for kind in scope.planes for task in _tasks(scope, scope.plane_ids(kind))]

    def work(self, item: PairTask) -> pa.Table:
        """Sums over one part."""
        return _to_table(sum_pairs(self.study, item))

    def write(self, results: Iterator[pa.Table], contrasts: Contrasts) -> None:
        """Add the parts up."""
        new_table, stamped = self.study.new_table, self.scope.stamped
        with (
            new_table("scores/agreement.parquet", stamped(AGREEMENT)) as by_pair,
            new_table("scores/agreement_by_group.parquet", stamped(AGREEMENT_BY_GROUP)) as by_group,
        ):
            for task, sums in _added_up(self.items, results):
                kind = self.scope.kind_of(task.planes)
                pairs, groups = _finish(task, sums, kind, contrasts)
                by_pair.write_table(pairs.cast(by_pair.schema))
                by_group.write_table(pa.Table.from_pylist(groups, schema=by_group.schema))


def _tasks(scope: Scope, kind_planes: range) -> Iterator[PairTask]:
    blocks = blocks_of(scope.grouped_trials, scope.classes)
    sides: list[tuple[Block, Block | None]] = [(block, None) for block in blocks]
    if not scope.within_groups:  # no group is in two blocks
        sides += list(combinations(blocks, 2))
    for a, b in sides:
        pairs = len(a.trials) * (len(a.trials) / 2 if b is None else len(b.trials))
        work = pairs * len(kind_planes) * scope.points
        parts = min(len(kind_planes), math.ceil(work / PAIR_POINTS_A_TASK))
        step = math.ceil(len(kind_planes) / parts)
        for start in range(kind_planes.start, kind_planes.stop, step):
            planes = range(start, min(start + step, kind_planes.stop))
            about = (scope.classes, scope.points, scope.within_groups)
            yield PairTask(a, b, kind_planes, planes, *about)


def _added_up(
    tasks: Sequence[PairTask], tables: Iterator[pa.Table]
) -> Iterator[tuple[PairTask, PairSums]]:
    """Each two blocks' task (of their first range of planes) with the sums over all ranges."""
    results = zip(tasks, map(_from_table, tables), strict=True)
    for _, group in groupby(results, key=lambda r: (r[0].a.ids, r[0].right.ids, r[0].kind_planes)):
        parts = list(group)
        yield parts[0][0], reduce(operator.add, (sums for _, sums in parts))


def _finish(
    task: PairTask, sums: PairSums, kind: str, contrasts: Contrasts
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Rows of both tables for the pairs of two blocks."""
    shape = sums.agreements.shape
    rows, columns = np.triu_indices(shape[0], 1) if task.b is None else np.indices(shape)
    rows, columns = rows.ravel(), columns.ravel()
    if task.within_groups:
        groups_a, groups_b = np.array(task.a.groups), np.array(task.right.groups)
        same = groups_a[rows] == groups_b[columns]
        rows, columns = rows[same], columns[same]
    agreements = sums.agreements[rows, columns]
    points = len(task.kind_planes) * task.points
    histograms = sums.histogram_a[rows], sums.histogram_b[columns]
    kappa, jaccard = np.zeros(shape), np.zeros(shape)
    kappa[rows, columns] = cohens_kappa(agreements, *histograms)
    jaccard[rows, columns] = mean_jaccard(sums.overlaps[rows, columns], *histograms)
    pairs = pa.Table.from_pydict(
        {
            "trial_a": np.array(task.a.ids)[rows],
            "trial_b": np.array(task.right.ids)[columns],
            "kind": [kind] * len(rows),
            "planes": np.full(len(rows), len(task.kind_planes)),
            "points": np.full(len(rows), points),
            "agreements": agreements,
            "agreement": agreements / points,
            "kappa": kappa[rows, columns],
            "jaccard": jaccard[rows, columns],
        },
        schema=AGREEMENT,
    )
    groups = []
    both_groups = list(group_pairs(task))
    for both, found in zip(both_groups, _estimates(task, sums, both_groups), strict=True):
        key = Key("agreement", kind, *both.names)
        if contrasts.wants(key):
            contrasts.take(key, _parts(task, sums, both))
        # Pairs that do not count hold zero in both matrices.
        means = {
            "kappa": float(kappa[both.members].sum()) / both.pairs,
            "jaccard": float(jaccard[both.members].sum()) / both.pairs,
        }
        groups.append(
            {
                "group_a": both.names[0],
                "group_b": both.names[1],
                "kind": kind,
                **interval_columns("agreement", found, alone=True),
                **means,
                "pairs": both.pairs,
                "planes": len(task.kind_planes),
            }
        )
    return pairs, groups


def _estimates(
    task: PairTask, sums: PairSums, both_groups: Sequence[GroupPair]
) -> Iterator[Estimate]:
    """Agreement of each two groups; those of the same numbers of trials are worked out at once."""
    alike: dict[tuple[int, int], list[GroupPair]] = defaultdict(list)
    for both in both_groups:
        if not both.is_within:
            alike[both.shape].append(both)
    across = {shape: iter(_across(task, sums, some)) for shape, some in alike.items()}
    for both in both_groups:
        if both.is_within:
            yield estimate(_parts(task, sums, both), bounds=SHARE)
        else:
            yield next(across[both.shape])


def _across(task: PairTask, sums: PairSums, alike: Sequence[GroupPair]) -> list[Estimate]:
    """Agreement of K pairs of different groups of S_a and S_b trials."""
    places = tuple(np.array([both.place for both in alike]).T)
    starts = np.array([[members.start for members in both.members] for both in alike])
    rows, columns = (starts[:, [side]] + np.arange(alike[0].shape[side]) for side in (0, 1))
    return estimates_across(
        sums.by_plane[:, *places].T / (alike[0].pairs * task.points),
        sums.agreements[rows[:, :, None], columns[:, None, :]],
        len(task.kind_planes) * task.points,
        bounds=SHARE,
    )


def _parts(task: PairTask, sums: PairSums, both: GroupPair) -> Parts:
    """The agreement of two groups, taken apart."""
    by_plane = sums.by_plane[:, *both.place] / (both.pairs * task.points)
    points = len(task.kind_planes) * task.points
    agreements = sums.agreements[both.members]
    if both.is_within:
        return over_pairs(by_plane, agreements, points, both.names[0])
    return across_pairs(by_plane, agreements, points, both.names)


SUMS = [field.name for field in fields(PairSums)]


def _to_table(sums: PairSums) -> pa.Table:
    """Sums as one row of a table: arrays in C order, their shapes beside them."""
    arrays = {name: getattr(sums, name) for name in SUMS}
    columns = {name: [array.tobytes()] for name, array in arrays.items()}
    shapes = {f"{name}_shape": [list(array.shape)] for name, array in arrays.items()}
    return pa.table({**columns, **shapes})


def _from_table(table: pa.Table) -> PairSums:
    row = table.to_pylist()[0]
    return PairSums(
        *(np.frombuffer(row[name], np.int64).reshape(row[f"{name}_shape"]) for name in SUMS)
    )
