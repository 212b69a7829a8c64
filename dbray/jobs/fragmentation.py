"""Score job: committed predictions to ``fragmentation.parquet``, and its means by group."""

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dbray.claims import Key
from dbray.jobs.columns import interval_columns
from dbray.jobs.contrasts import Contrasts
from dbray.planes import PlaneKind
from dbray.scores.fragmentation import count_classes, count_regions
from dbray.scores.jackknife import COUNT, crossed, estimate
from dbray.store import CommittedTrial, Study, read_label_maps
from dbray.store.schemas import parquet_bytes
from dbray.store.scope import Scope
from dbray.store.score_schemas import FRAGMENTATION, FRAGMENTATION_BY_GROUP

TRIALS_A_TASK = 16  # at least
MOST_TASKS = 256  # each costs some 30 ms, whatever it does

Item = list[tuple[str, CommittedTrial]]  # with their groups


@dataclass(frozen=True)
class FragmentationJob:
    """Decision regions on every plane for every trial; rows by group, trial, kind and plane."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[Item]:
        """Batches of trials, group after group."""
        trials = [(group, t) for group, of_group in self.scope.groups().items() for t in of_group]
        size = max(TRIALS_A_TASK, math.ceil(len(trials) / MOST_TASKS))
        return [trials[at : at + size] for at in range(0, len(trials), size)]

    def work(self, item: Item) -> pa.Table:
        """Counts of a batch."""
        parts = [
            _count_trial(self.study, trial, kind, self.scope.plane_ids(kind))
            for _, trial in item
            for kind in self.scope.planes
        ]
        return pa.concat_tables(parts)

    def write(self, results: Iterator[pa.Table], contrasts: Contrasts) -> None:
        """Put the batches together; one group's counts are held at a time."""
        by_group: list[dict[str, Any]] = []
        groups = self.scope.groups()
        schema = self.scope.stamped(FRAGMENTATION)
        with self.study.new_table("scores/fragmentation.parquet", schema) as writer:
            parts = self._parts(results, writer)
            for group, of_group in groupby(parts, key=operator.itemgetter(0)):
                counts = pa.concat_tables([table for _, table in of_group])
                by_group += [
                    self._mean(group, len(groups[group]), kind, counts, contrasts)
                    for kind in self.scope.planes
                ]
        means = pa.Table.from_pylist(by_group, schema=self.scope.stamped(FRAGMENTATION_BY_GROUP))
        self.study.write_bytes("scores/fragmentation_by_group.parquet", parquet_bytes(means))

    def _parts(
        self, results: Iterator[pa.Table], writer: pq.ParquetWriter
    ) -> Iterator[tuple[str, pa.Table]]:
        """Each trial's group and counts, of batches that are written as they come."""
        for item, table in zip(self.items, results, strict=True):
            writer.write_table(table.cast(writer.schema))
            rows = len(table) // len(item)
            for number, (group, _) in enumerate(item):
                yield group, table.slice(number * rows, rows)

    def _mean(
        self, group: str, trials: int, kind: PlaneKind, counts: pa.Table, contrasts: Contrasts
    ) -> dict[str, Any]:
        """One group's mean number of regions on one kind of planes."""
        planes = self.scope.planes[kind]
        components = counts.filter(pc.equal(counts["kind"], kind))["components"].to_numpy()
        parts = crossed(components.astype(np.float64).reshape(trials, planes), group)
        contrasts.take(Key("fragmentation", kind, group, group), parts)
        found = interval_columns("components", estimate(parts, bounds=COUNT))
        return {"group": group, "kind": kind, **found, "trials": trials, "planes": planes}


def _count_trial(study: Study, trial: CommittedTrial, kind: PlaneKind, ids: range) -> pa.Table:
    maps = read_label_maps(study, trial, ids.start, ids.stop)
    return pa.Table.from_pydict(
        {
            "trial_id": [trial.trial_id] * len(ids),
            "kind": [kind] * len(ids),
            "plane_id": np.array(ids),
            "components": count_regions(maps),
            "classes_present": count_classes(maps),
        },
        schema=FRAGMENTATION,
    )
