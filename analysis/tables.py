"""What a study has on storage, as the frames that figures are made of."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.names import FAMILY_TITLES, display_name, family
from dbray.config import group_label
from dbray.errors import UserError
from dbray.store import CommittedTrial, FailedTrial, Study
from dbray.store.schemas import label_maps_from_table

SCORED_KIND = "test"  # reproducibility is defined on planes through test images
SEEDS_SHOWN = 3  # an architecture, in the gallery
PLANES_SHOWN = 3  # in the gallery
MAX_CURVE_ROWS = 4500  # in a figure; Altair refuses more than 5000


@dataclass(frozen=True)
class Plane:
    """One plane of the gallery.

    Attributes
    ----------
    coordinates
        (alpha, beta) of the anchors, float64, shape (3, 2).
    thumbnails
        The anchors' raw images as PNG bytes, in order.
    """

    plane_id: int
    kind: str
    anchor_classes: tuple[int, ...]
    coordinates: NDArray[np.float64]
    thumbnails: tuple[bytes, ...]


@dataclass(frozen=True)
class StudyTables:
    """Everything a report is made of.

    Attributes
    ----------
    info
        ``study.json`` with the invocations.
    trials
        One row a committed trial: ``trial_id``, ``label`` (its group), ``group`` (the same for
        people), ``family``, ``seed`` and the metrics.
    configs
        Config of each committed trial as stored, by id.
    groups, pairs
        ``agreement_by_group`` and ``agreement`` on test planes; pairs with the group of each.
    fragmentation
        Mean number of regions a plane: one row a trial and kind of planes.
    history
        One row a trial and epoch, thinned to ``MAX_CURVE_ROWS``.
    planes
        Planes of the gallery.
    pictures
        Label maps of the gallery by (trial id, plane id), shape (R, R).
    """

    info: dict[str, Any]
    trials: pd.DataFrame
    configs: dict[str, dict[str, Any]]
    failed: list[FailedTrial]
    damaged: dict[str, str]
    groups: pd.DataFrame
    pairs: pd.DataFrame
    fragmentation: pd.DataFrame
    history: pd.DataFrame
    planes: list[Plane]
    pictures: dict[tuple[str, int], NDArray[Any]]


def load_tables(study: Study) -> StudyTables:
    """Read what a report needs.

    Raises
    ------
    UserError
        If the study has no committed trial, or its trials are not scored yet.
    """
    info, inventory = study.info, study.inventory()
    if not inventory.committed:
        raise UserError(f"{study.location}: no finished trial to report on; run the sweep first")
    trials = trials_frame(inventory.committed, info["group_by"])
    planes = _gallery_planes(study, info["pictures"]["plane_ids"][:PLANES_SHOWN])
    shown = set(gallery_trials(trials).trial_id)
    return StudyTables(
        info=info,
        trials=trials,
        configs={trial.trial_id: trial.config for trial in inventory.committed},
        failed=inventory.failed,
        damaged=inventory.damaged,
        groups=groups_frame(_scores(study, "agreement_by_group")),
        pairs=pairs_frame(_scores(study, "agreement"), trials),
        fragmentation=fragmentation_frame(_scores(study, "fragmentation"), trials),
        history=history_frame(_histories(study, inventory.committed), trials),
        planes=planes,
        pictures=_pictures(study, [t for t in inventory.committed if t.trial_id in shown], planes),
    )


def trials_frame(trials: Sequence[CommittedTrial], group_by: Sequence[str]) -> pd.DataFrame:
    """One row a committed trial, ordered by family, group and seed."""
    rows = [
        {
            "trial_id": trial.trial_id,
            "seed": _seed_name(trial.config),
            "weights_seed": trial.config["weights_seed"],
            "data_seed": trial.config["data_seed"],
            **trial.metrics,
            **_group_columns(group_label(trial.config, group_by)),
        }
        for trial in trials
    ]
    by = ["family", "label", "weights_seed", "data_seed", "trial_id"]
    return pd.DataFrame(rows).sort_values(by, ignore_index=True)


def gallery_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The first seeds of each group."""
    return trials[trials.groupby("label").cumcount() < SEEDS_SHOWN]


def groups_frame(by_group: pd.DataFrame) -> pd.DataFrame:
    """Agreement by group on test planes with names for people."""
    found = by_group[by_group.kind == SCORED_KIND].reset_index(drop=True)
    return found.assign(
        name_a=found.group_a.map(display_name),
        name_b=found.group_b.map(display_name),
        family=found.group_a.map(lambda label: FAMILY_TITLES[family(label)]),
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
    """Mean regions a plane for each trial and kind of planes."""
    by = fragmentation.groupby(["trial_id", "kind"])
    means = by.agg(components=("components", "mean"), planes=("plane_id", "nunique"))
    about = trials[["trial_id", "label", "group", "family", "seed"]]
    return means.reset_index().merge(about, on="trial_id")


def history_frame(history: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Training curves, with epochs left out evenly where there are too many for a figure."""
    found = history.merge(trials[["trial_id", "label", "group", "family", "seed"]], on="trial_id")
    last = found.groupby("trial_id").epoch.transform("max")
    step = -(-len(found) // max(MAX_CURVE_ROWS - len(trials), 1))
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


def _seed_name(config: dict[str, Any]) -> str:
    weights, data = config["weights_seed"], config["data_seed"]
    return str(weights) if weights == data else f"{weights}, data {data}"


def _scores(study: Study, name: str) -> pd.DataFrame:
    try:
        table = study.read_table(f"scores/{name}.parquet")
    except FileNotFoundError as error:
        raise UserError(
            f"{study.location}/scores/{name}.parquet: not there; finish the study's sweep, "
            "which scores its trials"
        ) from error
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _histories(study: Study, trials: Sequence[CommittedTrial]) -> pd.DataFrame:
    frames = [_trial_table(study, t, "history.parquet").assign(trial_id=t.trial_id) for t in trials]
    return pd.concat(frames, ignore_index=True)


def _trial_table(study: Study, trial: CommittedTrial, name: str) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(io.BytesIO(study.read_file(trial, name))).to_pandas()
    return frame


def _gallery_planes(study: Study, plane_ids: Sequence[int]) -> list[Plane]:
    if not plane_ids:
        return []
    planes = study.read_table("planes.parquet").to_pandas().set_index("plane_id")
    anchors = study.read_table("anchors.parquet").to_pandas().sort_values("position")
    pictures = anchors.groupby("plane_id").png.agg(tuple)
    return [
        Plane(
            plane_id=plane_id,
            kind=str(planes.kind[plane_id]),
            anchor_classes=tuple(map(int, planes.anchor_classes[plane_id])),
            coordinates=np.asarray(planes.coordinates[plane_id], np.float64).reshape(3, 2),
            thumbnails=pictures[plane_id],
        )
        for plane_id in plane_ids
    ]


def _pictures(
    study: Study, trials: Sequence[CommittedTrial], planes: Sequence[Plane]
) -> dict[tuple[str, int], NDArray[Any]]:
    """Label maps of the gallery; a trial may keep its pictures in several files."""
    wanted = {plane.plane_id for plane in planes}
    found: dict[tuple[str, int], NDArray[Any]] = {}
    for trial in trials:
        for name in sorted(n for n in trial.files if n.startswith("pictures")):
            table = pq.read_table(io.BytesIO(study.read_file(trial, name)))
            ids = table["plane_id"].to_pylist()
            for plane_id, label_map in zip(ids, label_maps_from_table(table), strict=True):
                if plane_id in wanted:
                    found[trial.trial_id, plane_id] = label_map
    return found
