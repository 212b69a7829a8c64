"""Score job: margins and class skips of groups of trials, to ``lines_by_group.parquet``."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dbray.jobs.scope import Scope
from dbray.scores.intervals import crossed_interval
from dbray.store.records import CommittedTrial
from dbray.store.schemas import LINES_BY_GROUP, parquet_bytes
from dbray.store.study import Study

Item = tuple[str, list[CommittedTrial]]


@dataclass(frozen=True)
class LinesJob:
    """Mean margin and class skips of each group, by kind of images; no rows without lines."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[Item]:
        """The trials of each group."""
        return list(self.scope.groups().items()) if self.scope.line_images else []

    def work(self, item: Item) -> pa.Table:
        """Rows of one group."""
        group, trials = item
        frames = [read_lines(self.study, trial) for trial in trials]
        rows = []
        for kind in frames[0].kind.unique():
            of_kind = [frame[frame.kind == kind] for frame in frames]
            if all(len(frame) for frame in of_kind):
                rows.append(self._row(group, str(kind), trials, of_kind))
        return pa.Table.from_pylist(rows, schema=LINES_BY_GROUP)

    def write(self, results: Iterator[pa.Table]) -> None:
        """Put the groups together."""
        table = pa.concat_tables([LINES_BY_GROUP.empty_table(), *results])
        table = table.cast(self.scope.stamped(LINES_BY_GROUP))
        self.study.write_bytes("scores/lines_by_group.parquet", parquet_bytes(table))

    def _row(
        self,
        group: str,
        kind: str,
        trials: Sequence[CommittedTrial],
        frames: Sequence[pd.DataFrame],
    ) -> dict[str, Any]:
        """Means over an image's lines first, then over images and trials."""
        fewest = min(frames, key=len)
        images = fewest.image_id.unique()[: self.scope.line_images]
        kept = [frame[frame.image_id.isin(images)] for frame in frames]
        ids = [trial.trial_id for trial in trials]
        row: dict[str, Any] = {"group": group, "kind": kind}
        for name in ("margin", "skips"):
            by_image = [frame.groupby("image_id", sort=False)[name].mean() for frame in kept]
            values = np.array([mean.loc[images] for mean in by_image], np.float64)  # (S, I)
            mean, low, high = crossed_interval(values, ids, images.tolist())
            row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
        return row | {
            "censored": float(np.mean([frame.censored.mean() for frame in kept])),
            "trials": len(trials),
            "images": len(images),
            "lines": len(kept[0]),
        }


def read_lines(study: Study, trial: CommittedTrial) -> pd.DataFrame:
    """A trial's lines, as its file ``lines*.parquet`` has them."""
    name = next(name for name in trial.files if name.startswith("lines"))
    frame: pd.DataFrame = pq.read_table(io.BytesIO(study.read_file(trial, name))).to_pandas()
    return frame
