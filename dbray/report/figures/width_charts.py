"""Figures of a double-descent study, one function each: curves in, Altair chart out."""

import warnings
from collections.abc import Sequence

import altair as alt
import pandas as pd

from dbray.report.figures.linked import followed, is_shown, is_there, rule_there
from dbray.report.page.theme import LINE_COLOURS, MUTED
from dbray.report.tables.intervals import ends_in_words
from dbray.report.tables.width_curves import MEASURES, Measure, WidthCurves

PANEL_WIDTH, PANEL_HEIGHT = 400, 190  # px
Y_LABELS = 34  # px: panels above each other stand in line
WIDTH_TITLE = "width (log scale)"
KINDS = {
    "test": "test images",
    "train": "training images",
    "train_correct": "training images, right labels",
    "train_mislabelled": "training images, wrong labels",
}


def curves_chart(curves: WidthCurves) -> alt.TopLevelMixin:
    """All measures along the width; a width that is pointed at is marked in every panel."""
    hover = alt.selection_point(
        name="pointed",
        fields=["width"],
        on="pointerover",
        clear="pointerout",
        nearest=True,
        empty=False,
    )
    colour = alt.Color(
        "noise:N",
        title="training labels",
        scale=alt.Scale(domain=curves.noises, range=LINE_COLOURS[: len(curves.noises)]),
        legend=alt.Legend(orient="top", symbolOpacity=1),
    )
    panels = [_panel(curves, measure, colour, hover) for measure in MEASURES]
    with warnings.catch_warnings():
        # Of the panels' equal selections Altair makes one, which is what links them.
        warnings.filterwarnings("ignore", message="Automatically deduplicated")
        grid = alt.concat(*panels, columns=2, spacing=30)
    chart: alt.TopLevelMixin = grid.add_params(*followed("width", "noise")).properties(
        title=alt.TitleParams(
            f"What happens to {curves.family} where it just fits its labels?",
            subtitle=[
                "Line: mean over seeds; band: 95 % interval; faint dot: one model (a pair of "
                "models, for agreement).",
                "Dashed: the threshold, the smallest width that fits 99 % of the labels it was "
                "taught; shaded: its 95 % interval. Point at a width to find it everywhere.",
            ],
        )
    )
    return chart


def kinds_chart(curves: WidthCurves, noise: str) -> alt.TopLevelMixin:
    """Fragmentation, margin and class skips of one label noise by kind of planes or images."""
    kinds = [kind for kind in KINDS if kind in set(curves.by_kind.kind)]
    names = [KINDS[kind] for kind in kinds]
    colour = alt.Color(
        "name:N",
        title="planes through, lines from",
        scale=alt.Scale(domain=names, range=LINE_COLOURS[2 : 2 + len(names)]),
        legend=alt.Legend(orient="top", columns=2, labelLimit=260, symbolOpacity=1),
    )
    titles = {
        "fragmentation": "regions a plane",
        "margin": "mean margin",
        "skips": "class skips on a line",
    }
    rows = curves.by_kind[(curves.by_kind.noise == noise) & curves.by_kind.kind.isin(kinds)]
    named = rows.assign(name=rows.kind.map(KINDS))
    panels = [
        alt.LayerChart(
            layer=curve_layers(
                named[named.measure == measure],
                Measure(measure, title),
                _width_axis(curves.widths),
                colour,
                [alt.Tooltip("name:N", title="planes or images")],
            ),
            width=270,
            height=PANEL_HEIGHT,
            title=title[0].upper() + title[1:],
        )
        for measure, title in titles.items()
    ]
    chart: alt.TopLevelMixin = alt.hconcat(*panels, spacing=24).properties(
        title=alt.TitleParams(
            f"Around which images is it crowded? {noise[0].upper()}{noise[1:]}",
            subtitle="Line: mean over seeds; band: 95 % interval over planes or images, and seeds.",
        )
    )
    return chart


def _panel(
    curves: WidthCurves, measure: Measure, colour: alt.Color, hover: alt.Parameter
) -> alt.LayerChart:
    """One measure against the width, with threshold, trials and the width that is pointed at."""
    x = _width_axis(curves.widths)
    rows = curves.final[curves.final.measure == measure.name]
    dots = curves.dots[curves.dots.measure == measure.name]
    tooltip = [alt.Tooltip("noise:N", title="training labels")]
    curve = curve_layers(rows, measure, x, colour, tooltip)
    each = (
        alt.Chart(dots)
        .mark_point(filled=True, size=16, opacity=0.35)
        .encode(
            x=x,
            y="value:Q",
            color=colour,
            tooltip=[
                alt.Tooltip("member:N", title="model"),
                alt.Tooltip("width:Q"),
                alt.Tooltip("value:Q", title=measure.title, format=_format(measure)),
            ],
        )
    )
    rule = rule_there("width", curves.widths, x, hover)
    marked = _marked(curves, measure, rows, hover).encode(x=x, color=colour)
    title = measure.title[0].upper() + measure.title[1:]
    layers = [*_threshold_layers(curves, colour, x), *curve, each, rule, marked]
    return alt.LayerChart(layer=layers, width=PANEL_WIDTH, height=PANEL_HEIGHT, title=title)


def _marked(
    curves: WidthCurves, measure: Measure, rows: pd.DataFrame, hover: alt.Parameter
) -> alt.Chart:
    """Points at the width that is pointed at, and where the explorer is.

    The nearest one's tooltip has all noises' values at its width. Only numbers: Vega-Lite shows
    text as undefined where the nearest mark is looked for.
    """
    rows = rows[["width", "noise", "value"]]
    form = _format(measure)
    tooltip = [alt.Tooltip("width:Q")]
    for place, noise in enumerate(curves.noises):
        found = curves.curve(measure.name, noise)[["value", "low", "high"]]
        rows = rows.join(found.add_suffix(f"_{place}"), on="width")
        tooltip += [
            alt.Tooltip(f"value_{place}:Q", title=noise, format=form),
            alt.Tooltip(f"low_{place}:Q", title="95 % interval from", format=form),
            alt.Tooltip(f"high_{place}:Q", title="to", format=form),
        ]
    here = f"{is_there('width')} && {is_shown('noise')}"
    seen = alt.when(hover).then(alt.value(1)).when(here).then(alt.value(1))
    points = alt.Chart(rows).mark_point(filled=True, size=90, stroke="white")
    chart: alt.Chart = points.encode(
        y="value:Q", opacity=seen.otherwise(alt.value(0)), tooltip=tooltip
    ).add_params(hover)
    return chart


def curve_layers(
    rows: pd.DataFrame,
    measure: Measure,
    x: alt.X,
    colour: alt.Color,
    about: Sequence[alt.Tooltip],
) -> list[alt.Chart]:
    """Means as a line with points, their intervals as a band."""
    scale = alt.Scale(zero=False, nice=True)
    form = ".0%" if measure.percent else ".3~g"
    y = alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(format=form, minExtent=Y_LABELS))
    interval = ends_in_words(rows, _format(measure))
    base = alt.Chart(rows.assign(interval=interval)).encode(x=x, color=colour)
    band = base.mark_area(opacity=0.18).encode(
        y=alt.Y("low:Q", title=None, scale=scale), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=2).encode(y=y)
    points = base.mark_point(filled=True, size=30, opacity=1).encode(
        y=y, tooltip=_tooltip(measure, about)
    )
    return [band, line, points]


def _tooltip(measure: Measure, about: Sequence[alt.Tooltip]) -> list[alt.Tooltip]:
    form = _format(measure)
    return [
        *about,
        alt.Tooltip("width:Q"),
        alt.Tooltip("value:Q", title=measure.title, format=form),
        alt.Tooltip("interval:N", title="95 % interval"),
    ]


def _threshold_layers(curves: WidthCurves, colour: alt.Color, x: alt.X) -> list[alt.Chart]:
    """Threshold and interval of each label noise; one past the largest width has no line."""
    largest = curves.widths[-1]
    rows = pd.DataFrame(
        [
            {
                "noise": noise,
                "width": found.width,
                "from": found.low or largest,
                "to": found.high or largest,
            }
            for noise, found in curves.thresholds.items()
            if found.width is not None
        ],
        columns=["noise", "width", "from", "to"],
    )
    if not len(rows):
        return []
    base = alt.Chart(rows).encode(color=colour)
    span = base.mark_rect(opacity=0.1, strokeWidth=0).encode(
        x=alt.X("from:Q", title=WIDTH_TITLE, scale=_width_scale(curves.widths)), x2="to:Q"
    )
    line = base.mark_rule(strokeDash=[5, 4], strokeWidth=1.5).encode(
        x=x,
        tooltip=[
            alt.Tooltip("noise:N", title="training labels"),
            alt.Tooltip("width:Q", title="threshold"),
            alt.Tooltip("from:Q", title="95 % interval from"),
            alt.Tooltip("to:Q", title="to"),
        ],
    )
    return [span, line]


def _width_axis(widths: Sequence[int]) -> alt.X:
    return alt.X(
        "width:Q",
        title=WIDTH_TITLE,
        scale=_width_scale(widths),
        axis=alt.Axis(values=_ticks(widths), grid=False, format="d", labelColor=MUTED),
    )


def _width_scale(widths: Sequence[int]) -> alt.Scale:
    return alt.Scale(type="log", base=2, nice=False, domain=[widths[0], widths[-1]])


def _ticks(widths: Sequence[int]) -> list[int]:
    """Widths that are far enough apart for their labels."""
    shown = [widths[0]]
    for width in widths[1:]:
        if width >= 1.4 * shown[-1]:
            shown.append(width)
    return shown


def _format(measure: Measure) -> str:
    return ".1%" if measure.percent else ".2f"
