"""A finished study in a notebook: its tables as frames, its label maps as arrays."""

import html
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dbray.claims import asked_of, read_results, study_claims, verdict
from dbray.errors import UserError, one_line
from dbray.notebook.exploring import Explorer
from dbray.planes import PLANE_KINDS, PlaneKind, plane_ids_of
from dbray.report import explorer_of
from dbray.report.tables.score_tables import read_scores
from dbray.report.tables.tables import load_tables, trials_frame
from dbray.store import CommittedTrial, open_study_folder, read_label_maps, scope_of
from dbray.store.scope import at_their_end
from dbray.store.score_schemas import SCORE_TABLES


class StudyResults:
    """Read access to a study, on a disk or on object storage, without Ray and without torch.

    Examples
    --------
    >>> found = StudyResults("runs/arch_repro")  # doctest: +SKIP
    >>> found.agreement_by_group.query("group_a == group_b")  # doctest: +SKIP
    >>> maps = found.label_maps(found.trials.trial_id[0])  # doctest: +SKIP
    """

    def __init__(self, place: str | Path) -> None:
        """Open the study in a folder: ``runs/arch_repro``, ``s3://bucket/prefix/arch_repro``.

        Raises
        ------
        UserError
            If there is no study.
        """
        self._study = open_study_folder(str(place))
        self.info: dict[str, Any] = self._study.info

    def __repr__(self) -> str:
        groups = self.trials.label.nunique()
        return f"StudyResults({self._study.location}: {len(self.trials)} trials, {groups} groups)"

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdicts if there are claims, else the agreements."""
        shown = self.claims if len(self.claims) else self.agreement_by_group
        return f"<p>{html.escape(repr(self))}</p>{shown.to_html(index=False)}"

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a finished trial: ``trial_id``, ``label`` (its group), ``seed``, its metrics."""
        by = self.info["group_by"]
        return trials_frame(at_their_end(self._committed.values(), by), by)

    @cached_property
    def claims(self) -> pd.DataFrame:
        """One row a claim: ``claim``, ``statement``, ``outcome``, ``reason``, ``seeds_needed``."""
        results = read_results(self._study)
        asked = asked_of(scope_of(self._study, self._committed.values()))
        found = [verdict(claim, results) for claim in study_claims(asked)]
        rows = [
            {
                "claim": each.claim.name,
                "statement": each.claim.statement,
                "outcome": each.outcome,
                "reason": f"{each.reason} {each.claim.missing}".strip(),
                "seeds_needed": each.seeds_needed,
            }
            for each in found
        ]
        columns = ["claim", "statement", "outcome", "reason", "seeds_needed"]
        return pd.DataFrame(rows, columns=columns)

    def __getattr__(self, name: str) -> pd.DataFrame:
        """A score table by its name, such as ``agreement`` or ``contrasts``."""
        if name not in SCORE_TABLES:
            known = ", ".join(SCORE_TABLES)
            raise AttributeError(f"no {name!r}; the score tables are {known}")
        return read_scores(self._study, name)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *SCORE_TABLES])

    def label_maps(self, trial_id: str, kind: PlaneKind = "test") -> NDArray[Any]:
        """Label maps of a trial on the planes of one kind: unsigned integers, shape (P, R, R).

        Raises
        ------
        UserError
            If there is no such trial, or it has labelled no such planes.
        """
        trial = self._trial(trial_id)
        if kind not in PLANE_KINDS or not trial.planes.get(kind):
            have = ", ".join(trial.planes)
            raise UserError(f"trial {trial_id} has no planes of kind {kind!r}; it has {have}")
        ids = plane_ids_of(kind, trial.planes[kind])
        return read_label_maps(self._study, trial, ids.start, ids.stop)

    def planes(self) -> pd.DataFrame:
        """The planes: ``plane_id``, ``kind``, ``image_ids``, ``anchor_classes``, coordinates."""
        frame: pd.DataFrame = self._study.read_table("planes.parquet").to_pandas()
        return frame.assign(coordinates=frame.coordinates.map(lambda c: np.reshape(c, (3, 2))))

    def explore(self) -> Explorer:
        """Point at the study's label maps: the image there, and the class of every model.

        Raises
        ------
        UserError
            If no plane has label maps of all models.
        """
        part = explorer_of(self._study, load_tables(self._study))
        if part is None:
            raise UserError(f"{self._study.location}: no plane has label maps of all models")
        return Explorer(part, f"{len(self.trials)} trials")

    @cached_property
    def _committed(self) -> dict[str, CommittedTrial]:
        return {trial.trial_id: trial for trial in self._study.committed()}

    def _trial(self, trial_id: str) -> CommittedTrial:
        if trial_id not in self._committed:
            raise UserError(f"{self._study.location}: no finished trial {one_line(trial_id)}")
        return self._committed[trial_id]
