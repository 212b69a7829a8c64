"""The report's part on ensembles: what k models that answer together buy."""

from typing import Any

import pandas as pd

from dbray.claims.names import display_name
from dbray.report.figures.ensembles import ensembles_chart
from dbray.report.page.page import Figure, Section, Table
from dbray.report.tables.intervals import row_with_interval
from dbray.report.tables.tables import StudyTables, records

MEASURES = {
    "accuracy": "accuracy",
    "accuracy_gain": "gain over one model",
    "churn": "churn of two ensembles",
    "churn_drop": "less than of two models",
}


def ensembles_section(ensembles: pd.DataFrame, tables: StudyTables) -> Section | None:
    """Accuracy and churn by the number of models that answer together."""
    found = ensembles[ensembles.group.isin(_groups(tables))]
    if not (found["size"] > 1).any():
        return None
    found = found.assign(name=found.group.map(display_name))
    prose = [
        "An ensemble answers with the class of the largest mean probability of its models. It "
        "costs as many forward passes as it has models. Churn is the share of test images on which "
        "two ensembles without a common model differ; of k models each, it takes 2 k seeds. "
        "Intervals are 95 %, over images and models."
    ]
    figure = Figure("ensembles", ensembles_chart(found), _in_words(found))
    return Section("What an ensemble buys", prose, [figure], [_table(found)], folded=True)


def _groups(tables: StudyTables) -> list[str]:
    """The groups that are shown; where sources are varied, those in which all differ."""
    if "varied" not in tables.info["group_by"]:
        return tables.shown
    return [label for label in tables.shown if "/" not in label]


def _in_words(found: pd.DataFrame) -> str:
    gains = found[found.measure == "accuracy_gain"]
    size = int(gains["size"].max())
    rows = gains[gains["size"] == size].sort_values("value")
    most = records(rows)[-1]
    above = int(((rows.value_low > 0) & ~rows.planes_only).sum())
    many = len(rows) > 1
    return (
        f"{size} models together gain {row_with_interval(most, 'value', signed=True)} in accuracy "
        f"over one of them for {most['name']}"
        + (f", the most of {len(rows)} groups" if many else "")
        + (f"; told from zero in {above} of {len(rows)}." if many else ".")
    )


def _table(found: pd.DataFrame) -> Table:
    """One row a group and size; measures that need more models than there are have no column."""
    by = {(r["group"], r["size"], r["measure"]): r for r in records(found)}
    measures = [measure for measure in MEASURES if (found.measure == measure).any()]
    rows = [
        [
            row["name"],
            f"{row['size']} of {row['models']}",
            *(_cell(by.get((row["group"], row["size"], measure))) for measure in measures),
        ]
        for row in records(found[found.measure == "accuracy"])
    ]
    return Table(["group", "models", *(MEASURES[measure] for measure in measures)], rows)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return row_with_interval(row, "value", signed=row["measure"] in ("accuracy_gain", "churn_drop"))
