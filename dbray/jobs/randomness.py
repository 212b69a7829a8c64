"""Score job: what each source of randomness does, to ``randomness.parquet``.

Trials of an architecture are compared in pairs by which of their seeds differ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from dbray.claims.contrasts import SCORED_KIND
from dbray.claims.randomness import BIT, MACHINE, VARIED, source_key
from dbray.config import TrialConfig, architecture_name
from dbray.jobs.columns import interval_columns
from dbray.jobs.contrasts import Contrasts
from dbray.scores.agreement import count_agreements
from dbray.scores.jackknife import SHARE, Parts, combined, estimate, ratio
from dbray.scores.randomness import ALL, ALONE, BASES, SHARED, Design, disagreement, pairs_by_design
from dbray.store import CommittedTrial, Study, read_label_maps
from dbray.store.schemas import parquet_bytes
from dbray.store.scope import Scope
from dbray.store.score_schemas import RANDOMNESS

PLANES_AT_ONCE = 16

Trials = Sequence[CommittedTrial]


@dataclass(frozen=True)
class RandomnessJob:
    """Disagreement by what differs; no rows in a study that varies nothing alone."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[tuple[str, Trials]]:
        """The trials of each architecture."""
        if self.scope.group_by != ("architecture", VARIED) or SCORED_KIND not in self.scope.planes:
            return []
        found: dict[str, list[CommittedTrial]] = {}
        for _, trial in sorted(self.scope.grouped_trials, key=lambda pair: pair[1].trial_id):
            if isinstance(trial.config, TrialConfig) and not trial.config.branch:
                name = architecture_name(trial.config.architecture, trial.config.width)
                found.setdefault(name, []).append(trial)
        return [(name, _of_one_kind(trials)) for name, trials in sorted(found.items())]

    @cached_property
    def bases(self) -> int:
        """Seeds that each source takes, the fewest of any architecture."""
        return min((len(_bases(trials)) for _, trials in self.items), default=0)

    def work(self, item: tuple[str, Trials]) -> pa.Table:
        """Disagreement of each design: on every plane, and without every base."""
        _, trials = item
        designs = pairs_by_design(*zip(*map(_seeds, trials), strict=True))
        by_pair = self._disagreements(trials, designs)
        bases = sorted(_bases(trials))
        touches = np.array([[base in _of(trial) for base in bases] for trial in trials])
        rows = []
        for (how, source), pairs in designs.items():
            touched = touches[pairs[:, 0]] | touches[pairs[:, 1]]
            parts = disagreement(by_pair[how, source], touched)
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
                "bases": len(_bases(trials)),
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
        ids = self.scope.plane_ids(SCORED_KIND)
        found: dict[Design, list[Any]] = {design: [] for design in designs}
        for start in range(ids.start, ids.stop, PLANES_AT_ONCE):
            stop = min(start + PLANES_AT_ONCE, ids.stop)
            maps = np.stack([read_label_maps(self.study, t, start, stop) for t in trials])
            flat = maps.reshape(len(trials), stop - start, -1)
            counts = count_agreements(flat, None, self.scope.classes).agreements
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


def _seeds(trial: CommittedTrial) -> tuple[dict[str, int], dict[str, int]]:
    """Seeds of a trial's sources, and what has no seed."""
    config = trial.config
    if not isinstance(config, TrialConfig):
        raise TypeError("a trial of another kind has no seeds")
    seeds = {str(source): seed for source, seed in config.seeds.items()}
    return seeds, {MACHINE: config.run, BIT: int(config.one_bit)}


def _of_one_kind(trials: Trials) -> Trials:
    """Trials with the most sources: those that draw a sample, where there are some."""
    most = max(len(_seeds(trial)[0]) for trial in trials)
    return [trial for trial in trials if len(_seeds(trial)[0]) == most]


def _of(trial: CommittedTrial) -> set[int]:
    """The bases that a trial has a seed of."""
    return set(trial.config.seeds.values()) if isinstance(trial.config, TrialConfig) else set()


def _bases(trials: Trials) -> set[int]:
    return set().union(*(_of(trial) for trial in trials))
