"""Agreement at epochs before the end: between seeds, and with a model's own end."""

import altair as alt
import pandas as pd

from dbray.report.figures.linked import followed, rule_there
from dbray.report.page.theme import LINE_COLOURS
from dbray.report.tables.intervals import ends_in_words
from dbray.store.score_schemas import BETWEEN_SEEDS, OWN_END

TITLES = {BETWEEN_SEEDS: "between seeds", OWN_END: "with its own end"}
PANEL = 300  # px
MOST_LINES = len(LINE_COLOURS)


def along_chart(found: pd.DataFrame) -> alt.TopLevelMixin:
    """One line a group, one panel a measure; ``found`` has the groups' names for people."""
    rows = found.assign(
        low=found.value_low,
        high=found.value_high,
        agreement=found.value,
    )
    rows["interval"] = ends_in_words(rows)
    names = sorted(rows.name.unique())
    panels = alt.hconcat(*(_panel(rows[rows.measure == m], m, names) for m in TITLES))
    chart: alt.TopLevelMixin = panels.add_params(*followed("epoch")).properties(
        title=alt.TitleParams(
            "When is it settled what a model will answer?",
            subtitle="Line: mean over seeds or pairs of seeds; bar: 95 % interval.",
        )
    )
    return chart


def _panel(rows: pd.DataFrame, measure: str, names: list[str]) -> alt.LayerChart | alt.FacetChart:
    title = f"agreement {TITLES[measure]}"
    scale = alt.Scale(domain=[0, 1])
    x = alt.X("epoch:Q", title="epoch", scale=alt.Scale(zero=False), axis=alt.Axis(format="d"))
    base = alt.Chart(rows).encode(
        x=x,
        color=alt.Color(
            "name:N",
            title="group",
            scale=alt.Scale(domain=names, range=list(LINE_COLOURS[: len(names)])),
            legend=alt.Legend(orient="top"),
        ),
        tooltip=[
            alt.Tooltip("name:N", title="group"),
            alt.Tooltip("epoch:Q"),
            alt.Tooltip("agreement:Q", format=".3f"),
            alt.Tooltip("interval:N", title="95 % interval"),
            alt.Tooltip("trials:Q", title="models"),
        ],
    )
    y = alt.Y("agreement:Q", title=title, scale=scale)
    return alt.layer(
        rule_there("epoch", sorted(rows.epoch.unique().tolist()), x),
        base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(
            y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q"
        ),
        base.mark_line(strokeWidth=1.6).encode(y=y),
        base.mark_point(filled=True, size=50, opacity=1).encode(y=y),
    ).properties(width=PANEL, height=220)
