"""The report's part on sources of randomness: what each does alone, and what it leaves."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dbray.claims.names import display_name
from dbray.claims.randomness import TOGETHER, seeds_of
from dbray.claims.words import PLANES_ONLY
from dbray.config import TrialConfig
from dbray.report.page.page import Figure, Finding, Section, Table
from dbray.report.page.theme import MUTED
from dbray.report.tables.intervals import ends_in_words, row_with_interval
from dbray.report.tables.tables import StudyTables, records

NAMES = {
    "weights": "initial weights",
    "order": "order of the images",
    "augmentation": "augmentation",
    "dropout": "dropout",
    "sample": "sample of training images",
    "noise": "which labels are wrong",
    "machine": "nothing: trained again",
    "bit": "last bit of one weight",
}
KINDS = {"total_share": "it alone differs", "first_order_share": "would go away if it were fixed"}
COLOURS = ["#0072b2", "#d55e00"]
LINE = ("error", "disagreement", "slope", "intercept")
ROW = 26  # px, of a source


def randomness_section(tables: StudyTables) -> Section | None:
    """Shares of the disagreement by source and architecture, with intervals."""
    frame = named_sources(tables)
    if not len(frame):
        return None
    prose = [
        "Two trainings that share no seed disagree on some share of the points. How much of that "
        "is there if a single source of randomness differs, and all else is equal? And how much "
        "would go away if a source were fixed, and all else differed? A source that acts by itself "
        "has two equal shares. Where each alone gives nearly everything, and fixing one helps "
        "nothing, it does not matter what disturbs a training, only that something does.",
        "Intervals are 95 %, over planes and seeds.",
    ]
    rows = [_row(row) for row in records(frame)]
    together = [_row(row) for row in records(tables.randomness) if row["source"] == "all"]
    columns = ["architecture", "what differs", "disagreement", "share of all", "fixed: goes away"]
    return Section(
        "What each source of randomness does",
        prose,
        [Figure("randomness", shares_chart(frame), _in_words(frame))],
        [Table(columns, [*together, *rows])],
    )


def errors_section(errors: pd.DataFrame, tables: StudyTables) -> Section | None:
    """Test error against disagreement on test images, for every pair of one architecture."""
    if not len(errors):
        return None
    rows = [{**row, "name": display_name(row["architecture"])} for row in records(errors)]
    alone = [row for row in rows if row["architecture"] != TOGETHER]
    found = "; ".join(
        f"{row['name']}: wrong on {row['error']:.1%}, disagreeing on {row['disagreement']:.1%}"
        for row in alone
    )
    prose = [
        "If two models disagreed on test images about as often as each of them is wrong, the error "
        "could be told without labels (Jiang et al. 2022). Points on the dashed line do so.",
        "The table is of pairs that share no seed. A line through them with slope 1 and intercept "
        "0 would be the dashed one; the intervals of slope and intercept are over seeds alone, as "
        "all pairs answer the same images.",
    ]
    figure = Figure("error_and_disagreement", errors_chart(_pairs(tables)), f"On average, {found}.")
    columns = ["pairs of", *LINE, "pairs"]
    table = Table(columns, [_line_row(row) for row in rows])
    return Section("Disagreement and error", prose, [figure], [table])


def _line_row(row: dict[str, Any]) -> list[str]:
    name = "all" if row["architecture"] == TOGETHER else row["name"]
    values = ("" if pd.isna(row[each]) else row_with_interval(row, each) for each in LINE)
    return [name, *values, str(row["pairs"])]


def randomness_findings(tables: StudyTables) -> list[Finding]:
    """What all do together, the source that does the most alone, and the least."""
    found = []
    together = tables.randomness[tables.randomness.source == "all"]
    for row in records(together.sort_values("disagreement"))[-1:]:
        said = _interval(row, "disagreement")
        meaning = "of points differ between two trainings that share no seed"
        found.append(
            Finding(
                f"{row['disagreement']:.1%}",
                said,
                f"{meaning} ({display_name(row['architecture'])}).",
            )
        )
    named = named_sources(tables)
    seeded = named[~named.source.isin(["machine", "bit"])].sort_values("total_share")
    if len(seeded):
        least = records(seeded)[0]
        found.append(
            Finding(
                f"{least['total_share']:.0%}",
                _interval(least, "total_share"),
                f"of that is there when nothing but this differs: {least['what']} "
                f"({least['name']}), the source that does the least alone.",
            )
        )
    bits = named[named.source == "bit"]
    found += [
        Finding(
            f"{row['total_share']:.0%}",
            _interval(row, "total_share"),
            f"of it comes of changing the last bit of one weight ({row['name']}).",
        )
        for row in records(bits)[-1:]
    ]
    return found


def named_sources(tables: StudyTables) -> pd.DataFrame:
    """Rows of the sources with names for people, in the order of ``NAMES``."""
    frame = tables.randomness[tables.randomness.source != "all"]
    order = {source: place for place, source in enumerate(NAMES)}
    return frame.assign(
        what=frame.source.map(NAMES),
        name=frame.architecture.map(display_name),
        place=frame.source.map(order),
    ).sort_values(["architecture", "place"], ignore_index=True)


def shares_chart(frame: pd.DataFrame) -> alt.TopLevelMixin:
    """One row a source, two points with intervals; architectures below one another."""
    parts = [
        frame.assign(
            kind=title,
            share=frame[column],
            low=frame[f"{column}_low"],
            high=frame[f"{column}_high"],
        ).dropna(subset=["share"])
        for column, title in KINDS.items()
    ]
    rows = pd.concat(parts, ignore_index=True)
    rows["interval"] = ends_in_words(rows, ".2f")
    kinds = list(KINDS.values())
    y = alt.Y("what:N", sort=list(NAMES.values()), title=None, axis=alt.Axis(labelLimit=220))
    shift = alt.YOffset("kind:N", sort=kinds, scale=alt.Scale(paddingOuter=0.5))
    colour = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=kinds, range=COLOURS),
        legend=alt.Legend(orient="top", labelLimit=260),
    )
    title = "share of the disagreement when everything differs"
    base = alt.Chart().encode(y=y, yOffset=shift, color=colour)
    ends: dict[str, Any] = {"color": MUTED, "strokeDash": [4, 3], "aria": False}
    layers = alt.layer(
        *(alt.Chart().mark_rule(**ends).encode(x=alt.datum(end)) for end in (0, 1)),
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title), x2="high:Q"),
        base.mark_point(filled=True, size=80).encode(
            x="share:Q",
            tooltip=[
                alt.Tooltip("name:N", title="architecture"),
                alt.Tooltip("what:N", title="what differs"),
                alt.Tooltip("kind:N", title="share that"),
                alt.Tooltip("share:Q", format=".2f"),
                alt.Tooltip("interval:N", title="95 % interval"),
            ],
        ),
        data=rows,
    ).properties(width=460, height=ROW * rows.what.nunique() + 20)
    chart: alt.TopLevelMixin = layers.facet(
        row=alt.Row("name:N", title=None, header=alt.Header(labelOrient="top", labelAnchor="start"))
    )
    return chart


def errors_chart(pairs: pd.DataFrame) -> alt.TopLevelMixin:
    """One point a pair of models, against the line on which both are equal."""
    most = float(max(pairs.error.max(), pairs.disagreement.max())) * 1.1 + 1e-3
    scale = alt.Scale(domain=[0, most])
    line = pd.DataFrame({"x": [0.0, most], "y": [0.0, most]})
    points = (
        alt.Chart(pairs)
        .mark_circle(opacity=0.5)
        .encode(
            x=alt.X("error:Q", title="test error, mean of the two models", scale=scale),
            y=alt.Y("disagreement:Q", title="share of test images in dispute", scale=scale),
            color=alt.Color("architecture:N", title=None, scale=alt.Scale(range=COLOURS)),
            tooltip=[
                "architecture:N",
                alt.Tooltip("models:N", title="models"),
                alt.Tooltip("error:Q", format=".3f"),
                alt.Tooltip("disagreement:Q", format=".3f"),
            ],
        )
    )
    diagonal = alt.Chart(line).mark_line(color=MUTED, strokeDash=[4, 3]).encode(x="x:Q", y="y:Q")
    chart: alt.TopLevelMixin = alt.layer(diagonal, points).properties(width=360, height=360)
    return chart


def _pairs(tables: StudyTables) -> pd.DataFrame:
    errors = 1 - tables.trials.set_index("trial_id").test_accuracy
    found = tables.similarity
    kind = {side: found[f"label_{side}"].str.partition("/")[0] for side in "ab"}
    apart = [
        _share_no_seed(tables, a, b) for a, b in zip(found.trial_a, found.trial_b, strict=True)
    ]
    pairs = found[(kind["a"] == kind["b"]) & np.array(apart, bool)]
    return pd.DataFrame(
        {
            "architecture": kind["a"][pairs.index].map(display_name),
            "models": pairs.seed_a + " and " + pairs.seed_b,
            "error": (pairs.trial_a.map(errors) + pairs.trial_b.map(errors)) / 2,
            "disagreement": pairs.disagreement,
        }
    )


def _share_no_seed(tables: StudyTables, a: str, b: str) -> bool:
    """Whether two trials are a pair of the table's, in which all seeds differ and nothing else."""
    both = [tables.configs[trial] for trial in (a, b)]
    known = [seeds_of(c) for c in both if isinstance(c, TrialConfig) and not c.branch]
    if len(known) < 2:
        return False
    (seeds, others), (seeds_too, others_too) = known
    differ = all(seeds_too.get(source) != seed for source, seed in seeds.items())
    return differ and others == others_too


def _row(row: dict[str, Any]) -> list[str]:
    named = NAMES.get(str(row["source"]), "everything")
    shares = [
        "" if pd.isna(row[name]) else row_with_interval(row, name)
        for name in ("total_share", "first_order_share")
    ]
    together = row_with_interval(row, "disagreement")
    return [display_name(str(row["architecture"])), named, together, *shares]


def _interval(row: dict[str, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if pd.isna(low):
        return "no interval"
    alone = f", {PLANES_ONLY}" if row["planes_only"] else ""
    return f"95 % interval {low:.1%} to {high:.1%}{alone}"


def _in_words(frame: pd.DataFrame) -> str:
    seeded = frame[~frame.source.isin(["machine", "bit"])]
    said = []
    for name, rows in seeded.groupby("name", sort=False):
        first = rows.first_order_share.max()
        least, most = (f"{end:.0%}" for end in (rows.total_share.min(), rows.total_share.max()))
        share = least if least == most else f"{least} to {most}"
        removed = f"removes {first:.0%} at most" if first >= 0.005 else "removes nothing"
        said.append(
            f"{name}: each source alone gives {share} of the disagreement of all together, and "
            f"fixing one {removed}"
        )
    return f"{'; '.join(said)}."
