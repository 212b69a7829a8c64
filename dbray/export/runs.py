"""A finished study as runs: what other tools keep of each trial."""

import hashlib
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import pyarrow.parquet as pq

from dbray.config import TrialConfig, canonical_json, group_label
from dbray.errors import UserError
from dbray.report.tables.score_tables import read_fragmentation, read_scores
from dbray.store import CommittedTrial, Study, scope_of, stale_tables
from dbray.store.scope import at_their_end

PAGE = "report/index.html"
GROUP_SCORES = {  # by table: what is taken of a group
    "agreement_by_group": ("agreement", "agreement_low", "agreement_high", "kappa", "jaccard"),
    "fragmentation_by_group": ("components", "components_low", "components_high"),
    "lines_by_group": ("margin", "margin_low", "margin_high", "skips", "censored"),
}

Scalar = str | int | float | bool


@dataclass(frozen=True)
class Run:
    """One trial for another tool.

    Attributes
    ----------
    name
        Group and seed, for people.
    group
        Of a trial that stopped early: its group and the epoch, and no scores of the group.
    params
        Every field of the config that has a value; nested ones as ``training.epochs``.
    tags
        Study, group and seed, the epoch (``2 of 8``: a trial that stopped early) of a training of
        dbray's own, and what is text among the metrics (the device).
    history
        One row an epoch: ``epoch`` and what was measured then, all finite.
    metrics
        ``final/NAME`` of the trained model, ``own/KIND/NAME`` its own scores, ``group/KIND/NAME``
        those of its group; all finite.
    """

    trial_id: str
    name: str
    group: str
    params: dict[str, Scalar]
    tags: dict[str, str]
    history: list[dict[str, float]]
    metrics: dict[str, float]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all of it: a run of equal digest needs no second export."""
        return hashlib.sha256(canonical_json(asdict(self)).encode()).hexdigest()


@dataclass(frozen=True)
class Exported:
    """A scored study, to be read run by run.

    Attributes
    ----------
    page
        Bytes of the study's page.
    """

    study: Study
    info: dict[str, Any]
    trials: list[CommittedTrial]
    page: bytes

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.name

    @property
    def ends(self) -> list[CommittedTrial]:
        """The trials that main scores are of: none that stopped early."""
        return at_their_end(self.trials, self.info["group_by"])

    def group(self, trial: CommittedTrial) -> str:
        """Label of a trial's group; with the epoch for one that stopped early."""
        by = self.info["group_by"]
        return group_label(trial.config, by if at_their_end([trial], by) else [*by, "stop_epoch"])

    def runs(self) -> Iterator[Run]:
        """One run a trial, by id; histories are read as they are asked for."""
        of_groups = _group_scores(self.study)
        own = _own_scores(self.study)
        for trial in self.trials:
            group = self.group(trial)
            yield Run(
                trial_id=trial.trial_id,
                name=f"{group}, {trial.config.member}",
                group=group,
                params=flat(asdict(trial.config)),
                tags={
                    "study": self.name,
                    "group": group,
                    "seed": trial.config.member,
                    **_epoch(trial),
                    **{n: v for n, v in trial.metrics.items() if isinstance(v, str)},
                },
                history=[_finite(row) for row in self.history(trial)],
                metrics={
                    **{f"final/{n}": value for n, value in _finite(trial.metrics).items()},
                    **own[trial.trial_id],
                    **of_groups[group],
                },
            )

    def history(self, trial: CommittedTrial) -> list[dict[str, Any]]:
        """Rows of a trial's history; none of a model that was trained elsewhere."""
        if "history.parquet" not in trial.files:
            return []
        data = self.study.read_file(trial, "history.parquet")
        rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
        return rows


@dataclass(frozen=True)
class Outcome:
    """What an export did."""

    place: str  # where the study can now be found
    added: int  # runs that are new there, or whose scores have changed
    kept: int  # runs that were there already
    then: str = ""  # the command that shows them, or sends them on


def exported(study: Study) -> Exported:
    """Open a study for export.

    Raises
    ------
    UserError
        If it is not scored, its scores are out of date, or its page is not there.
    """
    trials = study.committed()
    scope = scope_of(study, trials)
    stale = stale_tables(study, scope, read_through=False)
    if stale:
        raise UserError(
            f"{study.location}: scores are missing or out of date ({', '.join(stale)}); run the "
            "study's command again, which scores its trials, then export"
        )
    try:
        page = study.folder.read(PAGE)
    except FileNotFoundError as error:
        raise UserError(
            f"{study.location}/{PAGE}: not there; write it by python analysis/report.py "
            f"{study.location}"
        ) from error
    return Exported(study, study.info, trials, page)


def needed(module: str, package: str) -> Any:  # noqa: ANN401 - a module that may be absent
    """A module of an optional package.

    Raises
    ------
    UserError
        If it is not installed; the line says how to.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(
            f"the Python package {package} is needed for this; install it: pip install {package}"
        ) from error


def flat(config: Mapping[str, Any], above: str = "") -> dict[str, Scalar]:
    """Fields by their dotted names; those without a value are left out, sequences become text."""
    found: dict[str, Scalar] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        elif isinstance(value, list | tuple):
            found |= {f"{above}{name}": " ".join(map(str, value))} if value else {}
        elif value is not None:
            found[f"{above}{name}"] = value
    return found


def _epoch(trial: CommittedTrial) -> dict[str, str]:
    config = trial.config
    if not isinstance(config, TrialConfig):
        return {}
    return {"epoch": f"{config.last_epoch} of {config.training.epochs}"}


def _group_scores(study: Study) -> defaultdict[str, dict[str, float]]:
    """``group/KIND/NAME`` of every group."""
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for table, names in GROUP_SCORES.items():
        frame = read_scores(study, table)
        if table == "agreement_by_group":
            inside = frame[frame.group_a == frame.group_b]
            ends = {"low": "agreement_low", "high": "agreement_high"}
            frame = inside.rename(columns={"group_a": "group", **ends})
        for row in frame.to_dict("records"):
            named = {f"group/{row['kind']}/{name}": row[name] for name in names}
            found[row["group"]] |= _finite(named)
    return found


def _own_scores(study: Study) -> defaultdict[str, dict[str, float]]:
    """``own/KIND/NAME`` of every trial."""
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for frame, names in (
        (read_fragmentation(study), ("components",)),
        (read_scores(study, "lines"), ("margin", "skips", "censored")),
    ):
        for row in frame.to_dict("records"):
            named = {f"own/{row['kind']}/{name}": row[name] for name in names}
            found[row["trial_id"]] |= _finite(named)
    return found


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among the values."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
