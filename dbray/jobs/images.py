"""Score job: what the models of each group call every test image, to ``images.parquet``."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from dbray.jobs.answers import Group, answered_groups, read_named
from dbray.jobs.contrasts import Contrasts
from dbray.jobs.parts import write_parts
from dbray.scores.votes import votes
from dbray.store import Study
from dbray.store.scope import Scope
from dbray.store.score_schemas import IMAGES


@dataclass(frozen=True)
class ImagesJob:
    """Right answers and disagreement image by image, in every group of two trials or more."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[Group]:
        """The groups."""
        return answered_groups(self.scope)

    def work(self, item: Group) -> pa.Table:
        """One row an image."""
        group, trials = item
        named = read_named(self.study, trials)
        found = votes(named.predicted)
        starts = pa.array(found.starts, pa.int32())
        images = len(named.labels)
        return pa.Table.from_pydict(
            {
                "group": [group] * images,
                "image_id": named.image_ids,
                "label": named.labels,
                "models": np.full(images, len(trials)),
                "share_right": (named.predicted == named.labels).mean(axis=0),
                "disagreement": found.disagreement,
                "classes": pa.ListArray.from_arrays(starts, pa.array(found.classes, pa.int32())),
                "counts": pa.ListArray.from_arrays(starts, pa.array(found.counts, pa.int32())),
            },
            schema=IMAGES,
        )

    def write(self, results: Iterator[pa.Table], _: Contrasts) -> None:
        """Put the groups together."""
        write_parts(self.study, self.scope, "images", results)
