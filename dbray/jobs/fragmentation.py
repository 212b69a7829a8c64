"""Ray Data job: committed predictions to ``fragmentation.parquet``, a batch of trials a task."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dbray.jobs.distributed import tables_in_order
from dbray.jobs.scope import Scope
from dbray.planes import PlaneKind
from dbray.scores.fragmentation import count_classes, count_regions
from dbray.store.label_maps import read_label_maps
from dbray.store.schemas import FRAGMENTATION
from dbray.store.study import CommittedTrial, Study

TRIALS_A_TASK = 16


def score_fragmentation(study: Study, scope: Scope) -> None:
    """Write the number of decision regions on every plane for every trial.

    Rows are ordered by trial, kind and plane.
    """
    trials = sorted((trial for _, trial in scope.grouped_trials), key=lambda t: t.trial_id)
    batches = [
        trials[start : start + TRIALS_A_TASK] for start in range(0, len(trials), TRIALS_A_TASK)
    ]
    plane_ids = {kind: scope.plane_ids(kind) for kind in scope.planes}

    def count(batch: list[CommittedTrial]) -> pa.Table:
        parts = [
            _count_trial(study, trial, kind, ids)
            for trial in batch
            for kind, ids in plane_ids.items()
        ]
        return pa.concat_tables(parts)

    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, scope.stamped(FRAGMENTATION), compression="zstd") as writer:
        for table in tables_in_order(batches, count):
            writer.write_table(table.cast(writer.schema))
    study.write_bytes("scores/fragmentation.parquet", buffer.getvalue())


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
