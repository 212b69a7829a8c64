"""Ray Data job: committed predictions to ``fragmentation.parquet``, a batch of trials a task."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dbray.jobs.scope import Scope
from dbray.plane_kinds import PlaneKind
from dbray.scores.fragmentation import count_classes, count_regions
from dbray.store.label_maps import read_label_maps
from dbray.store.schemas import FRAGMENTATION
from dbray.store.study import CommittedTrial, Study

TRIALS_A_TASK = 16


@dataclass(frozen=True)
class FragmentationJob:
    """Decision regions on every plane for every trial; rows by trial, kind and plane."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[list[CommittedTrial]]:
        """Batches of trials, by id."""
        trials = sorted((trial for _, trial in self.scope.grouped_trials), key=lambda t: t.trial_id)
        return [trials[at : at + TRIALS_A_TASK] for at in range(0, len(trials), TRIALS_A_TASK)]

    def work(self, item: list[CommittedTrial]) -> pa.Table:
        """Counts of a batch."""
        parts = [
            _count_trial(self.study, trial, kind, self.scope.plane_ids(kind))
            for trial in item
            for kind in self.scope.planes
        ]
        return pa.concat_tables(parts)

    def write(self, results: Iterator[pa.Table]) -> None:
        """Put the batches together."""
        buffer = io.BytesIO()
        schema = self.scope.stamped(FRAGMENTATION)
        with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
            for table in results:
                writer.write_table(table.cast(writer.schema))
        self.study.write_bytes("scores/fragmentation.parquet", buffer.getvalue())


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
