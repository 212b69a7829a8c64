"""Where the gallery of decision regions puts its maps, marks and words: one layout in pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dbray.claims.names import display_name
from dbray.report.figures.regions import (
    picture_uri,
    plotted_rectangle,
    png_uri,
    positions_in_picture,
)
from dbray.report.page.names import KIND_TITLES, class_name
from dbray.report.tables.pictures import Plane
from dbray.report.tables.tables import StudyTables, gallery_trials, group_order

CELL = 98  # px, the longer side of a map
GAP = 8  # px, between maps
PLANE_GAP = 34  # px, between planes
NAMES = 128  # px, the column of architecture names
LINE = 17  # px, in the column of names
THUMB = 38  # px
SLOT = 102  # px, a thumbnail with its class name
HEAD = 92  # px, plane title and thumbnails


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
