"""What scores are made of: committed trials in groups, on the planes that all of them have."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from dbray.config import TrialConfig, group_label
from dbray.errors import UserError
from dbray.planes import IDS_PER_KIND, PLANE_KINDS, PlaneKind, plane_ids_of
from dbray.store.records import CommittedTrial
from dbray.store.score_schemas import SCORE_TABLES
from dbray.store.study import Study


@dataclass(frozen=True)
class Scope:
    """Input of every score job."""

    grouped_trials: list[tuple[str, CommittedTrial]]  # (group, trial)
    planes: dict[PlaneKind, int]  # how many of each kind; kinds that some trial lacks are absent
    classes: int  # C
    points: int  # N of a plane
    line_images: int = 0  # of each kind, whose lines all trials have walked
    within_groups: bool = False  # whether only the pairs of one group's trials are compared
    group_by: tuple[str, ...] = ()  # config fields that make the groups
    contrasts: tuple[str, ...] = ()  # that a user has named
    early: tuple[tuple[str, CommittedTrial], ...] = ()  # likewise, of trials that stopped early
    looks: tuple[int, ...] = ()  # seeds at which contrasts are looked at, where that was planned

    @property
    def digest(self) -> str:
        """SHA-256 over the predictions that go in: equal inputs need no second scoring."""
        inputs = sorted(
            f"{group} {trial.trial_id} {name} {record.sha256}"
            for group, trial in [*self.grouped_trials, *self.early]
            for name, record in trial.files.items()
            if name.startswith(("predictions", "test_predictions", "lines"))
        )
        asked = [*sorted(self.planes.items()), *(["within groups"] if self.within_groups else [])]
        asked += [("contrasts", *self.contrasts), ("looks", *self.looks)]
        return hashlib.sha256(repr((inputs, asked)).encode()).hexdigest()

    def groups(self) -> dict[str, list[CommittedTrial]]:
        """Trials of each group, by id; the groups in their names' order."""
        found: dict[str, list[CommittedTrial]] = {}
        for group, trial in sorted(
            self.grouped_trials, key=lambda pair: (pair[0], pair[1].trial_id)
        ):
            found.setdefault(group, []).append(trial)
        return found

    def plane_ids(self, kind: PlaneKind) -> range:
        """Ids of the kind's planes."""
        return plane_ids_of(kind, self.planes[kind])

    @staticmethod
    def kind_of(planes: range) -> PlaneKind:
        """Kind of planes that are all of one kind."""
        return PLANE_KINDS[planes.start // IDS_PER_KIND]

    def stamped(self, schema: pa.Schema) -> pa.Schema:
        """The schema with the digest of the inputs in its metadata."""
        return schema.with_metadata({"inputs": self.digest})


def at_their_end(trials: Iterable[CommittedTrial], group_by: Sequence[str]) -> list[CommittedTrial]:
    """Trials without those that stopped early, unless the epoch is what makes the groups."""
    return [
        trial
        for trial in trials
        if "stop_epoch" in group_by
        or not isinstance(trial.config, TrialConfig)
        or trial.config.stop_epoch is None
    ]


def scope_of(study: Study, trials: Iterable[CommittedTrial]) -> Scope:
    """The widest scope that all the trials allow.

    Raises
    ------
    UserError
        If there are no trials.
    """
    info = study.info
    given = list(trials)
    trials = at_their_end(given, info["group_by"])
    if not trials:
        raise UserError(f"{study.location}: no committed trial to score; run the sweep first")
    ended = {trial.trial_id for trial in trials}
    early = [trial for trial in given if trial.trial_id not in ended]
    common = {kind: min(t.planes.get(kind, 0) for t in given) for kind in PLANE_KINDS}
    return Scope(
        grouped_trials=[(group_label(t.config, info["group_by"]), t) for t in trials],
        planes={kind: count for kind, count in common.items() if count},
        classes=len(info["dataset"]["class_names"]),
        points=info["planes"]["resolution"] ** 2,
        line_images=min(trial.line_images for trial in trials),
        within_groups=info["planes"].get("pairs") == "groups",
        group_by=tuple(info["group_by"]),
        contrasts=tuple(info.get("contrasts") or ()),
        early=tuple((group_label(t.config, info["group_by"]), t) for t in early),
        looks=tuple(info.get("looks", ())),
    )


def stale_tables(study: Study, scope: Scope, *, read_through: bool) -> list[str]:
    """Score tables that were not made of exactly this scope, are damaged, or have other columns.

    Parameters
    ----------
    read_through
        Whether to read every page, which finds damage; whoever reads the tables next finds it, too.
    """
    made_of = ((name, _inputs(study, name, read_through=read_through)) for name in SCORE_TABLES)
    return [name for name, inputs in made_of if inputs != scope.digest]


def is_scored(study: Study) -> bool:
    """Whether the score tables are those of exactly the committed predictions."""
    return not stale_tables(study, scope_of(study, study.committed()), read_through=True)


def check_columns(study: Study, table: str, schema: pa.Schema) -> None:
    """Refuse a score table whose columns are not those of this version.

    Raises
    ------
    UserError
        If they are not.
    """
    if not schema.equals(SCORE_TABLES[table]):
        raise UserError(
            f"{study.location}/scores/{table}.parquet: has the columns of another version of "
            "dbray; run the study's command again, which scores its trials anew"
        )


def _inputs(study: Study, table: str, *, read_through: bool) -> str | None:
    """Digest of the inputs that a score table was made of; None if there is no whole table."""
    try:
        with study.open_table(f"scores/{table}.parquet") as file:
            schema = file.schema_arrow
            for _ in file.iter_batches(use_threads=False) if read_through else ():
                pass
    except OSError:
        return None
    if not schema.equals(SCORE_TABLES[table]):
        return None
    return str((schema.metadata or {}).get(b"inputs", b"").decode(errors="replace"))
