"""Score job: how close distilled students are to their teachers, to ``distillation.parquet``."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dbray.claims.contrasts import SCORED_KIND
from dbray.claims.distillation import Taught, Triple, seed_units, triples
from dbray.jobs.columns import interval_columns
from dbray.jobs.contrasts import Contrasts
from dbray.scores.jackknife import DIFFERENCE, SHARE, Float64, Parts, combined, estimate
from dbray.store import Study, read_label_maps
from dbray.store.schemas import parquet_bytes
from dbray.store.scope import Scope
from dbray.store.score_schemas import DISTILLATION

SEEDS = "seeds"  # name of what is left out in turn


@dataclass(frozen=True)
class DistillationJob:
    """Agreement of students with their teachers; no rows in a study without students."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[tuple[Taught, list[Triple]]]:
        """All seeds of each teacher, student and loss."""
        if SCORED_KIND not in self.scope.planes:
            return []
        return list(triples(trial for _, trial in self.scope.grouped_trials).items())

    @cached_property
    def units(self) -> list[set[str]]:
        """Trials that are left out together, one set a seed."""
        return seed_units(some for _, some in self.items)

    def work(self, item: tuple[Taught, list[Triple]]) -> pa.Table:
        """Share of points of each plane on which both students agree with the teacher."""
        ids = self.scope.plane_ids(SCORED_KIND)
        shares = np.array([self._agreements(triple, ids) for triple in item[1]])  # (S, 2, P)
        names = ("distilled", "from_labels")
        return pa.table({name: list(shares[:, place]) for place, name in enumerate(names)})

    def write(self, results: Iterator[pa.Table], contrasts: Contrasts) -> None:
        """Put the pairs of teacher and student together."""
        rows = []
        for (taught, some), table in zip(self.items, results, strict=True):
            touched = np.array(
                [[bool(t.ids & unit) for t in some] for unit in self.units]
            )  # (U, S)
            parts = {
                name: _by_unit(np.array(table[name].to_pylist()), touched)
                for name in ("distilled", "from_labels")
            }
            difference = combined([(1.0, parts["distilled"]), (-1.0, parts["from_labels"])])
            contrasts.take(taught.key, difference)
            rows.append(
                {
                    **taught._asdict(),
                    **interval_columns("distilled", estimate(parts["distilled"], bounds=SHARE)),
                    **interval_columns("from_labels", estimate(parts["from_labels"], bounds=SHARE)),
                    **interval_columns("difference", estimate(difference, bounds=DIFFERENCE)),
                    "students": len(some),
                    "planes": self.scope.planes[SCORED_KIND],
                }
            )
        table = pa.Table.from_pylist(rows, schema=self.scope.stamped(DISTILLATION))
        self.study.write_bytes("scores/distillation.parquet", parquet_bytes(table))

    def _agreements(self, triple: Triple, ids: range) -> Float64:
        """Share of points on which each student agrees with the teacher, shape (2, P)."""
        trials = (triple.teacher, triple.distilled, triple.from_labels)
        teacher, *students = (read_label_maps(self.study, t, ids.start, ids.stop) for t in trials)
        return np.array([(student == teacher).mean(axis=(1, 2)) for student in students])


def _by_unit(shares: Float64, touched: NDArray[np.bool_]) -> Parts:
    """Mean of shares (S, P), and without the rows that each unit touches (U, S)."""
    without = np.full(len(touched), np.nan)
    whole = False
    for unit, rows in enumerate(touched):
        if rows.any():
            whole |= bool(rows.all())
            without[unit] = np.nan if rows.all() else shares[~rows].mean()
    known = np.empty(0) if whole else without
    return Parts(float(shares.mean()), shares.mean(axis=0), {SEEDS: known})
