"""Score job: committed predictions to ``fragmentation.parquet``, and its means by group."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dbray.jobs.scope import Scope
from dbray.plane_kinds import PlaneKind
from dbray.scores.fragmentation import count_classes, count_regions
from dbray.scores.intervals import crossed_interval
from dbray.store.label_maps import read_label_maps
from dbray.store.records import CommittedTrial
from dbray.store.schemas import FRAGMENTATION, FRAGMENTATION_BY_GROUP, parquet_bytes
from dbray.store.study import Study

TRIALS_A_TASK = 16

Item = tuple[str, list[CommittedTrial]]


@dataclass(frozen=True)
class FragmentationJob:
    """Decision regions on every plane for every trial; rows by group, trial, kind and plane."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[Item]:
        """Batches of trials of one group."""
        return [
            (group, trials[at : at + TRIALS_A_TASK])
            for group, trials in self.scope.groups().items()
            for at in range(0, len(trials), TRIALS_A_TASK)
        ]

    def work(self, item: Item) -> pa.Table:
        """Counts of a batch."""
        parts = [
            _count_trial(self.study, trial, kind, self.scope.plane_ids(kind))
            for trial in item[1]
            for kind in self.scope.planes
        ]
        return pa.concat_tables(parts)

    def write(self, results: Iterator[pa.Table]) -> None:
        """Put the batches together; one group's counts are held at a time."""
        buffer = io.BytesIO()
        schema = self.scope.stamped(FRAGMENTATION)
        by_group: list[dict[str, Any]] = []
        batches = zip(self.items, results, strict=True)
        groups = self.scope.groups()
        with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
            for group, parts in groupby(batches, key=lambda batch: batch[0][0]):
                counts = pa.concat_tables([table for _, table in parts])
                writer.write_table(counts.cast(writer.schema))
                by_group += [
                    self._mean(group, groups[group], kind, counts) for kind in self.scope.planes
                ]
        self.study.write_bytes("scores/fragmentation.parquet", buffer.getvalue())
        means = pa.Table.from_pylist(by_group, schema=self.scope.stamped(FRAGMENTATION_BY_GROUP))
        self.study.write_bytes("scores/fragmentation_by_group.parquet", parquet_bytes(means))

    def _mean(
        self, group: str, trials: list[CommittedTrial], kind: PlaneKind, counts: pa.Table
    ) -> dict[str, Any]:
        """One group's mean number of regions on one kind of planes."""
        planes = self.scope.plane_ids(kind)
        components = counts.filter(pc.equal(counts["kind"], kind))["components"].to_numpy()
        values = components.astype(np.float64).reshape(len(trials), len(planes))
        mean, low, high = crossed_interval(values, [t.trial_id for t in trials], planes)
        return {
            "group": group,
            "kind": kind,
            "components": mean,
            "components_low": low,
            "components_high": high,
            "trials": len(trials),
            "planes": len(planes),
        }


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
