"""Figures of a double-descent study along the training: curves in, Altair chart out."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dbray.report.figures.linked import followed, rule_there
from dbray.report.figures.width_charts import PANEL_WIDTH, curve_layers
from dbray.report.page.theme import LINE_COLOURS
from dbray.report.tables.width_curves import MEASURES, WidthCurves

EPOCH_MEASURES = ("test_error", "fragmentation", "agreement")
WIDTHS_SHOWN = 5


def epochs_chart(curves: WidthCurves, last_epoch: int) -> alt.TopLevelMixin:
    """Three measures along the training, a colour a width, a row a label noise."""
    rows = curves.curves.assign(epoch=lambda f: f.epoch.where(f.epoch > 0, last_epoch))
    some = _spread(
        sorted(curves.curves[curves.curves.epoch > 0].width.unique().tolist()), WIDTHS_SHOWN
    )
    colour = alt.Color(
        "width:O",
        title="width",
        scale=alt.Scale(domain=some, range=LINE_COLOURS[: len(some)]),
        legend=alt.Legend(orient="top", symbolOpacity=1),
    )
    axis = _epoch_axis()
    rule = rule_there("epoch", sorted(rows.epoch.unique().tolist()), axis)
    measures = [measure for measure in MEASURES if measure.name in EPOCH_MEASURES]
    grid = []
    for noise in curves.noises:
        of_noise = rows[(rows.noise == noise) & rows.width.isin(some)]
        panels = [
            alt.LayerChart(
                layer=[
                    *curve_layers(
                        of_noise[of_noise.measure == measure.name],
                        measure,
                        axis,
                        colour,
                        [alt.Tooltip("epoch:Q")],
                    ),
                    rule,
                ],
                width=270,
                height=160,
                title=f"{measure.title}: {noise}",
            )
            for measure in measures
        ]
        grid.append(alt.hconcat(*panels, spacing=24))
    grown = alt.vconcat(*grid, spacing=20).add_params(*followed("epoch"))
    chart: alt.TopLevelMixin = grown.properties(
        title=alt.TitleParams(
            f"What happens to {curves.family} along the training?",
            subtitle="Line: mean over seeds; band: 95 % interval. The last point is the end.",
        )
    )
    return chart


def history_chart(history: pd.DataFrame, noises: Sequence[str]) -> alt.TopLevelMixin:
    """Test error while training, a line a width (mean over seeds), a panel a label noise.

    Parameters
    ----------
    history
        Rows with ``noise``, ``width``, ``epoch`` and ``test_error``.
    """
    means = history.groupby(["noise", "width", "epoch"], as_index=False).test_error.mean()
    colour = alt.Color(
        "width:Q",
        title="width (log scale)",
        scale=alt.Scale(type="log", base=2, scheme="viridis"),
    )
    panels = [
        alt.Chart(means[means.noise == noise])
        .mark_line(strokeWidth=1.6)
        .encode(
            x=_epoch_axis(),
            y=alt.Y("test_error:Q", title="test error", axis=alt.Axis(format=".0%")),
            color=colour,
            detail="width:Q",
            tooltip=[
                alt.Tooltip("width:Q"),
                alt.Tooltip("epoch:Q"),
                alt.Tooltip("test_error:Q", title="test error", format=".1%"),
            ],
        )
        .properties(width=PANEL_WIDTH, height=220, title=noise[0].upper() + noise[1:])
        for noise in noises
    ]
    rows = [alt.hconcat(*panels[at : at + 2], spacing=36) for at in range(0, len(panels), 2)]
    chart: alt.TopLevelMixin = alt.vconcat(*rows).properties(
        title=alt.TitleParams(
            "Does test error rise again while a network trains?",
            subtitle="One line a width, mean over seeds. Dark: narrow; light: wide.",
        )
    )
    return chart


def _spread(values: Sequence[int], count: int) -> list[int]:
    """At most so many of the values, evenly spread, the first and the last among them."""
    if len(values) <= count:
        return list(values)
    step = (len(values) - 1) / (count - 1)
    return [values[round(place * step)] for place in range(count)]


def _epoch_axis() -> alt.X:
    return alt.X(
        "epoch:Q",
        title="epoch (log scale)",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(grid=False, format="~s", labelOverlap=True, labelSeparation=8),
    )
