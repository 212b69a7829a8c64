"""The gallery of decision regions: a row a group of models, a few planes side by side.

Drawn on a canvas of pixels: every picture, mark and word has its place in one layout, so that the
figure can be saved as a whole and all maps of a plane have the plane's true proportions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.names import KIND_TITLES, NOTHING, class_name, display_name
from analysis.palette import class_colours
from analysis.pictures import Plane
from analysis.regions import picture_uri, plotted_rectangle, png_uri, positions_in_picture
from analysis.tables import StudyTables, gallery_trials, group_order
from analysis.theme import INK, MUTED

CELL = 98  # px, the longer side of a map
GAP = 8  # px, between maps
PLANE_GAP = 34  # px, between planes
NAMES = 128  # px, the column of architecture names
LINE = 17  # px, in the column of names
THUMB = 38  # px
SLOT = 102  # px, a thumbnail with its class name
HEAD = 92  # px, plane title and thumbnails
SHAPES = ("circle", "triangle-up", "square")  # of anchors x1, x2, x3
LEGEND_CLASSES = 30  # more than this, and only the anchors' classes are named


@dataclass
class Layout:
    """What lies where, in pixels from the upper left corner."""

    confidence: bool = False  # whether colours show it
    width: float = 0.0
    height: float = 0.0
    maps: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # by plane id
    sizes: dict[int, tuple[float, float]] = field(default_factory=dict)  # of a plane's maps
    row: float = 0.0  # from one architecture to the next
    anchors: list[dict[str, Any]] = field(default_factory=list)
    thumbnails: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    classes: set[int] = field(default_factory=set)  # that occur in it


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


def gallery_layout(
    tables: StudyTables,
    planes: Sequence[Plane],
    *,
    order: Sequence[str] | None = None,
    confidence: bool = False,
) -> Layout:
    """Place maps, anchors, thumbnails and words."""
    layout = Layout(confidence=confidence)
    trials = gallery_trials(tables.trials)
    order = group_order(tables.trials, tables.groups) if order is None else order
    seeds = int(trials.groupby("label").size().max())
    left = float(NAMES)
    extent = tables.info["pictures"]["extent"]
    layout.sizes = {plane.plane_id: _map_size(plane, extent) for plane in planes}
    layout.row = max(height for _, height in layout.sizes.values()) + GAP
    for plane in planes:
        block = max(seeds * (CELL + GAP) - GAP, 3 * SLOT)
        _place_head(layout, plane, left, tables.info)
        _name_columns(layout, left, trials)
        _place_maps(layout, plane, left, order, trials, tables)
        left += block + PLANE_GAP
    apart = any(plane.apart for plane in planes)
    _place_names(layout, order, tables.inside[:0] if apart else tables.inside)
    layout.width = left - PLANE_GAP
    layout.height = HEAD + 20 + len(order) * layout.row - GAP
    return layout


def _map_size(plane: Plane, extent: float) -> tuple[float, float]:
    """Width and height of a plane's maps in pixels, in the plane's true proportions."""
    aspect = plotted_rectangle(plane.coordinates, extent).aspect
    return CELL * min(aspect, 1.0), CELL / max(aspect, 1.0)


def _place_head(layout: Layout, plane: Plane, left: float, info: dict[str, Any]) -> None:
    names = info["dataset"]["class_names"]
    title = f"Through {KIND_TITLES[plane.kind]}"
    layout.texts.append({"x": left, "y": 8, "text": title, "role": "title"})
    for position, (png, of_class) in enumerate(
        zip(plane.thumbnails, plane.anchor_classes, strict=True)
    ):
        x, y = left + position * SLOT, 24.0
        box = {"x": x, "y": y, "x2": x + THUMB, "y2": y + THUMB}
        name = class_name(names, of_class)
        about = {"class": name, "position": position, "uri": png_uri(png)}
        layout.thumbnails.append({**box, **about})
        layout.anchors.append({"x": x + THUMB + 11, "y": y + 9, **about})
        layout.texts.append({"x": x + THUMB + 5, "y": y + 27, "text": name, "role": "class"})
        if of_class >= 0:
            layout.classes.add(of_class)


def _place_maps(
    layout: Layout,
    plane: Plane,
    left: float,
    order: Sequence[str],
    trials: pd.DataFrame,
    tables: StudyTables,
) -> None:
    for row, label in enumerate(order):
        for column, trial in enumerate(trials[trials.label == label].itertuples()):
            x, y = left + column * (CELL + GAP), HEAD + 20 + row * layout.row
            if (str(trial.trial_id), plane.plane_id) in tables.pictures:
                _place_map(layout, plane, (x, y), trial, tables)


def _place_map(
    layout: Layout,
    plane: Plane,
    corner: tuple[float, float],
    trial: Any,  # noqa: ANN401 - a row of the trials' frame
    tables: StudyTables,
) -> None:
    picture = tables.pictures[trial.trial_id, plane.plane_id]
    label_map = picture.labels
    names, (width, height) = tables.info["dataset"]["class_names"], layout.sizes[plane.plane_id]
    found, counts = _unique(label_map)
    layout.classes.update(found)
    largest = max(zip(counts, found, strict=True))
    layout.maps.setdefault(plane.plane_id, []).append(
        {
            "x": corner[0],
            "y": corner[1],
            "uri": picture_uri(picture, len(names), confidence=layout.confidence),
            "group": trial.group,
            "model": trial.seed,
            "accuracy": trial.test_accuracy,
            "largest": f"{names[largest[1]]} ({largest[0] / label_map.size:.0%})",
        }
    )
    extent = tables.info["pictures"]["extent"]
    spots = positions_in_picture(plane.coordinates, extent, label_map.shape[0])
    for position, (right, down) in enumerate(spots.tolist()):
        layout.anchors.append(
            {
                "x": corner[0] + right * width,
                "y": corner[1] + down * height,
                "class": class_name(names, plane.anchor_classes[position]),
                "position": position,
            }
        )


def _unique(label_map: NDArray[np.unsignedinteger]) -> tuple[list[int], list[int]]:
    counts = pd.Series(label_map.ravel()).value_counts()
    return counts.index.tolist(), counts.tolist()


def _name_columns(layout: Layout, left: float, trials: pd.DataFrame) -> None:
    """Name the columns of one plane's block by what their models have in common."""
    members = trials.assign(column=trials.groupby("label").cumcount()).groupby("column").seed
    for column, names in enumerate(members.unique()):
        text = str(names[0]) if len(names) == 1 else f"model {column + 1}"
        x = left + column * (CELL + GAP)
        layout.texts.append({"x": x, "y": HEAD + 11, "text": text, "role": "seed"})


def _place_names(layout: Layout, order: Sequence[str], inside: pd.DataFrame) -> None:
    within = inside.set_index("group_a").agreement
    for row, label in enumerate(order):
        y = HEAD + 20 + row * layout.row + (layout.row - GAP) / 2
        name, _, rest = display_name(label).partition(" / ")
        lines = [("name", name), ("note", rest)]
        if label in within.index:
            lines.append(("note", f"agreement {within[label]:.2f}"))
        lines = [line for line in lines if line[1]]
        for number, (role, text) in enumerate(lines):
            middle = y + (number - (len(lines) - 1) / 2) * LINE
            layout.texts.append({"x": 0, "y": middle, "text": text, "role": role})


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
