"""Score job: what ensembles of a group's models buy on the test images, to ``ensembles.parquet``.

Only of groups whose models share nothing with each other: where two of them have a seed in common
and a third has not, two ensembles are not what two of new models would be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from dbray.config import CheckpointConfig
from dbray.jobs.answers import Group, answered_groups, read_probabilities
from dbray.jobs.columns import interval_columns
from dbray.jobs.contrasts import Contrasts
from dbray.jobs.parts import write_parts
from dbray.scores.ensembles import EnsembleCounts
from dbray.scores.jackknife import DIFFERENCE, SHARE, Parts, combined, estimate
from dbray.sources import share_nothing
from dbray.store import Study
from dbray.store.scope import Scope
from dbray.store.score_schemas import ENSEMBLES

SIZES = (1, 2, 4)
MOST_MODELS = 64  # of a group, the first by id: their files are open at a time
WORKING_BYTES = 128 * 2**20  # of their probabilities


@dataclass(frozen=True)
class EnsemblesJob:
    """Accuracy and churn by the number of models that decide together."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[Group]:
        """The groups."""
        return [item for item in answered_groups(self.scope) if _apart(item)]

    def work(self, item: Group) -> pa.Table:
        """One row a size and measure, as far as there are models enough."""
        group, trials = item[0], item[1][:MOST_MODELS]
        counts = [EnsembleCounts(len(trials), size) for size in SIZES if size <= len(trials)]
        images = 0
        answers = read_probabilities(self.study, trials, self.scope.classes, WORKING_BYTES)
        for probabilities, labels in answers:
            images += len(labels)
            for each in counts:
                each.add(probabilities, labels)
        about = {"group": group, "models": len(trials), "images": images}
        rows = [about | row for row in _rows(counts, group)]
        return pa.Table.from_pylist(rows, schema=ENSEMBLES)

    def write(self, results: Iterator[pa.Table], _: Contrasts) -> None:
        """Put the groups together."""
        write_parts(self.study, self.scope, "ensembles", results)


def _apart(item: Group) -> bool:
    """Whether no two models of a group have more in common than all of them."""
    configs = (trial.config for trial in item[1])
    return share_nothing([c.seeds for c in configs if not isinstance(c, CheckpointConfig)])


def _rows(counts: list[EnsembleCounts], group: str) -> Iterator[dict[str, Any]]:
    """Accuracy and churn of each size, and by how much they are better than a single model's."""
    for name, gain, sign in (("accuracy", "accuracy_gain", 1), ("churn", "churn_drop", -1)):
        found = {each.size: getattr(each, name)(group) for each in counts}
        for size, parts in found.items():
            if parts is not None:
                yield _row(size, name, parts, SHARE)
            if parts is not None and size > 1:
                yield _row(size, gain, combined([(sign, parts), (-sign, found[1])]), DIFFERENCE)


def _row(size: int, measure: str, parts: Parts, bounds: tuple[float, float]) -> dict[str, Any]:
    found = interval_columns("value", estimate(parts, bounds=bounds))
    return {"size": size, "measure": measure, **found}
