"""Score job: what each source of randomness does, to ``randomness.parquet``.

Trials of an architecture are compared in pairs by which of their seeds differ.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from dbray.claims.contrasts import SCORED_KIND
from dbray.claims.randomness import source_key
from dbray.jobs.columns import interval_columns
from dbray.jobs.contrasts import Contrasts
from dbray.jobs.designs import Trials, bases_of, designs_of, touched_bases, varied_trials
from dbray.jobs.label_maps import agreements
from dbray.scores.jackknife import SHARE, Parts, combined, estimate, ratio
from dbray.scores.randomness import ALL, ALONE, BASES, SHARED, Design, disagreement
from dbray.store import Study
from dbray.store.schemas import parquet_bytes
from dbray.store.scope import Scope
from dbray.store.score_schemas import RANDOMNESS


@dataclass(frozen=True)
class RandomnessJob:
    """Disagreement by what differs; no rows in a study that varies nothing alone."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[tuple[str, Trials]]:
        """The trials of each architecture."""
        return varied_trials(self.scope) if SCORED_KIND in self.scope.planes else []

    @cached_property
    def bases(self) -> int:
        """Seeds that each source takes, the fewest of any architecture."""
        return min((len(bases_of(trials)) for _, trials in self.items), default=0)

    def work(self, item: tuple[str, Trials]) -> pa.Table:
        """Disagreement of each design: on every plane, and without every base."""
        _, trials = item
        designs = designs_of(trials)
        by_pair = self._disagreements(trials, designs)
        rows = []
        for (how, source), pairs in designs.items():
            parts = disagreement(by_pair[how, source], touched_bases(trials, pairs))
            rows.append(
                {
                    "how": how,
                    "source": source,
                    "value": parts.value,
                    "by_plane": parts.by_plane.tolist(),
                    "without": parts.without[BASES].tolist(),
                }
            )
        return pa.Table.from_pylist(rows, schema=PARTS)

    def write(self, results: Iterator[pa.Table], contrasts: Contrasts) -> None:
        """Divide what a source does alone, and what it leaves, by what all do together."""
        rows: list[dict[str, Any]] = []
        for (name, trials), table in zip(self.items, results, strict=True):
            found = {(r["how"], r["source"]): _parts(r) for r in table.to_pylist()}
            together = found.get((ALL, ""))
            about = {
                "architecture": name,
                "bases": len(bases_of(trials)),
                "trials": len(trials),
                "planes": self.scope.planes[SCORED_KIND],
            }
            if together is None or not together.value:
                continue
            rows.append({**about, "source": "all", **_columns(together, None, None)})
            for source in dict.fromkeys(source for how, source in found if how == ALONE):
                alone, shared = found[ALONE, source], found.get((SHARED, source))
                more = combined([(1.0, alone), (-0.5, together)])
                contrasts.take(source_key(name, source), more)
                first = None if shared is None else _less_than_all(ratio(shared, together))
                columns = _columns(alone, ratio(alone, together), first)
                rows.append({**about, "source": source, **columns})
        table = pa.Table.from_pylist(rows, schema=self.scope.stamped(RANDOMNESS))
        self.study.write_bytes("scores/randomness.parquet", parquet_bytes(table))

    def _disagreements(self, trials: Trials, designs: dict[Design, Any]) -> dict[Design, Any]:
        """Share of points on which pairs disagree, shape (P, pairs), for each design."""
        found: dict[Design, list[Any]] = {design: [] for design in designs}
        for counts in agreements(self.study, self.scope, trials):
            for design, pairs in designs.items():
                agreeing = counts[:, pairs[:, 0], pairs[:, 1]]
                found[design].append(1 - agreeing / self.scope.points)
        return {design: np.concatenate(parts) for design, parts in found.items()}


PARTS = pa.schema(
    [
        ("how", pa.string()),
        ("source", pa.string()),
        ("value", pa.float64()),
        ("by_plane", pa.list_(pa.float64())),
        ("without", pa.list_(pa.float64())),
    ]
)


def _parts(row: dict[str, Any]) -> Parts:
    return Parts(row["value"], np.array(row["by_plane"]), {BASES: np.array(row["without"])})


def _less_than_all(share: Parts) -> Parts:
    """What would go away if a source were fixed: one less the share that stays."""
    without = {group: 1 - values for group, values in share.without.items()}
    return Parts(1 - share.value, 1 - share.by_plane, without)


def _columns(alone: Parts, total: Parts | None, first: Parts | None) -> dict[str, Any]:
    found = interval_columns("disagreement", estimate(alone, bounds=SHARE))
    for name, parts in (("total_share", total), ("first_order_share", first)):
        if parts is not None:
            found |= interval_columns(name, estimate(parts))
    return found
