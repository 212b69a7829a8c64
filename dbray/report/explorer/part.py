"""The explorer of a study as a part of the page: its data, its place, its script and style."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from dbray.report.explorer.models import Shown, shown_models
from dbray.report.explorer.slices import Slice, packed_answers, packed_slice, read_slices
from dbray.report.page.page import Instrument
from dbray.report.page.palette import class_colours
from dbray.report.tables.tables import StudyTables, records
from dbray.store import Study

BUDGET = 4_500_000  # characters of packed slices and answers: the page stays below 6 MB
MOST_PAIRED = 100  # models whose pairs have their agreement on the page
TITLE = "Look, point, ask"
HOW = (
    "Each map is one model's answer: the colour is the class it names at that point of a flat "
    "slice through three images (the marks). Every point is an image itself, a weighted sum of the "
    "three: point anywhere to see it, and what all"
)
FOLDER = Path(__file__).parent


def explorer_of(study: Study, tables: StudyTables) -> Instrument | None:
    """The explorer of a study; None where no plane has label maps of all models."""
    shown, rows = shown_models(tables)
    by_id = {trial.trial_id: trial for trial in study.committed()}
    trials = [by_id[trial_id] for trial_id in rows.trial_id]
    classes = list(tables.info["dataset"]["class_names"])
    planes = sum(tables.info["planes"]["counts"].values())
    models = len(tables.trials) + len(tables.early)
    few = f" of {models}" if len(trials) < models else ""
    return instrument(
        shown,
        read_slices(study, tables.info, trials),
        classes,
        pairs=_pairs(tables, list(rows.trial_id)),
        tests=packed_answers(study, trials, len(classes)),
        about=lambda names: _about(names, planes, f"{len(trials)}{few}"),
    )


def instrument(
    shown: Shown,
    slices: Iterable[Slice],
    classes: Sequence[str],
    *,
    pairs: Mapping[str, float],
    tests: dict[str, Any] | None,
    about: Callable[[Sequence[str]], str],
) -> Instrument | None:
    """An explorer of as many slices as a page can hold; None where there are none.

    Parameters
    ----------
    slices
        Of the ``shown`` models, in their order.
    pairs
        Agreement of two models on all that is scored, by their places ("0 3").
    tests
        As ``packed_columns`` gives it.
    about
        What to say of the slices with these names.
    """
    groups: list[list[int]] = [[] for _ in shown.groups]
    for place, model in enumerate(shown.models):
        groups[model["group"]].append(place)
    compared = [of for of, about in zip(groups, shown.groups, strict=True) if not about["mixed"]]
    left = BUDGET - (len(tests["packed"]) if tests else 0)
    kept: list[dict[str, Any]] = []
    image: tuple[int, ...] = ()
    for one in slices:
        kept.append(packed_slice(one, compared, classes))
        image = one.pixels.shape[1:]
        left -= len(kept[-1]["packed"])
        if left < 0 and len(kept) > 1:
            kept.pop()
            break
    if not kept:
        return None
    data = {
        "classes": classes,
        "colours": class_colours(len(classes)),
        "wide": len(classes) > 256,
        "image": image,
        "rows": shown.rows,
        "axes": shown.axes,
        "groups": shown.groups,
        "models": shown.models,
        "slices": kept,
        "pairs": pairs,
        "tests": tests,
    }
    html = (
        _environment()
        .get_template("explorer.html.j2")
        .render(
            title=TITLE,
            about=about([one["name"] for one in kept]),
            confidence=any(one["confidence"] for one in kept),
            data=json.dumps(data).replace("<", "\\u003c"),
        )
    )
    return Instrument(TITLE, html, _script(), _style())


@cache
def _script() -> str:
    """The explorer's JavaScript."""
    files = [(FOLDER / name).read_text("utf-8") for name in ("slices.js", "explorer.js")]
    return "\n".join(files)


@cache
def _style() -> str:
    """The explorer's CSS."""
    return (FOLDER / "explorer.css").read_text("utf-8")


def _about(names: Sequence[str], planes: int, models: str) -> str:
    wide = sum(name.count(", wide") for name in names)
    scored = len(names) - wide
    which = [
        f"{scored} of the {planes} slices that are scored" if scored else "",
        f"{wide} that reach further out" if wide else "",
    ]
    return f"{HOW} {models} models call it. Here are {' and '.join(filter(None, which))}."


def _pairs(tables: StudyTables, shown: Sequence[str]) -> dict[str, float]:
    """Agreement on all scored test planes by the places of two models."""
    if len(shown) > MOST_PAIRED:
        return {}
    place = {trial_id: at for at, trial_id in enumerate(shown)}
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
