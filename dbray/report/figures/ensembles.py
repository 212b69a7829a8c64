"""Ensembles by their size: accuracy, and churn of two of them."""

import altair as alt
import pandas as pd

from dbray.report.page.theme import INK
from dbray.report.tables.intervals import ends_in_words

TITLES = {
    "accuracy": "test accuracy",
    "churn": "share of test images on which two differ",
}
SHADES = {1: "#8c8c8c", 2: "#0072b2", 4: "#d55e00"}  # by size
ROW = 18  # px, of a size of one group
PANEL = 250  # px


def ensembles_chart(found: pd.DataFrame) -> alt.TopLevelMixin:
    """One row a group, one point a size; accuracy and churn side by side.

    ``found`` has rows of ``ensembles.parquet`` with the groups' names for people.
    """
    sizes = sorted(found["size"].unique())
    panels = [
        _panel(found[found.measure == measure], sizes, title)
        for measure, title in TITLES.items()
        if (found.measure == measure).any()
    ]
    return alt.hconcat(*panels).properties(
        title=alt.TitleParams(
            "What do models gain by answering together?",
            subtitle="Point: mean over all ensembles of that size; bar: 95 % interval.",
            color=INK,
        )
    )


def _panel(frame: pd.DataFrame, sizes: list[int], title: str) -> alt.LayerChart | alt.FacetChart:
    rows = frame.assign(
        low=frame.value_low,
        high=frame.value_high,
        models_together=frame["size"].astype(str),
    )
    rows["interval"] = ends_in_words(rows)
    order = [str(size) for size in sizes]
    x = alt.X("value:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    base = alt.Chart(rows).encode(
        y=alt.Y("name:N", title=None),
        yOffset=alt.YOffset("models_together:N", sort=order, scale=alt.Scale(paddingOuter=0.4)),
        color=alt.Color(
            "models_together:N",
            title="models together",
            sort=order,
            scale=alt.Scale(domain=order, range=[SHADES[size] for size in sizes]),
            legend=alt.Legend(orient="top"),
        ),
        tooltip=[
            alt.Tooltip("name:N", title="group"),
            alt.Tooltip("models_together:N", title="models together"),
            alt.Tooltip("value:Q", title=title, format=".4f"),
            alt.Tooltip("interval:N", title="95 % interval"),
        ],
    )
    bars = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    return alt.layer(bars, base.mark_point(filled=True, size=70, opacity=1).encode(x=x)).properties(
        width=PANEL, height=rows.name.nunique() * (ROW * len(sizes) + 10)
    )
