"""The explorer of a study as a part of the page: its data, its place, its script and style."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from dbray.report.explorer.models import Shown, shown_models
from dbray.report.explorer.slices import (
    anchor_pixels,
    packed_answers,
    packed_slice,
    read_slices,
)
from dbray.report.page.palette import class_colours
from dbray.report.tables.tables import StudyTables, records
from dbray.report.tables.width_curves import is_width_study
from dbray.store import Study

BUDGET = 4_500_000  # characters of packed slices and answers: the page stays below 6 MB
MOST_PAIRED = 100  # models whose pairs have their agreement on the page
TITLE = "Look, point, ask"
FOLDER = Path(__file__).parent


def explorer(study: Study, tables: StudyTables) -> str:
    """HTML of the explorer with all its data; empty where no plane has label maps of all models."""
    shown = shown_models(tables, along=is_width_study(tables))
    by_id = {trial.trial_id: trial for trial in study.committed()}
    trials = [by_id[trial_id] for trial_id in shown.trials.trial_id]
    classes = list(tables.info["dataset"]["class_names"])
    tests = packed_answers(study, trials, len(classes))
    groups = [list(places) for places in shown.trials.groupby("label", sort=False).indices.values()]
    left = BUDGET - (len(tests["packed"]) if tests else 0)
    slices: list[dict[str, Any]] = []
    image: tuple[int, ...] = ()
    for one in read_slices(study, tables.info, trials):
        slices.append(packed_slice(one, groups, classes))
        image = image or anchor_pixels(one.plane).shape[1:]
        left -= len(slices[-1]["packed"])
        if left < 0 and len(slices) > 1:
            slices.pop()
            break
    if not slices:
        return ""
    data = {
        "classes": classes,
        "colours": class_colours(len(classes)),
        "wide": len(classes) > 256,
        "image": image,
        "rows": shown.rows,
        "axes": shown.axes,
        "groups": shown.groups,
        "models": shown.models,
        "slices": slices,
        "pairs": _pairs(tables, shown),
        "tests": tests,
    }
    return (
        _environment()
        .get_template("explorer.html.j2")
        .render(
            title=TITLE,
            about=_about(tables.info, slices, shown, len(tables.trials)),
            confidence=any(one["confidence"] for one in slices),
            data=json.dumps(data).replace("<", "\\u003c"),
        )
    )


@cache
def script() -> str:
    """The explorer's JavaScript."""
    files = [(FOLDER / name).read_text("utf-8") for name in ("slices.js", "explorer.js")]
    return "\n".join(files)


@cache
def style() -> str:
    """The explorer's CSS."""
    return (FOLDER / "explorer.css").read_text("utf-8")


def _about(
    info: Mapping[str, Any], slices: Sequence[Mapping[str, Any]], shown: Shown, trials: int
) -> str:
    planes = sum(info["planes"]["counts"].values())
    wide = sum(one["name"].count(", wide") for one in slices)
    scored = len(slices) - wide
    few = f" of {trials}" if len(shown.models) < trials else ""
    which = [
        f"{scored} of the {planes} slices that are scored" if scored else "",
        f"{wide} that reach further out" if wide else "",
    ]
    return (
        "Each map is one model's answer: the colour is the class it names at that point of a flat "
        "slice through three images (the marks). Every point is an image itself, a weighted sum of "
        f"the three: point anywhere to see it, and what all {len(shown.models)}{few} models call "
        f"it. Here are {' and '.join(filter(None, which))}."
    )


def _pairs(tables: StudyTables, shown: Shown) -> dict[str, float]:
    """Agreement on all scored test planes by the places of two models."""
    if len(shown.models) > MOST_PAIRED:
        return {}
    place = {trial_id: at for at, trial_id in enumerate(shown.trials.trial_id)}
    return {
        "{} {}".format(*sorted((place[row["trial_a"]], place[row["trial_b"]]))): row["agreement"]
        for row in records(tables.pairs[["trial_a", "trial_b", "agreement"]])
        if row["trial_a"] in place and row["trial_b"] in place
    }


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(FOLDER)
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
