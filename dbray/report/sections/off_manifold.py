"""The report's part on planes off the data and around one image, apart from those through data."""

import altair as alt
import pandas as pd

from dbray.claims.contrasts import SCORED_KIND
from dbray.claims.names import display_name
from dbray.report.figures.gallery import gallery_chart
from dbray.report.page.names import KIND_TITLES
from dbray.report.page.page import Figure, Section, Table
from dbray.report.page.theme import INK
from dbray.report.sections.captions import gallery_caption, kinds_caption
from dbray.report.tables.intervals import ends_in_words
from dbray.report.tables.pictures import APART, Plane
from dbray.report.tables.tables import StudyTables, group_order

CELL_WIDTH, CELL_HEIGHT = 84, 34  # px


def off_manifold_section(tables: StudyTables, *, confidence: bool) -> Section | None:
    """Galleries and scores of the kinds of planes that do not go through three real images."""
    kinds: list[str] = [kind for kind in APART if kind in set(tables.groups_by_kind.kind)]
    planes = [plane for plane in tables.planes if plane.apart]
    if not kinds and not planes:
        return None
    prose = [
        "These slices go through images that are no data: noise and shuffled pixels (off the data "
        "manifold), or one image and changed copies of it (the neighbourhood of a point). What a "
        "model answers there was never trained, so it shows what the architecture itself prefers. "
        "None of it enters the scores above.",
    ]
    figures = [
        Figure(
            f"regions-apart-{number}",
            gallery_chart(tables, part, confidence=confidence),
            gallery_caption(tables, part),
            scrolls=True,
        )
        for number, part in enumerate(_by_threes(planes), start=1)
    ]
    if kinds:
        inside, regions = tables.groups_by_kind, tables.fragmentation.groupby("kind").components
        agreed = inside[inside.group_a == inside.group_b].groupby("kind").agreement.mean()
        said = (
            kinds_caption(agreed[agreed.index.isin([SCORED_KIND, *kinds])], SCORED_KIND, ".2f"),
            kinds_caption(regions.mean(), SCORED_KIND, ".1f"),
        )
        figures.append(Figure("agreement-by-kind", agreement_by_kind(tables, kinds), said[0]))
        figures.append(Figure("regions-by-kind", regions_by_kind(tables, kinds), said[1]))
    tables_shown = [_comparison(tables, kinds)] if kinds else []
    title = "Off the data, and close to one image"
    return Section(title, prose, figures, tables_shown, folded=True)


def agreement_by_kind(tables: StudyTables, kinds: list[str]) -> alt.TopLevelMixin:
    """Agreement within each group on each kind of planes, test planes first."""
    rows = tables.groups_by_kind
    inside = rows[(rows.group_a == rows.group_b) & rows.kind.isin([SCORED_KIND, *kinds])]
    frame = inside.assign(group=inside.name_a, interval=ends_in_words(inside))
    return _heat_map(
        frame[["group", "kind", "agreement", "interval", "planes"]],
        tables,
        [SCORED_KIND, *kinds],
        value=("agreement", "agreement within a group", ".2f"),
        extra=[alt.Tooltip("interval:N", title="95 % interval"), "planes:Q"],
        title="Do seeds agree where there is no data?",
    )


def regions_by_kind(tables: StudyTables, kinds: list[str]) -> alt.TopLevelMixin:
    """Mean number of decision regions of each group on each kind of planes."""
    shown = tables.fragmentation[tables.fragmentation.kind.isin([SCORED_KIND, *kinds])]
    frame = shown.groupby(["group", "kind"], as_index=False).agg(
        components=("components", "mean"), low=("components", "min"), high=("components", "max")
    )
    size = tables.info["planes"]["resolution"]
    return _heat_map(
        frame,
        tables,
        [SCORED_KIND, *kinds],
        value=("components", f"regions a plane (R = {size})", ".1f"),
        extra=[
            alt.Tooltip("low:Q", title="least of its models", format=".2f"),
            alt.Tooltip("high:Q", title="most of its models", format=".2f"),
        ],
        title="Into how many regions do models cut these planes?",
    )


def _heat_map(
    frame: pd.DataFrame,
    tables: StudyTables,
    kinds: list[str],
    *,
    value: tuple[str, str, str],
    extra: list[alt.Tooltip | str],
    title: str,
) -> alt.TopLevelMixin:
    column, meaning, form = value
    names = [display_name(label) for label in group_order(tables.trials, tables.groups)]
    low, high = float(frame[column].min()), float(frame[column].max())
    base = alt.Chart(frame).encode(
        x=alt.X("kind:N", sort=kinds, title=None, axis=alt.Axis(orient="top", labelAngle=0)),
        y=alt.Y("group:N", sort=names, title=None),
    )
    cells = base.mark_rect(stroke="white", strokeWidth=2).encode(
        color=alt.Color(
            f"{column}:Q",
            title=meaning,
            scale=alt.Scale(scheme="blues", domain=[low - (high - low) / 3, high]),
        ),
        tooltip=[
            "group:N",
            alt.Tooltip("kind:N", title="planes"),
            alt.Tooltip(f"{column}:Q", title=meaning, format=".3f"),
            *extra,
        ],
    )
    text = base.mark_text(fontSize=12).encode(
        text=alt.Text(f"{column}:Q", format=form),
        color=alt.condition(
            alt.datum[column] > low + 0.6 * (high - low), alt.value("white"), alt.value(INK)
        ),
    )
    return alt.layer(cells, text).properties(
        width=CELL_WIDTH * len(kinds),
        height=CELL_HEIGHT * max(1, len(names)),
        title=alt.TitleParams(title, subtitle=f"{meaning}; test planes for comparison."),
    )


def _comparison(tables: StudyTables, kinds: list[str]) -> Table:
    """Agreement within and between groups on each kind of planes."""
    rows = []
    for kind in [SCORED_KIND, *kinds]:
        inside, between = _within_and_between(tables, kind)
        rows.append(
            [
                KIND_TITLES[kind],
                _share(inside.agreement.mean()),
                _share(between.agreement.mean()),
                _share(inside.agreement.mean() - between.agreement.mean()),
            ]
        )
    return Table(["slices through", "within a group", "between groups", "difference"], rows)


def _within_and_between(tables: StudyTables, kind: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = tables.groups_by_kind[tables.groups_by_kind.kind == kind]
    same = rows.group_a == rows.group_b
    return rows[same], rows[~same]


def _share(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3f}"


def _by_threes(items: list[Plane]) -> list[list[Plane]]:
    return [items[at : at + 3] for at in range(0, len(items), 3)]
