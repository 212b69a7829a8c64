"""What links a figure with the explorer: a rule that stands where its slider is."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dbray.report.page.page import MOVED_TO
from dbray.report.page.theme import INK

HERE, POINTED_AT = 0.35, 0.6  # opacity


def followed(*axes: str) -> list[alt.Parameter]:
    """Parameters that the page's script sets to where the explorer is on these axes.

    Null until it has, and while all along an axis are shown.
    """
    return [alt.param(name=f"{MOVED_TO}{axis}", value=None) for axis in axes]


def is_there(axis: str) -> str:
    """Expression: whether a row is where the explorer is on an axis."""
    return f"datum.{axis} === {MOVED_TO}{axis}"


def is_shown(axis: str) -> str:
    """Likewise, or all along the axis are shown."""
    return f"({MOVED_TO}{axis} === null || {is_there(axis)})"


def rule_there(
    axis: str, values: Sequence[int], x: alt.X, pointed: alt.Parameter | None = None
) -> alt.Chart:
    """A rule at each value, seen where the explorer is, and where ``pointed`` selects it."""
    seen = alt.when(is_there(axis)).then(alt.value(HERE))
    if pointed is not None:
        seen = (
            alt.when(pointed).then(alt.value(POINTED_AT)).when(is_there(axis)).then(alt.value(HERE))
        )
    rule = alt.Chart(pd.DataFrame({axis: values})).mark_rule(color=INK, strokeWidth=1, aria=False)
    chart: alt.Chart = rule.encode(x=x, opacity=seen.otherwise(alt.value(0)))
    return chart
