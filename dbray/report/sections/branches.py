"""The report's part on trainings that part on their way: when it is decided where they end."""

from typing import Any

import altair as alt
import pandas as pd

from dbray.claims.names import display_name
from dbray.report.figures.linked import followed, rule_there
from dbray.report.page.page import Figure, Section, Table
from dbray.report.page.theme import MUTED
from dbray.report.tables.intervals import ends_in_words, row_with_interval
from dbray.report.tables.tables import StudyTables, records

WHAT = {"order": "order of the images", "bit": "last bit of one weight"}
PANELS = {
    "disagreement": "disagreement of the two ends",
    "barrier": "barrier between the two ends",
    "barrier_matched": "barrier, weights matched",
}


def branches_section(tables: StudyTables) -> Section | None:
    """Disagreement and barrier by the epoch after which trainings part."""
    frame = tables.branches
    if not len(frame):
        return None
    prose = [
        "A training is copied after an epoch. One copy goes on as before, the other with another "
        "order of the images, or with the last bit of one weight changed. The dashed line is "
        "where two trainings end up that share nothing.",
    ]
    if frame.barrier.notna().any():
        prose.append(
            "The barrier is the most by which the test error on the straight line between the two "
            "networks' weights exceeds the mean error of its ends (Frankle et al. 2020). Matching "
            "first permutes the hidden units of one network to be like those of the other "
            "(Ainsworth et al. 2023)."
        )
    without = sorted({display_name(n) for n in frame[frame.barrier_matched.isna()].architecture})
    if without and frame.barrier.notna().any():
        prose.append(f"Weights are not matched for: {', '.join(without)}.")
    rows = [
        [
            display_name(row["architecture"]),
            WHAT[row["what"]],
            str(row["branch_epoch"]),
            *("" if pd.isna(row[name]) else row_with_interval(row, name) for name in PANELS),
        ]
        for row in records(frame)
    ]
    columns = ["architecture", "what changes", "after epoch", *PANELS.values()]
    return Section(
        "When is it decided?",
        prose,
        [Figure("branches", branches_chart(frame, tables.randomness), _in_words(frame))],
        [Table(columns, rows)],
    )


def branches_chart(frame: pd.DataFrame, sources: pd.DataFrame) -> alt.TopLevelMixin:
    """Panels side by side, one row of them for each thing that changes."""
    together = sources[sources.source == "all"].assign(
        name=lambda rows: rows.architecture.map(display_name)
    )
    panels = [name for name in PANELS if frame[name].notna().any()]
    rows = alt.vconcat(
        *(
            alt.hconcat(
                *(
                    _panel(
                        frame[frame.what == what],
                        name,
                        f"{WHAT[what]} changes",
                        together if name == "disagreement" else together[:0],
                    )
                    for name in panels
                )
            )
            for what in WHAT
            if (frame.what == what).any()
        )
    )
    chart: alt.TopLevelMixin = rows.add_params(*followed("branch_epoch"))
    return chart


def _panel(frame: pd.DataFrame, column: str, title: str, together: pd.DataFrame) -> alt.LayerChart:
    """A score against the epoch, one line an architecture."""
    rows = frame.assign(
        name=frame.architecture.map(display_name),
        score=frame[column],
        low=frame[f"{column}_low"],
        high=frame[f"{column}_high"],
    ).dropna(subset=["score"])
    rows["interval"] = ends_in_words(rows)
    colour = alt.Color("name:N", title=None, legend=alt.Legend(orient="top"))
    epochs = sorted(frame.branch_epoch.unique().tolist())
    x = alt.X(
        "branch_epoch:Q",
        title="epoch after which they part",
        axis=alt.Axis(values=epochs, format="d", grid=False),
    )
    base = alt.Chart(rows).encode(x=x, color=colour)
    y = alt.Y("score:Q", title=PANELS[column], axis=alt.Axis(format="%"))
    tips = [
        alt.Tooltip("name:N", title="architecture"),
        alt.Tooltip("branch_epoch:Q", title="after epoch"),
        alt.Tooltip("score:Q", title=PANELS[column], format=".3f"),
        alt.Tooltip("interval:N", title="95 % interval"),
    ]
    level = (
        alt.Chart(together).mark_rule(strokeDash=[4, 3]).encode(y="disagreement:Q", color=colour)
    )
    zero = alt.Chart().mark_rule(color=MUTED, aria=False).encode(y=alt.datum(0))
    return alt.LayerChart(
        layer=[
            level if len(together) else zero,
            rule_there("branch_epoch", epochs, x),
            base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q"), y2="high:Q"),
            base.mark_line().encode(y=y),
            base.mark_point(filled=True, size=70).encode(y=y, tooltip=tips),
        ]
    ).properties(width=230, height=200, title=title)


def _in_words(frame: pd.DataFrame) -> str:
    """First and last point of each line."""
    found = []
    for (architecture, what), rows in frame.groupby(["architecture", "what"]):
        ends: list[dict[str, Any]] = records(rows.sort_values("branch_epoch"))
        first, last = ends[0], ends[-1]
        said = f"{display_name(str(architecture))}, {WHAT[str(what)]}: "
        said += f"{first['disagreement']:.1%} after epoch {first['branch_epoch']}"
        if len(ends) > 1:
            said += f", {last['disagreement']:.1%} after epoch {last['branch_epoch']}"
        found.append(said)
    return "; ".join(found) + "."
