"""Figure of claims: the differences that they name, with intervals, around zero."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dbray.claims import NAMED, Result, decided
from dbray.report.page.theme import INK, MUTED
from dbray.report.tables.intervals import ends_in_words

WIDTH = 560
ROW = 24  # px, of a difference
COLOURS = {"above zero": "#0072b2", "below zero": "#d55e00", "cannot be told": "#8a8a8a"}


def contrasts_chart(results: Sequence[Result]) -> alt.TopLevelMixin:
    """One row a difference: a point, its interval, and the line of no difference."""
    frame = pd.DataFrame(
        [
            {
                "name": result.name if result.claim == NAMED else f"{result.claim}: {result.name}",
                "difference": result.difference,
                "low": result.low,
                "high": result.high,
                "planes_only": result.planes_only,
                "told": _told(result),
                "decides": "yes" if result.decides else "no, it is for comparison",
                "p": result.p,
                "seeds": result.seeds,
            }
            for result in results
        ]
    )
    frame["interval"] = ends_in_words(frame, "+.3f")
    order = list(frame.name)
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=420, labelFontSize=12))
    colour = alt.Color(
        "told:N",
        title=None,
        scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
        legend=alt.Legend(orient="top"),
    )
    scale = alt.Scale(zero=True, nice=True)
    base = alt.Chart(frame)
    faint = alt.condition(alt.datum.decides == "yes", alt.value(1), alt.value(0.45))
    layers = [
        alt.Chart(pd.DataFrame({"zero": [0]}))
        .mark_rule(color=MUTED, strokeDash=[4, 3])
        .encode(x="zero:Q"),
        base.mark_rule(strokeWidth=3).encode(
            x=alt.X("low:Q", title="difference, with its interval", scale=scale),
            x2="high:Q",
            y=y,
            color=colour,
            opacity=faint,
        ),
        base.mark_point(filled=True, size=90).encode(
            x=alt.X("difference:Q", scale=scale),
            y=y,
            color=colour,
            opacity=faint,
            tooltip=[
                alt.Tooltip("name:N", title="difference"),
                alt.Tooltip("difference:Q", title="value", format="+.3f"),
                alt.Tooltip("interval:N", title="interval"),
                alt.Tooltip("p:Q", format=".2g"),
                alt.Tooltip("seeds:Q"),
                alt.Tooltip("decides:N", title="decides the claim"),
            ],
        ),
    ]
    chart: alt.TopLevelMixin = alt.layer(*layers).properties(
        width=WIDTH,
        height=ROW * max(2, len(order)),
        title=alt.TitleParams(
            "Which differences are told from zero?",
            subtitle="Right of zero: as the claim says. Faint: for comparison, decides nothing.",
            color=INK,
        ),
    )
    return chart


def _told(result: Result) -> str:
    if not decided(result):
        return "cannot be told"
    return "above zero" if result.difference > 0 else "below zero"
