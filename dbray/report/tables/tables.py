"""What a study has on storage, as the frames that figures are made of."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from dbray.claims import Claim, Result, asked_of, read_results, study_claims
from dbray.claims.contrasts import SCORED_KIND
from dbray.claims.names import FAMILY_TITLES, display_name, family
from dbray.config import AnyConfig, CheckpointConfig, TrialConfig, group_label
from dbray.errors import UserError
from dbray.report.tables.pairs import similarity_frame
from dbray.report.tables.pictures import Picture, Plane, gallery_planes, read_pictures
from dbray.report.tables.score_tables import read_fragmentation, read_pairs, read_scores
from dbray.report.tables.selection import (
    MAX_ROWS,
    TRIALS_COMPARED,
    TRIALS_KEPT,
    first_of_groups,
    shown_labels,
)
from dbray.store import CommittedTrial, FailedTrial, Study, scope_of, stale_tables
from dbray.store.schemas import HISTORY
from dbray.store.scope import at_their_end
from dbray.store.score_schemas import AGREEMENT, AGREEMENT_BY_GROUP

SEEDS_SHOWN = 3  # an architecture, in the gallery


@dataclass(frozen=True)
class StudyTables:
    """Everything a report is made of.

    Attributes
    ----------
    info
        ``study.json`` with the invocations.
    trials
        One row a committed trial: ``trial_id``, ``label`` (its group), ``group`` (the same for
        people), ``family``, ``seed`` (what tells it from others of its group) and the metrics.
    early
        Likewise the states that trainings were in on their way, in the groups of their ends.
    configs
        Config of each committed trial, by id.
    failed, damaged, foreign
        Trials that are in no score, with the reasons.
    stale
        Score tables that were made of other trials than the study has now.
    claims, contrasts
        What the study can be held against, and the differences that were measured for it.
    shown
        Labels of the groups that the page shows: all, unless there are very many.
    groups, pairs
        ``agreement_by_group`` and ``agreement`` on test planes; pairs with the group of each. Of
        very many trials, the pairs of the first ones of the groups that are shown.
    groups_by_kind
        ``agreement_by_group`` on all kinds of planes.
    similarity
        Pairs of trials on the test images, with the group of each and their plane agreement; of
        very many trials, pairs of some two hundred.
    distillation, randomness, branches
        Students and teachers; what each source of randomness does; trainings that part: as scored.
    fragmentation, fragmentation_by_group
        Mean number of regions a plane: one row a trial (a group) and kind of planes.
    lines, lines_by_group
        Mean margin and class skips: one row a trial (a group) and kind of images.
    history
        One row a trial and epoch, thinned to ``MAX_ROWS``.
    planes
        Planes of the gallery.
    pictures
        The gallery's pictures by (trial id, plane id).
    """

    info: dict[str, Any]
    trials: pd.DataFrame
    early: pd.DataFrame
    configs: dict[str, AnyConfig]
    failed: list[FailedTrial]
    damaged: dict[str, str]
    foreign: dict[str, str]
    stale: list[str]
    claims: list[Claim]
    contrasts: list[Result]
    shown: list[str]
    groups: pd.DataFrame
    groups_by_kind: pd.DataFrame
    pairs: pd.DataFrame
    similarity: pd.DataFrame
    distillation: pd.DataFrame
    randomness: pd.DataFrame
    branches: pd.DataFrame
    fragmentation: pd.DataFrame
    fragmentation_by_group: pd.DataFrame
    lines: pd.DataFrame
    lines_by_group: pd.DataFrame
    history: pd.DataFrame
    planes: list[Plane]
    pictures: dict[tuple[str, int], Picture]

    @property
    def inside(self) -> pd.DataFrame:
        """Rows of ``groups`` that are agreement within a group."""
        return self.groups[self.groups.group_a == self.groups.group_b]

    def of_shown_groups(self) -> "StudyTables":
        """The same with no groups but those that are shown, and the trials of these."""
        if len(self.shown) == self.trials.label.nunique():
            return self
        of_pairs = [
            frame[frame.group_a.isin(self.shown) & frame.group_b.isin(self.shown)]
            for frame in (self.groups, self.groups_by_kind)
        ]
        return replace(
            self,
            trials=self.trials[self.trials.label.isin(self.shown)],
            fragmentation=self.fragmentation[self.fragmentation.label.isin(self.shown)],
            groups=of_pairs[0],
            groups_by_kind=of_pairs[1],
        )


def load_tables(study: Study) -> StudyTables:
    """Read what a report needs.

    Raises
    ------
    UserError
        If the study has no committed trial, or its trials are not scored yet.
    """
    info, inventory = study.info, study.inventory()
    committed = at_their_end(inventory.committed, info["group_by"])
    ended = {trial.trial_id for trial in committed}
    early = [trial for trial in inventory.committed if trial.trial_id not in ended]
    if not committed:
        raise UserError(f"{study.location}: no finished trial to report on; run the sweep first")
    trials = trials_frame(committed, info["group_by"])
    planes = gallery_planes(study)
    scope = scope_of(study, inventory.committed)
    by_group = named_groups(read_scores(study, "agreement_by_group"))
    groups = by_group[by_group.kind == SCORED_KIND].reset_index(drop=True)
    # The curves of a study of widths are made of all its groups.
    widths = "noise" in info["group_by"]
    labels = list(trials.label.unique()) if widths else shown_labels(trials, groups)
    shown = trials[trials.label.isin(labels)]
    kept = first_of_groups(shown, TRIALS_KEPT)
    compared = first_of_groups(kept, TRIALS_COMPARED)
    pairs = pairs_frame(read_pairs(study, "agreement", kept, compared), trials)
    return StudyTables(
        info=info,
        trials=trials,
        early=trials_frame(early, info["group_by"]),
        configs={trial.trial_id: trial.config for trial in inventory.committed},
        failed=inventory.failed,
        damaged=inventory.damaged,
        foreign=inventory.foreign,
        stale=stale_tables(study, scope, read_through=False),
        claims=study_claims(asked_of(scope)),
        contrasts=read_results(study),
        shown=labels,
        groups=groups,
        groups_by_kind=by_group,
        pairs=pairs,
        similarity=similarity_frame(read_pairs(study, "similarity", compared, compared), pairs),
        distillation=read_scores(study, "distillation"),
        randomness=read_scores(study, "randomness"),
        branches=read_scores(study, "branches"),
        fragmentation=fragmentation_frame(read_fragmentation(study), trials),
        fragmentation_by_group=read_scores(study, "fragmentation_by_group"),
        lines=read_scores(study, "lines"),
        lines_by_group=read_scores(study, "lines_by_group"),
        history=history_frame(_histories(study, _of(committed, kept)), kept),
        planes=planes,
        pictures=read_pictures(study, _of(committed, gallery_trials(shown)), planes),
    )


def unscored_tables(study: Study) -> StudyTables | None:
    """What an explorer is made of, of a study that has no scores yet; None without trials."""
    info = study.info
    committed = at_their_end(study.committed(), info["group_by"])
    if not committed:
        return None
    groups, pairs = (s.empty_table().to_pandas() for s in (AGREEMENT_BY_GROUP, AGREEMENT))
    nothing: dict[str, Any] = {field.name: pd.DataFrame() for field in fields(StudyTables)}
    nothing |= {name: [] for name in ("failed", "stale", "claims", "contrasts", "planes")}
    nothing |= {name: {} for name in ("damaged", "foreign", "pictures")}
    trials = trials_frame(committed, info["group_by"])
    about = {"info": info, "trials": trials, "shown": list(trials.label.unique())}
    configs = {trial.trial_id: trial.config for trial in committed}
    scores = {"groups": named_groups(groups), "pairs": pairs}
    return StudyTables(**nothing | about | scores | {"configs": configs})


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame by the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def trials_frame(trials: Sequence[CommittedTrial], group_by: Sequence[str]) -> pd.DataFrame:
    """One row a committed trial, ordered by family, group and seed; no columns without any."""
    rows = [
        {
            "trial_id": trial.trial_id,
            "seed": trial.config.member,
            **_seeds(trial.config),
            **trial.metrics,
            **_group_columns(group_label(trial.config, group_by)),
        }
        for trial in trials
    ]
    by = ["family", "label", "weights_seed", "data_seed", "seed", "trial_id"]
    return pd.DataFrame(rows).sort_values(by if rows else [], ignore_index=True)


def gallery_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The first seeds of each group."""
    return trials[trials.groupby("label").cumcount() < SEEDS_SHOWN]


def named_groups(by_group: pd.DataFrame) -> pd.DataFrame:
    """Agreement by group with names for people."""
    return by_group.assign(
        name_a=by_group.group_a.map(display_name),
        name_b=by_group.group_b.map(display_name),
        family=by_group.group_a.map(lambda label: FAMILY_TITLES[family(label)]),
    )


def pairs_frame(agreement: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Agreement of pairs of trials on test planes, with group and seed of both."""
    about = trials.set_index("trial_id")[["label", "group", "family", "seed"]]
    found = agreement[agreement.kind == SCORED_KIND]
    for side in "ab":
        columns = about.add_suffix(f"_{side}")
        found = found.merge(columns, left_on=f"trial_{side}", right_index=True)
    return found.reset_index(drop=True)


def fragmentation_frame(fragmentation: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Mean regions a plane of each trial and kind of planes, with the trial's group."""
    return fragmentation.merge(
        trials[["trial_id", "label", "group", "family", "seed"]], on="trial_id"
    )


def history_frame(history: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Training curves, with epochs left out evenly where there are too many for a figure."""
    found = history.merge(trials[["trial_id", "label", "group", "family", "seed"]], on="trial_id")
    last = found.groupby("trial_id").epoch.transform("max")
    step = -(-len(found) // max(MAX_ROWS - len(trials), 1))
    return found[(found.epoch % step == 0) | (found.epoch == last)].reset_index(drop=True)


def group_order(trials: pd.DataFrame, groups: pd.DataFrame) -> list[str]:
    """Group labels: families together, the most reproducible first in each."""
    within = groups[groups.group_a == groups.group_b].set_index("group_a").agreement
    rows = trials.drop_duplicates("label")[["label", "family"]]
    ordered = rows.assign(
        place=rows.family.map(list(FAMILY_TITLES.values()).index),
        within=-rows.label.map(within).fillna(-1.0),
    )
    return list(ordered.sort_values(["place", "within", "label"]).label)


def _group_columns(label: str) -> dict[str, str]:
    kind = FAMILY_TITLES[family(label)]
    return {"label": label, "group": display_name(label), "family": kind}


def _seeds(config: AnyConfig) -> dict[str, int]:
    if isinstance(config, CheckpointConfig):
        return {"weights_seed": 0, "data_seed": 0}
    data = config.data_seed if isinstance(config, TrialConfig) else config.order_seed
    return {"weights_seed": config.weights_seed, "data_seed": data}


def _of(trials: Sequence[CommittedTrial], frame: pd.DataFrame) -> list[CommittedTrial]:
    """The trials that a frame has."""
    ids = set(frame.trial_id)
    return [trial for trial in trials if trial.trial_id in ids]


def _histories(study: Study, trials: Sequence[CommittedTrial]) -> pd.DataFrame:
    frames = [
        _trial_table(study, t, "history.parquet").assign(trial_id=t.trial_id)
        for t in trials
        if "history.parquet" in t.files
    ]
    empty = HISTORY.empty_table().to_pandas().assign(trial_id="")
    return pd.concat(frames, ignore_index=True) if frames else empty


def _trial_table(study: Study, trial: CommittedTrial, name: str) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(io.BytesIO(study.read_file(trial, name))).to_pandas()
    return frame
