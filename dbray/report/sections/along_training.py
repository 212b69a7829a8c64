"""The report's part on agreement along the training, of studies that look before the end."""

from typing import Any

import pandas as pd

from dbray.claims.names import display_name
from dbray.report.figures.along_training import MOST_LINES, along_chart
from dbray.report.page.page import Figure, Section, Table
from dbray.report.tables.intervals import row_with_interval
from dbray.report.tables.selection import evenly_spaced
from dbray.report.tables.tables import StudyTables, records
from dbray.store.score_schemas import BETWEEN_SEEDS, OWN_END


def along_section(along: pd.DataFrame, tables: StudyTables) -> Section | None:
    """Agreement between seeds at each epoch, and of models with their own end."""
    shown = [label for label in tables.shown if label in set(along.group)]
    if not shown:
        return None
    some = evenly_spaced(shown, MOST_LINES)
    found = along[along.group.isin(some)]
    found = found.assign(name=found.group.map(display_name))
    prose = [
        "Models were looked at on their way, too. Agreement between seeds compares two models at "
        "the same epoch; agreement with its own end compares a model with what it became. Scores "
        "and claims elsewhere on this page are of the ends alone."
    ]
    if len(some) < len(shown):
        prose.append(f"{len(some)} of {len(shown)} groups are shown, evenly spaced in their order.")
    figure = Figure("along-training", along_chart(found), _in_words(found))
    return Section("Along the training", prose, [figure], [_table(found)])


def _in_words(found: pd.DataFrame) -> str:
    """What the group says whose agreement with its own end is the least at the first epoch."""
    first = int(found.epoch.min())
    own = found[(found.measure == OWN_END) & (found.epoch == first)].sort_values("value")
    least = records(own)[0]
    between = found[(found.measure == BETWEEN_SEEDS) & (found.group == least["group"])]
    seeds = {row["epoch"]: row_with_interval(row, "value") for row in records(between)}
    last = int(found[found.group == least["group"]].epoch.max())
    said = (
        f"At epoch {first} of {last}, a model of {least['name']} agrees with its own end on "
        f"{row_with_interval(least, 'value')} of points"
    )
    if first in seeds and last in seeds:
        said += f"; two seeds agree on {seeds[first]} then, and on {seeds[last]} at the end"
    return f"{said}."


def _table(found: pd.DataFrame) -> Table:
    by: dict[tuple[str, int], dict[str, Any]] = {}
    for row in records(found.sort_values(["group", "epoch"])):
        by.setdefault((row["name"], row["epoch"]), {})[row["measure"]] = row
    rows = [
        [name, str(epoch), *(_cell(of.get(measure)) for measure in (BETWEEN_SEEDS, OWN_END))]
        for (name, epoch), of in by.items()
    ]
    return Table(["group", "epoch", "between seeds", "with its own end"], rows)


def _cell(row: dict[str, Any] | None) -> str:
    return "" if row is None else row_with_interval(row, "value")
