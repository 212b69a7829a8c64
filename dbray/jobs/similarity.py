"""Score job: how alike models answer on test images, pair by pair, to ``similarity.parquet``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dbray.jobs.answers import FILE
from dbray.jobs.contrasts import Contrasts
from dbray.jobs.parts import write_parts
from dbray.scores.similarity import (
    disagreement,
    error_overlap,
    expected_agreement,
    js_divergence,
)
from dbray.store import CommittedTrial, Study
from dbray.store.schemas import probabilities_from_table
from dbray.store.scope import Scope
from dbray.store.score_schemas import SIMILARITY

TERMS_A_TASK = 1e9  # pairs x images x classes of two blocks: two seconds or so of work
TRIALS_PER_BLOCK = 128  # at most, where pairs across groups, worked out in vain, are most
WORKING_BYTES = 256 * 2**20  # of two blocks' answers, which are held at a time
Block = tuple[CommittedTrial, ...]


@dataclass(frozen=True)
class Answers:
    """What M models answer on n test images."""

    predicted: NDArray[np.uint16]  # (M, n)
    labels: NDArray[np.int32]  # (n,)
    probabilities: NDArray[np.float32]  # (M, n, C)

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Of each model, shape (M,)."""
        return np.asarray((self.predicted == self.labels).mean(axis=1), np.float64)


@dataclass(frozen=True)
class SimilarityJob:
    """Every pair of trials by the usual measures on the test images."""

    study: Study
    scope: Scope

    @cached_property
    def items(self) -> list[tuple[Block, Block]]:
        """Pairs of blocks of trials, a block with itself among them."""
        within = self.scope.within_groups
        ordered = sorted(
            (pair for pair in self.scope.grouped_trials if FILE in pair[1].files),
            key=lambda pair: (pair[0] if within else "", pair[1].trial_id),
        )
        if not ordered:
            return []
        size = self._trials_per_block(ordered[0][1])
        starts = range(0, len(ordered), size)
        blocks = [tuple(trial for _, trial in ordered[at : at + size]) for at in starts]
        return [
            (a, b)
            for a, b in combinations_with_replacement(blocks, 2)
            # Two blocks, ordered by group, share one only if it goes from one's end to the other.
            if not within
            or a is b
            or self._group_of[a[-1].trial_id] == self._group_of[b[0].trial_id]
        ]

    def work(self, item: tuple[Block, Block]) -> pa.Table:
        """One row a pair of distinct trials, the smaller id first."""
        block_a, block_b = item
        a = self._answers(block_a)
        b = a if block_a is block_b else self._answers(block_b)
        shape = len(block_a), len(block_b)
        rows, columns = np.triu_indices(shape[0], 1) if a is b else np.indices(shape)
        rows, columns = rows.ravel(), columns.ravel()
        if self.scope.within_groups:
            groups = [np.array([self._group_of[t.trial_id] for t in block]) for block in item]
            same = groups[0][rows] == groups[1][columns]
            rows, columns = rows[same], columns[same]
        expected = expected_agreement(a.accuracy[:, None], b.accuracy, self.scope.classes)
        measures = {
            "disagreement": disagreement(a.predicted, b.predicted),
            "expected_agreement": expected,
            "error_overlap": error_overlap(a.predicted, b.predicted, a.labels),
            "js_divergence": js_divergence(a.probabilities, b.probabilities),
        }
        return pa.Table.from_pydict(
            {
                "trial_a": _ids(block_a, rows),
                "trial_b": _ids(block_b, columns),
                "images": np.full(len(rows), len(a.labels)),
                **{name: values[rows, columns] for name, values in measures.items()},
            },
            schema=SIMILARITY,
        )

    def write(self, results: Iterator[pa.Table], _: Contrasts) -> None:
        """Put the blocks together."""
        write_parts(self.study, self.scope, "similarity", results)

    @cached_property
    def _group_of(self) -> dict[str, str]:
        return {trial.trial_id: group for group, trial in self.scope.grouped_trials}

    def _trials_per_block(self, trial: CommittedTrial) -> int:
        """As many trials with answers like this one's as memory allows."""
        with self.study.open_table(f"trials/{trial.trial_id}/{FILE}") as file:
            images: int = file.metadata.num_rows
        terms = images * self.scope.classes
        size = min(int((TERMS_A_TASK / terms) ** 0.5), WORKING_BYTES // (2 * 4 * terms))
        return max(1, min(size, TRIALS_PER_BLOCK) if self.scope.within_groups else size)

    def _answers(self, block: Block) -> Answers:
        tables = [self.study.read_table(f"trials/{trial.trial_id}/{FILE}") for trial in block]
        return Answers(
            np.stack([table["predicted"].to_numpy().astype(np.uint16) for table in tables]),
            tables[0]["label"].to_numpy(),
            np.stack([probabilities_from_table(table) for table in tables]),
        )


def _ids(block: Sequence[CommittedTrial], places: NDArray[np.int64]) -> NDArray[np.str_]:
    return np.array([trial.trial_id for trial in block])[places]
