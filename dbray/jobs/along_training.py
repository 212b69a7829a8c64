"""Score job: agreement at epochs before the end, to ``along_training.parquet``.

In studies whose trials stopped early, too: between seeds, and of models with their own end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dbray.claims.contrasts import SCORED_KIND
from dbray.config import AnyConfig, TrialConfig
from dbray.jobs.columns import interval_columns
from dbray.jobs.contrasts import Contrasts
from dbray.jobs.label_maps import agreements
from dbray.jobs.parts import write_parts
from dbray.scores.jackknife import SHARE, Parts, crossed, estimate, over_pairs
from dbray.store import CommittedTrial, Study
from dbray.store.scope import Scope
from dbray.store.score_schemas import ALONG_TRAINING, BETWEEN_SEEDS, OWN_END

Along = list[tuple[int, CommittedTrial]]  # (epoch, trial): one training, at several epochs
Item = tuple[str, list[Along]]


@dataclass(frozen=True)
class AlongTrainingJob:
    """Agreement by epoch; no rows in a study without trials that stopped early."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[Item]:
        """The trainings of each group that was looked at before its end, each with its epochs."""
        if SCORED_KIND not in self.scope.planes:
            return []
        early: dict[tuple[str, AnyConfig], Along] = {}
        for group, trial in self.scope.early:
            early.setdefault((group, _to_the_end(trial)), []).append((_epoch(trial), trial))
        found: dict[str, list[Along]] = {}
        for group, trials in self.scope.groups().items():
            for end in trials:
                before = early.get((group, end.config))
                if before:
                    along = sorted([*before, (_epoch(end), end)], key=lambda each: each[0])
                    found.setdefault(group, []).append(along)
        return list(found.items())

    def work(self, item: Item) -> pa.Table:
        """One row an epoch and measure."""
        group, trainings = item
        trials = [trial for along in trainings for _, trial in along]
        counts = np.concatenate(list(agreements(self.study, self.scope, trials)))  # (P, M, M)
        places = iter(range(len(trials)))
        at: list[dict[int, int]] = [{e: next(places) for e, _ in along} for along in trainings]
        about = {"group": group, "planes": len(counts)}
        rows = []
        for epoch in sorted({epoch for along in at for epoch in along}):
            there = [along for along in at if epoch in along]
            for measure, parts in self._at_epoch(counts, there, epoch, group):
                found = interval_columns("value", estimate(parts, bounds=SHARE))
                trained = {"epoch": epoch, "measure": measure, "trials": len(there)}
                rows.append({**about, **trained, **found})
        return pa.Table.from_pylist(rows, schema=ALONG_TRAINING)

    def write(self, results: Iterator[pa.Table], _: Contrasts) -> None:
        """Put the groups together."""
        write_parts(self.study, self.scope, "along_training", results)

    def _at_epoch(
        self, counts: NDArray[np.int32], there: list[dict[int, int]], epoch: int, group: str
    ) -> Iterator[tuple[str, Parts]]:
        points = self.scope.points
        now = [along[epoch] for along in there]
        if len(now) > 1:
            upper = np.triu(counts[:, now][:, :, now], 1)  # (P, S, S)
            pairs = len(now) * (len(now) - 1) / 2
            by_plane = upper.sum(axis=(1, 2)) / (pairs * points)
            parts = over_pairs(by_plane, upper.sum(axis=0), len(counts) * points, group)
            yield BETWEEN_SEEDS, parts
        before = [along for along in there if epoch < max(along)]
        if before:
            own = [counts[:, along[epoch], along[max(along)]] for along in before]
            yield OWN_END, crossed(np.stack(own) / points, group)


def _to_the_end(trial: CommittedTrial) -> AnyConfig:
    config = trial.config
    return replace(config, stop_epoch=None) if isinstance(config, TrialConfig) else config


def _epoch(trial: CommittedTrial) -> int:
    return trial.config.last_epoch if isinstance(trial.config, TrialConfig) else 0
