"""Score job: trials' lines to ``lines.parquet`` (means a trial) and ``lines_by_group.parquet``."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dbray.jobs.columns import interval_columns
from dbray.jobs.contrasts import Contrasts
from dbray.scores.jackknife import COUNT, crossed, estimate
from dbray.store import CommittedTrial, Study
from dbray.store.schemas import parquet_bytes
from dbray.store.scope import Scope
from dbray.store.score_schemas import LINE_MEANS, LINES_BY_GROUP

TRIALS_A_TASK = 16

Item = tuple[str, list[CommittedTrial]]


@dataclass(frozen=True)
class LinesJob:
    """Margins and class skips by kind of images; tables without rows where there are no lines."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[Item]:
        """Batches of trials of one group."""
        if not self.scope.line_images:
            return []
        return [
            (group, trials[at : at + TRIALS_A_TASK])
            for group, trials in self.scope.groups().items()
            for at in range(0, len(trials), TRIALS_A_TASK)
        ]

    def work(self, item: Item) -> pa.Table:
        """Means over each image's lines."""
        frames = [_image_means(self.study, trial) for trial in item[1]]
        return pa.Table.from_pandas(pd.concat(frames), preserve_index=False)

    def write(self, results: Iterator[pa.Table], _: Contrasts) -> None:
        """Put the batches together; one group's images are held at a time."""
        by_trial: list[dict[str, Any]] = []
        by_group: list[dict[str, Any]] = []
        batches = zip(self.items, results, strict=True)
        for group, parts in groupby(batches, key=lambda batch: batch[0][0]):
            means = pd.concat([table.to_pandas() for _, table in parts])
            for kind, of_kind in means.groupby("kind", sort=False):
                by_trial += _trial_rows(str(kind), of_kind)
                by_group.append(self._group_row(group, str(kind), of_kind))
        for name, rows, schema in (
            ("lines", by_trial, LINE_MEANS),
            ("lines_by_group", by_group, LINES_BY_GROUP),
        ):
            table = pa.Table.from_pylist(rows, schema=self.scope.stamped(schema))
            self.study.write_bytes(f"scores/{name}.parquet", parquet_bytes(table))

    def _group_row(self, group: str, kind: str, means: pd.DataFrame) -> dict[str, Any]:
        """Means over images and trials, on the images that all the trials have."""
        trials = means.trial_id.unique().tolist()
        shared = means.groupby("image_id", sort=False).trial_id.nunique() == len(trials)
        images = shared[shared].index[: self.scope.line_images].tolist()
        kept = means[means.image_id.isin(images)]
        row: dict[str, Any] = {"group": group, "kind": kind}
        for name in ("margin", "skips"):
            table = kept.pivot_table(index="trial_id", columns="image_id", values=name)
            values = table.loc[trials, images].to_numpy(np.float64)  # (S, I)
            row |= interval_columns(name, estimate(crossed(values, group), bounds=COUNT))
        counts = {"trials": len(trials), "images": len(images), "lines": int(kept.lines.sum())}
        return row | counts | {"censored": float(kept.censored.mean())}


def _image_means(study: Study, trial: CommittedTrial) -> pd.DataFrame:
    """Rows by kind and image: ``margin``, ``skips``, ``censored`` as means, ``lines`` as count."""
    name = next(name for name in trial.files if name.startswith("lines"))
    lines: pd.DataFrame = pq.read_table(io.BytesIO(study.read_file(trial, name))).to_pandas()
    by_image = lines.groupby(["kind", "image_id"], sort=False)
    means = by_image[["margin", "skips", "censored"]].mean().assign(lines=by_image.size())
    return means.reset_index().assign(trial_id=trial.trial_id)


def _trial_rows(kind: str, means: pd.DataFrame) -> list[dict[str, Any]]:
    by_trial = means.groupby("trial_id", sort=False)
    rows = by_trial[["margin", "skips", "censored"]].mean()
    rows = rows.assign(kind=kind, images=by_trial.size(), lines=by_trial.lines.sum())
    rows = rows.reset_index()
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
