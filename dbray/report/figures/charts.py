"""Figures of a study, one function each: frame in, Altair chart out."""

import altair as alt
import pandas as pd

from dbray.claims.names import display_name
from dbray.report.page.theme import FAMILY_SCALE, INK, LINE_COLOURS, MUTED
from dbray.report.tables.intervals import ends_in_words
from dbray.report.tables.selection import thinned
from dbray.report.tables.tables import StudyTables, group_order

ROW = 34  # px, a row of a chart with one architecture a row
WIDE = 560  # px, the plotting area of a chart that stands alone

PLANES = {"train": "training"}
MEASURES = {
    "agreement": "agreement",
    "kappa": "chance-corrected agreement (Cohen's kappa)",
    "jaccard": "mean Jaccard index of the classes",
}


def agreement_matrix(tables: StudyTables) -> alt.TopLevelMixin:
    """Agreement of every pair of groups, the value in each cell."""
    names = [display_name(label) for label in group_order(tables.trials, tables.groups)]
    side = min(76, max(44, 560 // max(1, len(names))))
    base = alt.Chart(_both_halves(tables.groups)).encode(
        x=alt.X("column:N", sort=names, title=None, axis=alt.Axis(orient="top", labelAngle=-30)),
        y=alt.Y("row:N", sort=names, title=None),
    )
    low = float(tables.groups.agreement.min()) if len(tables.groups) else 0.0
    scale = alt.Scale(scheme="blues", domain=[max(0.0, low - 0.1), 1])
    cells = base.mark_rect(stroke="white", strokeWidth=2).encode(
        color=alt.Color(
            "agreement:Q", scale=scale, title="agreement", legend=alt.Legend(format=".0%")
        ),
        tooltip=[
            alt.Tooltip("row:N", title="group"),
            alt.Tooltip("column:N", title="with"),
            alt.Tooltip("agreement:Q", format=".3f"),
            alt.Tooltip("interval:N", title="95 % interval"),
            alt.Tooltip("kappa:Q", title="kappa", format=".3f"),
            alt.Tooltip("jaccard:Q", title="Jaccard", format=".3f"),
            alt.Tooltip("pairs:Q", title="pairs of models"),
        ],
    )
    middle = (1 + max(0.0, low - 0.1)) / 2
    text = base.mark_text(fontSize=12).encode(
        text=alt.Text("agreement:Q", format=".2f"),
        color=alt.condition(
            alt.datum.agreement > middle + 0.05, alt.value("white"), alt.value(INK)
        ),
    )
    return alt.layer(cells, text).properties(
        width=side * len(names),
        height=side * 0.72 * len(names),
        title=alt.TitleParams(
            "How often do two models agree?",
            subtitle=[
                "Share of points with the same predicted class. On the diagonal: two distinct "
                "models of one group.",
                "Hover over a cell for its interval and the chance-corrected value.",
            ],
        ),
    )


def within_agreement(tables: StudyTables) -> alt.TopLevelMixin:
    """Agreement between seeds of one group with its interval; each pair of trials a faint dot."""
    inside = tables.inside.sort_values("agreement", ascending=False)
    inside = inside.assign(interval=ends_in_words(inside))
    order = list(inside.name_a)
    pairs = tables.pairs[tables.pairs.label_a == tables.pairs.label_b]
    y = alt.Y("name_a:N", sort=order, title=None)
    colour = alt.Color("family:N", scale=alt.Scale(**FAMILY_SCALE), title="family")
    x_scale = alt.Scale(zero=False, nice=True)
    title = "agreement between two models of a group (share of points)"
    bars = (
        alt.Chart(inside)
        .mark_rule(strokeWidth=3)
        .encode(x=alt.X("low:Q", scale=x_scale, title=title), x2="high:Q", y=y, color=colour)
    )
    points = (
        alt.Chart(inside)
        .mark_point(filled=True, size=110, opacity=1)
        .encode(
            x=alt.X("agreement:Q", scale=x_scale),
            y=y,
            color=colour,
            tooltip=[
                alt.Tooltip("name_a:N", title="group"),
                alt.Tooltip("agreement:Q", format=".3f"),
                alt.Tooltip("interval:N", title="95 % interval"),
                alt.Tooltip("kappa:Q", format=".3f"),
                alt.Tooltip("pairs:Q", title="pairs of models"),
            ],
        )
    )
    each = (
        alt.Chart(thinned(pairs).rename(columns={"group_a": "name_a"}))
        .mark_tick(thickness=1.5, size=14, color=MUTED, opacity=0.7)
        .encode(
            x=alt.X("agreement:Q", scale=x_scale),
            y=y,
            tooltip=[
                alt.Tooltip("seed_a:N", title="model"),
                alt.Tooltip("seed_b:N", title="with"),
                alt.Tooltip("agreement:Q", format=".3f"),
            ],
        )
    )
    return alt.layer(bars, each, points).properties(
        width=WIDE,
        height=ROW * max(1, len(order)),
        title=alt.TitleParams(
            "Which come out the same when trained again?",
            subtitle="Dot: mean over pairs of models; bar: 95 % interval; tick: one pair.",
        ),
    )


def accuracy_by_group(tables: StudyTables) -> alt.TopLevelMixin:
    """Test accuracy of every trial."""
    return _seeds_chart(
        tables.trials,
        tables,
        column="test_accuracy",
        axis="test accuracy (share of test images)",
        title="How accurate is each trained model?",
    )


def fragmentation_by_group(tables: StudyTables, kind: str) -> alt.TopLevelMixin:
    """Mean number of decision regions of every trial on one kind of planes."""
    planes = tables.info["planes"]
    return _seeds_chart(
        tables.fragmentation[tables.fragmentation.kind == kind],
        tables,
        column="components",
        axis=f"regions a plane (R = {planes['resolution']}, extent {planes['extent']:g})",
        title=f"Into how many regions do models cut {PLANES.get(kind, kind)} planes?",
    )


def training_curves(tables: StudyTables) -> alt.TopLevelMixin:
    """Test accuracy and training loss over the epochs, one line a trial."""
    colour = alt.Color(
        "group:N",
        title="group",
        scale=alt.Scale(range=list(LINE_COLOURS)),
        sort=[display_name(label) for label in group_order(tables.trials, tables.groups)],
    )
    hover = alt.selection_point(fields=["group"], on="pointerover", empty=True, clear="pointerout")
    base = alt.Chart(tables.history).encode(
        x=alt.X("epoch:Q", title="epoch"),
        color=colour,
        detail="trial_id:N",
        opacity=alt.condition(hover, alt.value(0.9), alt.value(0.12)),
        tooltip=[
            alt.Tooltip("group:N", title="group"),
            alt.Tooltip("seed:N", title="model"),
            alt.Tooltip("epoch:Q"),
            alt.Tooltip("train_loss:Q", title="training loss", format=".3f"),
            alt.Tooltip("test_accuracy:Q", title="test accuracy", format=".3f"),
        ],
    )
    accuracy = base.mark_line(strokeWidth=1.6).encode(
        y=alt.Y("test_accuracy:Q", title="test accuracy", scale=alt.Scale(zero=False))
    )
    loss = base.mark_line(strokeWidth=1.6).encode(
        y=alt.Y("train_loss:Q", title="training loss (log scale)", scale=alt.Scale(type="log"))
    )
    left = accuracy.properties(title="Did training settle?", width=380, height=240)
    right = loss.properties(title="Training loss", width=380, height=240)
    return alt.hconcat(left.add_params(hover), right)


def _seeds_chart(
    frame: pd.DataFrame, tables: StudyTables, *, column: str, axis: str, title: str
) -> alt.TopLevelMixin:
    """One dot a trial, one row a group."""
    order = [display_name(label) for label in group_order(tables.trials, tables.groups)]
    chart: alt.TopLevelMixin = (
        alt.Chart(thinned(frame[["group", "family", "seed", column]]))
        .mark_point(filled=True, size=75, opacity=0.75)
        .encode(
            x=alt.X(f"{column}:Q", title=axis, scale=alt.Scale(zero=False)),
            y=alt.Y("group:N", sort=order, title=None),
            color=alt.Color("family:N", scale=alt.Scale(**FAMILY_SCALE), title="family"),
            tooltip=[
                alt.Tooltip("group:N", title="group"),
                alt.Tooltip("seed:N", title="model"),
                alt.Tooltip(f"{column}:Q", title=axis, format=".3f"),
            ],
        )
        .properties(
            width=WIDE,
            height=ROW * max(1, len(order)),
            title=alt.TitleParams(title, subtitle="One dot a model."),
        )
    )
    return chart


def _both_halves(groups: pd.DataFrame) -> pd.DataFrame:
    """Every pair of groups in both orders, so that the matrix is whole."""
    interval = ends_in_words(groups)
    columns = ["agreement", "kappa", "jaccard", "pairs"]
    one = groups[columns].assign(row=groups.name_a, column=groups.name_b, interval=interval)
    other = one.rename(columns={"row": "column", "column": "row"})
    return pd.concat([one, other[other.row != other.column]], ignore_index=True)
