"""Which models an explorer shows, in which rows, and along which axes they lie."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from dbray.claims.double_descent import noise_name
from dbray.claims.names import display_name
from dbray.claims.words import with_interval
from dbray.config import AnyConfig, TrialConfig
from dbray.report.tables.selection import GROUPS_PICTURED, evenly_spaced, first_of_groups
from dbray.report.tables.tables import StudyTables, group_order, records
from dbray.report.tables.width_curves import is_width_study

MOST_MODELS = 240
# What a slider moves along: the column that figures have of it, and what people call it.
AXES = {
    "width": "width",
    "noise": "training labels",
    "epoch": "epoch",
    "branch_epoch": "after epoch",
}
END = "the end"  # of trainings that may differ in their epochs
ALL_AT_FIRST = ("noise",)  # few, and there to be held against each other


@dataclass(frozen=True)
class Shown:
    """Models of an explorer.

    Attributes
    ----------
    rows
        Names of the rows of label maps.
    axes
        What a slider moves along: ``name``, ``title``, ascending ``values``, and whether ``all``
        of these are shown at first.
    groups
        One a group of models: its ``row``, its place ``at`` on each axis (None: on none, and shown
        wherever the slider is), its ``agreement`` on all scored test planes, with its interval, in
        words, and whether it is ``mixed``: its pairs are not all of models that differ in what the
        agreement is about. Those of one row follow each other.
    models
        ``group``, ``seed`` (what tells it from others of its group) and test ``accuracy``, in words
        where it is known.
    """

    rows: list[str]
    axes: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    models: list[dict[str, Any]]


@dataclass(frozen=True)
class _Place:
    """Where a group of models is: its row and, by axis, its value after what orders it."""

    row: str
    along: Mapping[str, tuple[float, int | str]] = field(default_factory=dict)


def shown_models(tables: StudyTables) -> tuple[Shown, pd.DataFrame]:
    """The models to show, and the rows of the trials that they are, in the same order.

    A row a group; but what lies along an axis shares one: widths, label noises and epochs of a
    family, the epochs after which trainings of an architecture part, and those at which trainings
    were looked at on their way.
    """
    tables = _with_early(tables)
    labels = group_order(tables.trials, tables.groups)
    places = {label: _place(tables, label) for label in labels}
    axes = _axes(places.values())
    if axes:  # all rows of one architecture together
        names = list(dict.fromkeys(map(_architecture, labels)))
        labels.sort(key=lambda label: (names.index(_architecture(label)), places[label].row))
    else:
        places = {label: _Place(display_name(label)) for label in labels}
    rows = list(dict.fromkeys(places[label].row for label in labels))
    rows = evenly_spaced(rows, GROUPS_PICTURED)
    alone = _alone(tables)
    within = {row["group_a"]: _agreement(row) for row in records(tables.inside)} | alone
    groups = {
        label: {
            "row": rows.index(place.row),
            "at": [_at(axis, place) for axis in axes],
            "agreement": within.get(label, ""),
            "mixed": label in alone,
        }
        for label, place in places.items()
        if place.row in rows
    }
    labels = sorted(groups, key=lambda label: _order(groups[label]))
    of_labels = tables.trials[tables.trials.label.isin(labels)]
    trials = first_of_groups(of_labels, MOST_MODELS).reset_index(drop=True)
    models = [
        {
            "group": labels.index(row["label"]),
            "seed": str(row["seed"]),
            "accuracy": f": test accuracy {row['test_accuracy']:.1%}",
        }
        for row in records(trials)
    ]
    return Shown(rows, axes, [groups[label] for label in labels], models), trials


def _with_early(tables: StudyTables) -> StudyTables:
    """The same with a group of its own for each epoch before the end."""
    if tables.early.empty:
        return tables
    epochs = [f"/epoch {_stop(tables.configs[trial_id])}" for trial_id in tables.early.trial_id]
    early = tables.early.assign(label=tables.early.label + epochs)
    return replace(tables, trials=pd.concat([tables.trials, early], ignore_index=True))


def _stop(config: AnyConfig) -> int | None:
    """The epoch of a state on the way; None of an end."""
    return config.stop_epoch if isinstance(config, TrialConfig) else None


def _agreement(row: dict[str, Any]) -> str:
    ends = (row["agreement"], row["low"], row["high"])
    return with_interval(*ends, planes_only=row["planes_only"], digits=2)


def _alone(tables: StudyTables) -> dict[str, str]:
    """On how much two trainings agree that differ in one source alone, by the group of these.

    Such a group has trainings from several bases: two of them may differ in the rest, too.
    """
    names = {"machine": "again", "bit": "one bit"}
    found = {}
    for row in records(tables.randomness):
        label = f"{row['architecture']}/{names.get(row['source'], row['source'] + ' alone')}"
        ends = (1 - row[name] for name in ("disagreement", "disagreement_high", "disagreement_low"))
        found[label] = with_interval(*ends, planes_only=row["planes_only"], digits=2)
    return found


def _architecture(label: str) -> str:
    return label.split("/")[0]


def _place(tables: StudyTables, label: str) -> _Place:
    trial_id = tables.trials.trial_id[tables.trials.label == label].iloc[0]
    config = tables.configs[trial_id]
    if isinstance(config, TrialConfig) and is_width_study(tables):
        share = config.noise.share if config.noise else 0.0
        numbers = {"width": config.width, "epoch": config.last_epoch}
        return _Place(
            display_name(config.architecture),
            {"noise": (share, noise_name(config.noise))}
            | {name: (number, number) for name, number in numbers.items()},
        )
    row, along = label, dict[str, tuple[float, int | str]]()
    if not tables.early.empty:
        stop = _stop(config)
        row = label.removesuffix(f"/epoch {stop}")
        along["epoch"] = (math.inf, END) if stop is None else (stop, stop)
    if isinstance(config, TrialConfig) and config.branch:
        row = f"{_architecture(label)}/{config.branch.what or 'nothing'} changes"
        along["branch_epoch"] = (config.branch.epoch,) * 2
    return _Place(display_name(row), along)


def _axes(places: Iterable[_Place]) -> list[dict[str, Any]]:
    """Axes along which there is more than one value."""
    found: list[dict[str, Any]] = []
    for name, title in AXES.items():
        ordered = sorted({place.along[name] for place in places if name in place.along})
        values = [value for _, value in ordered]
        if len(values) > 1:
            found.append(
                {"name": name, "title": title, "values": values, "all": name in ALL_AT_FIRST}
            )
    return found


def _at(axis: Mapping[str, Any], place: _Place) -> int | None:
    here = place.along.get(axis["name"])
    return None if here is None else axis["values"].index(here[1])


def _order(group: Mapping[str, Any]) -> list[int]:
    return [group["row"], *(-1 if at is None else at for at in group["at"])]
