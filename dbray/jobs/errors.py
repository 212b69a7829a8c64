"""Score job: test error against disagreement, to ``errors.parquet``.

Over pairs of trials of one architecture that share no seed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dbray.claims.randomness import TOGETHER, error_keys
from dbray.jobs.answers import FILE, read_named
from dbray.jobs.columns import interval_columns
from dbray.jobs.contrasts import Contrasts
from dbray.jobs.designs import Trials, bases_of, designs_of, touched_bases, varied_trials
from dbray.scores.errors import Errors, errors_of_pairs, line
from dbray.scores.jackknife import SHARE, estimate
from dbray.scores.randomness import ALL
from dbray.store import Study
from dbray.store.schemas import parquet_bytes
from dbray.store.scope import Scope
from dbray.store.score_schemas import ERRORS

Item = tuple[str, Trials, NDArray[np.int64]]


@dataclass(frozen=True)
class ErrorsJob:
    """Error and disagreement on the test images, and the line through the pairs."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[Item]:
        """The trials of each architecture that have answers, and the pairs that share nothing."""
        answered = [
            (name, [trial for trial in trials if FILE in trial.files])
            for name, trials in varied_trials(self.scope)
        ]
        found = [(name, trials, designs_of(trials)) for name, trials in answered if trials]
        return [(n, trials, pairs[ALL, ""]) for n, trials, pairs in found if (ALL, "") in pairs]

    def work(self, item: Item) -> pa.Table:
        """Errors and disagreement of the pairs, and on the images."""
        _, trials, pairs = item
        named = read_named(self.study, trials)
        found = errors_of_pairs(named.predicted, named.labels, pairs)
        return pa.table({name: [getattr(found, name)] for name in PARTS.names}, schema=PARTS)

    def write(self, results: Iterator[pa.Table], contrasts: Contrasts) -> None:
        """Means, and lines, with their intervals."""
        found = [_errors(table) for table in results]
        touched = [touched_bases(trials, pairs) for _, trials, pairs in self.items]
        rows: list[dict[str, Any]] = []
        for (name, trials, _), errors, bases in zip(self.items, found, touched, strict=True):
            both = errors.parts(bases)
            for key, parts in zip(error_keys(name), both, strict=True):
                contrasts.take(key, parts)
            columns: dict[str, Any] = {}
            for column, parts in zip(("error", "disagreement"), both, strict=True):
                columns |= interval_columns(column, estimate(parts, bounds=SHARE))
            about = {"architecture": name, "bases": len(bases_of(trials))}
            rows.append({**about, **columns, **_of_line([errors], bases)})
        if len({bases.shape[1] for bases in touched}) == 1 < len(found):
            about = {"architecture": TOGETHER, "bases": touched[0].shape[1]}
            rows.append({**about, **_of_line(found, np.concatenate(touched))})
        table = pa.Table.from_pylist(rows, schema=self.scope.stamped(ERRORS))
        self.study.write_bytes("scores/errors.parquet", parquet_bytes(table))


PARTS = pa.schema(
    [(name, pa.list_(pa.float64())) for name in ("error", "apart", "error_on", "apart_on")]
)


def _errors(table: pa.Table) -> Errors:
    return Errors(**{name: np.array(values) for name, values in table.to_pylist()[0].items()})


def _of_line(found: Sequence[Errors], touched: NDArray[np.bool_]) -> dict[str, Any]:
    """Number of pairs, and the line through them."""
    error, apart = (np.concatenate([getattr(e, name) for e in found]) for name in PARTS.names[:2])
    columns: dict[str, Any] = {"pairs": len(error), "images": len(found[0].error_on)}
    fitted = line(error, apart, touched)
    for name, parts in zip(("slope", "intercept"), fitted or (), strict=False):
        columns |= interval_columns(name, estimate(parts))
    return columns
