"""The gallery of decision regions: a row a group of models, a few planes side by side.

Drawn on a canvas of pixels: every picture, mark and word has its place in one layout, so that the
figure can be saved as a whole and all maps of a plane have the plane's true proportions.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dbray.report.figures.gallery_layout import CELL, NAMES, SLOT, THUMB, Layout, gallery_layout
from dbray.report.page.names import NOTHING
from dbray.report.page.palette import class_colours
from dbray.report.page.theme import INK, MUTED
from dbray.report.tables.pictures import Plane
from dbray.report.tables.tables import StudyTables

SHAPES = ("circle", "triangle-up", "square")  # of anchors x1, x2, x3
LEGEND_CLASSES = 30  # more than this, and only the anchors' classes are named


def gallery_chart(
    tables: StudyTables,
    planes: Sequence[Plane],
    *,
    order: Sequence[str] | None = None,
    confidence: bool = False,
) -> alt.TopLevelMixin:
    """Pictures of up to three trials of each group on a few planes side by side.

    ``order`` names the groups that are shown, from above; else all are, by ``group_order``. With
    ``confidence``, colours are paler where the model is less certain.
    """
    names = list(tables.info["dataset"]["class_names"])
    layout = gallery_layout(tables, planes, order=order, confidence=confidence)
    x = alt.X("x:Q", scale=alt.Scale(domain=[0, layout.width], nice=False), axis=None)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[layout.height, 0], nice=False), axis=None)
    classes = _class_scale(names, layout.classes, _anchor_classes(planes))
    legend = _class_legend(names, layout.classes, _anchor_classes(planes))
    layers = [
        *_map_layers(layout, x, y),
        *_anchor_layers(layout, x, y, alt.Color("class:N", scale=classes, legend=legend)),
        *_thumbnail_layers(layout, x, y, alt.Stroke("class:N", scale=classes, legend=legend)),
        *_text_layers(layout, x, y),
    ]
    return alt.layer(*layers).properties(
        width=layout.width,
        height=layout.height,
        title=alt.TitleParams(
            "What each trained model answers on the same slices through the space of images",
            subtitle=[
                "Colour: the class the model names at that point"
                + (", paler where it is less certain" if confidence else "")
                + ". A row: models of one group; a block of columns: one slice.",
            ],
        ),
    )


def _anchor_classes(planes: Sequence[Plane]) -> set[int]:
    return {c for plane in planes for c in plane.anchor_classes if c >= 0}


def _class_scale(names: list[str], present: set[int], anchors: set[int]) -> alt.Scale:
    colours = class_colours(len(names))
    shown = sorted(present if len(present) <= LEGEND_CLASSES else anchors)
    return alt.Scale(
        domain=[*(names[c] for c in shown), NOTHING], range=[*(colours[c] for c in shown), MUTED]
    )


def _class_legend(names: list[str], present: set[int], anchors: set[int]) -> alt.Legend:
    complete = len(present) <= LEGEND_CLASSES
    shown = sorted(present if complete else anchors)
    return alt.Legend(
        title="class" if complete else "class (of the three images only)",
        orient="top",
        direction="horizontal",
        columns=10,
        values=[names[c] for c in shown],
        symbolType="square",
        symbolSize=160,
        symbolStrokeWidth=0,
        symbolOpacity=1,
    )


def _map_layers(layout: Layout, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    tooltip = [
        alt.Tooltip("group:N"),
        alt.Tooltip("model:N"),
        alt.Tooltip("accuracy:Q", title="test accuracy", format=".3f"),
        alt.Tooltip("largest:N", title="largest class"),
    ]
    return [
        alt.Chart(pd.DataFrame(rows))
        .mark_image(
            width=layout.sizes[plane_id][0],
            height=layout.sizes[plane_id][1],
            align="left",
            baseline="top",
            aspect=False,
            smooth=False,
        )
        .encode(x=x, y=y, url=alt.Url("uri:N"), tooltip=tooltip)
        for plane_id, rows in layout.maps.items()
    ]


def _anchor_layers(layout: Layout, x: alt.X, y: alt.Y, colour: alt.Color) -> list[alt.Chart]:
    shape = alt.Shape(
        "position:N", scale=alt.Scale(domain=[0, 1, 2], range=list(SHAPES)), legend=None
    )
    base = alt.Chart(pd.DataFrame(layout.anchors)).encode(x=x, y=y, shape=shape)
    # A white ring inside a dark one is seen on every class colour, also the anchor's own.
    ring = base.mark_point(filled=False, size=62, stroke="#111111", strokeWidth=4.5, opacity=1)
    spot = base.mark_point(filled=True, size=62, stroke="white", strokeWidth=2, opacity=1)
    return [ring, spot.encode(color=colour, tooltip=[alt.Tooltip("class:N", title="image of")])]


def _thumbnail_layers(layout: Layout, x: alt.X, y: alt.Y, stroke: alt.Stroke) -> list[alt.Chart]:
    base = alt.Chart(pd.DataFrame(layout.thumbnails)).encode(x=x, y=y)
    picture = base.mark_image(
        width=THUMB, height=THUMB, align="left", baseline="top", aspect=False, smooth=False
    )
    # Only the frame is drawn: a filled mark would cover the picture.
    frame = base.mark_rect(filled=False, strokeWidth=4).encode(x2="x2:Q", y2="y2:Q", stroke=stroke)
    return [picture.encode(url=alt.Url("uri:N")), frame]


def _text_layers(layout: Layout, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    texts = pd.DataFrame(layout.texts)
    styles: dict[str, dict[str, Any]] = {
        "title": {"fontSize": 12.5, "fontWeight": 600, "color": INK, "limit": 3 * SLOT},
        "class": {"fontSize": 11.5, "color": INK, "limit": SLOT - THUMB - 8},
        "seed": {"fontSize": 11, "color": MUTED, "limit": CELL},
        "name": {"fontSize": 13, "fontWeight": 600, "color": INK, "limit": NAMES - 8},
        "note": {"fontSize": 11, "color": MUTED, "limit": NAMES - 6},
    }
    return [
        alt.Chart(texts.loc[texts.role == role, ["x", "y", "text"]])
        .mark_text(align="left", baseline="middle", **style)
        .encode(x=x, y=y, text="text:N")
        for role, style in styles.items()
        if (texts.role == role).any()
    ]
