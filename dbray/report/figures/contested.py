"""Contested test images: a thumbnail each, and a bar of what the models call it."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dbray.report.figures.regions import png_uri
from dbray.report.page.palette import class_colours
from dbray.report.page.theme import INK, MUTED
from dbray.report.tables.images import ContestedImage

ROW = 48  # px, of an image
THUMB = 40  # px
NAME = THUMB + 10  # px from the left, of the image's class
BAR = (142, 330)  # px, from and to
VOTES = BAR[1] + 12  # px from the left, of what the models say
WIDTH = 600  # px
NAMED = 4  # classes of an image that are written out
X = alt.X("x:Q", scale=alt.Scale(domain=[0, WIDTH], nice=False), axis=None)


def contested_chart(images: Sequence[ContestedImage], names: Sequence[str]) -> alt.TopLevelMixin:
    """One row an image: its picture, its class, and the classes that models give it."""
    rows = _rows(images, names)
    y = _y(rows)
    bars = _bars(images, names)
    classes = sorted({c for image in images for c, _ in image.counts})
    colours = class_colours(len(names))
    scale = alt.Scale(domain=[names[c] for c in classes], range=[colours[c] for c in classes])
    base = alt.Chart(rows).encode(x=X, y=y)
    layers = [
        base.transform_filter("datum.uri != ''")
        .mark_image(width=THUMB, height=THUMB, align="left", baseline="top", smooth=False)
        .encode(url=alt.Url("uri:N"), tooltip=[alt.Tooltip("about:N", title="image")]),
        _text(rows, "name", NAME, -8, fontSize=12, fontWeight=600, color=INK, limit=95),
        _text(rows, "pairs", NAME, 8, fontSize=11, color=MUTED, limit=95),
        alt.Chart(bars)
        .mark_rect(stroke="white", strokeWidth=1)
        .encode(
            x=X,
            x2="x2:Q",
            y=y,
            y2="y2:Q",
            color=alt.Color("class:N", scale=scale, legend=None),
            tooltip=[
                alt.Tooltip("about:N", title="image"),
                alt.Tooltip("class:N"),
                alt.Tooltip("count:Q", title="models"),
            ],
        ),
        _text(rows, "votes", VOTES, 0, fontSize=12, color=INK, limit=WIDTH - VOTES),
    ]
    return alt.layer(*layers).properties(
        width=WIDTH,
        height=ROW * len(images),
        title=alt.TitleParams(
            "Which test images are contested, and what do models call them?",
            subtitle="Left: the image, its class, how many pairs of models of one group disagree.",
        ),
    )


def _y(rows: pd.DataFrame) -> alt.Y:
    """Places from the top, in px; every layer must say the same of its axis."""
    return alt.Y("y:Q", scale=alt.Scale(domain=[ROW * len(rows), 0], nice=False), axis=None)


def _text(
    rows: pd.DataFrame,
    column: str,
    left: float,
    down: float,
    **style: Any,  # noqa: ANN401 - properties of a mark
) -> alt.Chart:
    """A text of every row: px from the left, and below the middle of its picture."""
    placed = rows[["y", column]].assign(x=left, y=rows.y + THUMB / 2 + down)
    chart: alt.Chart = (
        alt.Chart(placed)
        .mark_text(align="left", baseline="middle", **style)
        .encode(x=X, y=_y(rows), text=f"{column}:N")
    )
    return chart


def _rows(images: Sequence[ContestedImage], names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "x": 0.0,
            "y": [float(row * ROW) for row in range(len(images))],
            "uri": [png_uri(image.png) if image.png else "" for image in images],
            "about": [str(image.image_id) for image in images],
            "name": [names[image.label] for image in images],
            "pairs": [f"{image.disagreement:.0%} of pairs" for image in images],
            "votes": [_votes(image, names) for image in images],
        }
    )


def _bars(images: Sequence[ContestedImage], names: Sequence[str]) -> pd.DataFrame:
    """One row an image and class: its piece of the bar."""
    left, right = BAR
    found = []
    for row, image in enumerate(images):
        before = 0
        for of_class, count in image.counts:
            ends = [
                left + (right - left) * models / image.models for models in (before, before + count)
            ]
            before += count
            found.append(
                {
                    "x": ends[0],
                    "x2": ends[1],
                    "y": row * ROW + 8,
                    "y2": row * ROW + THUMB - 8,
                    "class": names[of_class],
                    "count": count,
                    "about": str(image.image_id),
                }
            )
    return pd.DataFrame(found)


def _votes(image: ContestedImage, names: Sequence[str]) -> str:
    said = [f"{names[of_class]} ({count})" for of_class, count in image.counts[:NAMED]]
    rest = sum(count for _, count in image.counts[NAMED:])
    return ", ".join([*said, *([f"others ({rest})"] if rest else [])])
