"""The explorer of two studies on the same planes: both studies' models of each group."""

from collections.abc import Sequence

import numpy as np

from dbray.claims.contrasts import SCORED_KIND
from dbray.claims.names import display_name
from dbray.planes import plane_ids_of
from dbray.report.explorer.models import Shown
from dbray.report.explorer.part import HOW, instrument
from dbray.report.explorer.slices import SLICES, scored_slices
from dbray.report.page.page import Instrument
from dbray.report.tables.pictures import read_planes
from dbray.report.tables.selection import GROUPS_PICTURED, evenly_spaced
from dbray.report.tables.two_studies import Side
from dbray.store import read_label_maps

MOST_MODELS = 120


def explorer_of_two(
    sides: tuple[Side, Side], names: tuple[str, str], labels: Sequence[str], planes: int
) -> Instrument | None:
    """Both studies' models on the same slices, a row a group and study."""
    labels = evenly_spaced(labels, GROUPS_PICTURED)
    of_rows = [(label, at) for label in labels for at in range(len(sides))]
    seeds = max(1, MOST_MODELS // len(of_rows))
    trials = [
        (row, sides[at], trial)
        for row, (label, at) in enumerate(of_rows)
        for trial in sides[at].groups[label][:seeds]
    ]
    ids = plane_ids_of(SCORED_KIND, min(SLICES, planes))
    shown = Shown(
        [f"{display_name(label)}, {names[at]}" for label, at in of_rows],
        [],
        [{"row": row, "at": [], "agreement": "", "mixed": False} for row in range(len(of_rows))],
        [
            {
                "group": row,
                "seed": trial.config.member,
                "accuracy": f": test accuracy {trial.metrics['test_accuracy']:.1%}",
            }
            for row, _, trial in trials
        ],
    )
    maps = [read_label_maps(side.study, trial, ids.start, ids.stop) for _, side, trial in trials]
    info = sides[0].info
    return instrument(
        shown,
        scored_slices(
            read_planes(sides[0].study, ids), np.stack(maps, axis=1), info["planes"]["extent"]
        ),
        info["dataset"]["class_names"],
        pairs={},
        tests=None,
        about=lambda _: f"{HOW} {len(trials)} models of both studies call it.",
    )
