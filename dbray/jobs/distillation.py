"""Score job: how close distilled students are to their teachers, to ``distillation.parquet``.

A student is compared with its own teacher, and with it the same student (architecture, recipe,
seeds) trained on labels: three trials that belong together.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dbray.config import TrialConfig
from dbray.scores.intervals import LEVEL, plane_weights, trial_weights
from dbray.store import CommittedTrial, Study, read_label_maps
from dbray.store.schemas import DISTILLATION, parquet_bytes
from dbray.store.scope import Scope

KIND = "test"  # of the planes
Float64 = NDArray[np.float64]
Key = tuple[str, str, str, float]  # teacher's and student's name, loss, temperature


@dataclass(frozen=True)
class Triple:
    """Trials that belong together."""

    teacher: CommittedTrial
    distilled: CommittedTrial
    from_labels: CommittedTrial


@dataclass(frozen=True)
class DistillationJob:
    """Agreement of students with their teachers; no rows in a study without students."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[tuple[Key, list[Triple]]]:
        """All seeds of each teacher, student and loss."""
        if KIND not in self.scope.planes:
            return []
        trials = {trial.trial_id: trial for _, trial in self.scope.grouped_trials}
        found: dict[Key, list[Triple]] = {}
        for trial in trials.values():
            config = trial.config
            if not isinstance(config, TrialConfig) or not config.distillation:
                continue
            twin = replace(config, distillation=None)
            teacher = trials.get(config.distillation.teacher)
            from_labels = trials.get(twin.trial_id)
            if teacher and from_labels:
                taught = config.distillation
                key = (taught.teacher_architecture, twin.name, taught.loss, taught.temperature)
                found.setdefault(key, []).append(Triple(teacher, trial, from_labels))
        return sorted(found.items(), key=lambda item: item[0])

    def work(self, item: tuple[Key, list[Triple]]) -> pa.Table:
        """One row."""
        names, triples = item
        triples = sorted(triples, key=lambda t: t.distilled.trial_id)
        ids = self.scope.plane_ids("test")
        agreements = np.array([self._agreements(triple, ids) for triple in triples])  # (S, 2, P)
        row = dict(zip(("teacher", "student", "loss", "temperature"), names, strict=True)) | {
            "students": len(triples),
            "planes": len(ids),
        }
        planes = plane_weights(np.array(ids, np.int32))  # (B, P)
        seeds = trial_weights([t.distilled.trial_id for t in triples])  # (B, S)
        weights = planes.sum(axis=1) * seeds.sum(axis=1)
        replicates = np.einsum("scp,bp,bs->bc", agreements, planes, seeds, optimize=True)
        replicates /= weights[:, None]
        distilled, labels = agreements.mean(axis=(0, 2))
        row |= _with_interval("distilled", distilled, replicates[:, 0])
        row |= _with_interval("from_labels", labels, replicates[:, 1])
        row |= _with_interval("difference", distilled - labels, replicates[:, 0] - replicates[:, 1])
        return pa.Table.from_pylist([row], schema=DISTILLATION)

    def write(self, results: Iterator[pa.Table]) -> None:
        """Put the rows together."""
        table = pa.concat_tables([DISTILLATION.empty_table(), *results])
        table = table.cast(self.scope.stamped(DISTILLATION))
        self.study.write_bytes("scores/distillation.parquet", parquet_bytes(table))

    def _agreements(self, triple: Triple, ids: range) -> Float64:
        """Share of points on which each student agrees with the teacher, shape (2, P)."""
        trials = (triple.teacher, triple.distilled, triple.from_labels)
        teacher, *students = (read_label_maps(self.study, t, ids.start, ids.stop) for t in trials)
        return np.array([(student == teacher).mean(axis=(1, 2)) for student in students])


def _with_interval(name: str, value: float, replicates: Float64) -> dict[str, Any]:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return {name: value, f"{name}_low": low, f"{name}_high": high}
