"""Score job: how far trainings end from those that they part from, to ``branches.parquet``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from dbray.claims.branches import branch_key
from dbray.claims.contrasts import SCORED_KIND
from dbray.config import TrialConfig, architecture_name
from dbray.jobs.columns import interval_columns
from dbray.jobs.contrasts import Contrasts
from dbray.scores.jackknife import SHARE, Parts, estimate, over_trials
from dbray.scores.randomness import BASES, disagreement
from dbray.store import CommittedTrial, Study, read_label_maps
from dbray.store.schemas import parquet_bytes
from dbray.store.scope import Scope
from dbray.store.score_schemas import BRANCHES

PLANES_AT_ONCE = 64
Pair = tuple[CommittedTrial, CommittedTrial]  # a trunk, and what parts from it
Place = tuple[str, str, int]  # architecture, what changes, after which epoch


@dataclass(frozen=True)
class BranchesJob:
    """Branches against their own trunks' ends; no rows in a study without branches."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[tuple[Place, list[Pair]]]:
        """Pairs that part in one way after one epoch, those of one base after another."""
        if SCORED_KIND not in self.scope.planes:
            return []
        trials = [trial for _, trial in self.scope.grouped_trials]
        by_id = {trial.trial_id: trial for trial in trials}
        found: dict[Place, list[Pair]] = {}
        for trial in trials:
            config = trial.config
            if not isinstance(config, TrialConfig) or not config.branch:
                continue
            trunk = by_id.get(replace(config, branch=None).trial_id)
            if trunk and config.branch.what:
                name = architecture_name(config.architecture, config.width)
                place = (name, config.branch.what, config.branch.epoch)
                found.setdefault(place, []).append((trunk, trial))
        return [
            (place, sorted(pairs, key=lambda pair: pair[0].trial_id))
            for place, pairs in sorted(found.items())
        ]

    def work(self, item: tuple[Place, list[Pair]]) -> pa.Table:
        """Share of points on which each pair disagrees, one row a plane."""
        ids = self.scope.plane_ids(SCORED_KIND)
        found = [self._disagreement(pair, ids) for pair in item[1]]
        return pa.table({"by_pair": np.stack(found, axis=1).tolist()}, schema=BY_PAIR)

    def write(self, results: Iterator[pa.Table], contrasts: Contrasts) -> None:
        """Average over pairs, with the bases as the units, one row a place."""
        places = {place[:2] for place, _ in self.items}
        bases = {of: self._bases(of) for of in places}
        rows: list[dict[str, Any]] = []
        for (place, pairs), table in zip(self.items, results, strict=True):
            by_pair = np.array(table["by_pair"].to_pylist(), np.float64)
            trunks = [trunk.trial_id for trunk, _ in pairs]
            touched = np.array([[t == base for base in bases[place[:2]]] for t in trunks])
            parts = disagreement(by_pair, touched)
            contrasts.take(branch_key(*place), parts)
            name, what, epoch = place
            rows.append(
                {
                    "architecture": name,
                    "what": what,
                    "branch_epoch": epoch,
                    **self._barriers(pairs),
                    **interval_columns("disagreement", estimate(parts, bounds=SHARE)),
                    "bases": len(pairs),
                    "planes": self.scope.planes[SCORED_KIND],
                }
            )
        table = pa.Table.from_pylist(rows, schema=self.scope.stamped(BRANCHES))
        self.study.write_bytes("scores/branches.parquet", parquet_bytes(table))

    def _bases(self, of: tuple[str, str]) -> list[str]:
        """Ids of the trunks of an architecture and of what changes, in order."""
        of_all = [pairs for place, pairs in self.items if place[:2] == of]
        return sorted({trunk.trial_id for pairs in of_all for trunk, _ in pairs})

    def _disagreement(self, pair: Pair, ids: range) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Of one pair on every plane, shape (P,)."""
        found = []
        for start in range(ids.start, ids.stop, PLANES_AT_ONCE):
            stop = min(start + PLANES_AT_ONCE, ids.stop)
            one, other = (read_label_maps(self.study, trial, start, stop) for trial in pair)
            found.append((one != other).reshape(stop - start, -1).mean(axis=1))
        return np.concatenate(found)

    def _barriers(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """Mean barriers, before and after matching; empty where none was measured."""
        columns: dict[str, Any] = {}
        for name in ("barrier", "barrier_matched"):
            values = [branch.metrics.get(name) for _, branch in pairs]
            if all(value is not None for value in values):
                parts: Parts = over_trials(np.array(values, np.float64), BASES)
                columns |= interval_columns(name, estimate(parts))
        return columns


BY_PAIR = pa.schema([("by_pair", pa.list_(pa.float64()))])
