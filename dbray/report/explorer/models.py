"""Which models an explorer shows, in which rows, and along which axes they lie."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from dbray.claims.double_descent import noise_name
from dbray.claims.names import display_name
from dbray.claims.words import with_interval
from dbray.config import TrialConfig
from dbray.report.tables.selection import GROUPS_PICTURED, evenly_spaced, first_of_groups
from dbray.report.tables.tables import StudyTables, group_order, records

MOST_MODELS = 240
WIDTH, EPOCH = "width", "epoch"


@dataclass(frozen=True)
class Shown:
    """Models of an explorer.

    Attributes
    ----------
    rows
        Names of the rows of label maps.
    axes
        What a slider moves along: ``name`` and ascending ``values``.
    groups
        One a group of models: its ``row``, its place ``at`` on each axis, and its ``agreement`` on
        all scored test planes, with its interval, in words.
    models
        ``group``, ``seed`` (what tells it from others of its group) and test ``accuracy``, in words
        where it is known.
    """

    rows: list[str]
    axes: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    models: list[dict[str, Any]]


def shown_models(tables: StudyTables, *, along: bool) -> tuple[Shown, pd.DataFrame]:
    """The models to show, and the rows of the trials that they are, in the same order.

    A row a group, or with ``along`` a row a label noise with sliders.
    """
    labels = group_order(tables.trials, tables.groups)
    if along:
        places = {label: _place(tables, label) for label in labels}
        of_rows = sorted({(place["share"], place["row"]) for place in places.values()})
        rows = [row for _, row in of_rows]
        axes: list[dict[str, Any]] = [
            {"name": name, "values": _values(places, name)} for name in (WIDTH, EPOCH)
        ]
    else:
        labels = evenly_spaced(labels, GROUPS_PICTURED)
        places = {label: {"row": display_name(label)} for label in labels}
        rows, axes = [place["row"] for place in places.values()], []
    axes = [axis for axis in axes if len(axis["values"]) > 1]
    of_labels = tables.trials[tables.trials.label.isin(labels)]
    trials = first_of_groups(of_labels, MOST_MODELS).reset_index(drop=True)
    within = {row["group_a"]: _agreement(row) for row in records(tables.inside)}
    groups = [
        {
            "row": rows.index(places[label]["row"]),
            "at": [axis["values"].index(places[label][axis["name"]]) for axis in axes],
            "agreement": within.get(label, ""),
        }
        for label in labels
    ]
    models = [
        {
            "group": labels.index(row["label"]),
            "seed": str(row["seed"]),
            "accuracy": f": test accuracy {row['test_accuracy']:.1%}",
        }
        for row in records(trials)
    ]
    return Shown(rows, axes, groups, models), trials


def _agreement(row: dict[str, Any]) -> str:
    ends = (row["agreement"], row["low"], row["high"])
    return with_interval(*ends, planes_only=row["planes_only"], digits=2)


def _place(tables: StudyTables, label: str) -> dict[str, Any]:
    """Label noise, width and epoch of a group of a study along the width."""
    trial_id = tables.trials.trial_id[tables.trials.label == label].iloc[0]
    config = tables.configs[trial_id]
    if not isinstance(config, TrialConfig):
        return {"row": display_name(label), "share": 0.0, WIDTH: 0, EPOCH: 0}
    return {
        "row": noise_name(config.noise),
        "share": config.noise.share if config.noise else 0.0,
        WIDTH: config.width,
        EPOCH: config.stop_epoch or config.training.epochs,
    }


def _values(places: dict[str, dict[str, Any]], name: str) -> list[int]:
    return sorted({place[name] for place in places.values()})
