"""The page that sets two studies side by side: what a new version, machine or recipe changed."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dbray.claims.names import display_name
from dbray.claims.words import with_interval
from dbray.report.explorer.two_studies import explorer_of_two
from dbray.report.page.page import Figure, Section, Table, render_page
from dbray.report.page.theme import LINE_COLOURS
from dbray.report.sections.two_studies import SIGNIFICANT, two_studies_findings
from dbray.report.tables.intervals import ends_in_words
from dbray.report.tables.two_studies import (
    GroupPair,
    Side,
    compare_groups,
    differences,
    read_side,
)
from dbray.scores.intervals import Estimate
from dbray.store import Study

ROW = 46  # px, of a group
WIDTH = 620


def build_comparison(one: Study, two: Study) -> bytes:
    """HTML page of two studies on the same planes.

    Raises
    ------
    UserError
        If they cannot be compared; it says what differs.
    """
    sides = read_side(one), read_side(two)
    pairs, planes = compare_groups(*sides)
    names = (one.name, two.name) if one.name != two.name else ("the first", "the second")
    lead = [
        f"Both studies asked their models for the classes of the same points of the same {planes} "
        f"slices through three test images. The first study is {one.location}, the second "
        f"{two.location}.",
    ]
    return render_page(
        f"{one.name} and {two.name}, side by side",
        lead,
        [_agreement(pairs, names), _changes(*sides)],
        findings=two_studies_findings(pairs, names),
        instrument=explorer_of_two(sides, names, [pair.label for pair in pairs], planes),
    )


def _finding(pairs: Sequence[GroupPair], names: tuple[str, str]) -> str:
    told = [pair for pair in pairs if pair.p_holm is not None]
    groups = f"{len(pairs)} group{'' if len(pairs) == 1 else 's'}"
    changed = [pair for pair in told if (pair.p_holm or 0) < SIGNIFICANT]
    if not told:
        return (
            f"The studies share {groups}. Whether reproducibility differs cannot be told: that "
            "takes three finished trials of a group in each study."
        )
    if not changed:
        return (
            f"The studies share {groups}. In none of them does reproducibility differ by more than "
            "chance allows."
        )
    largest = max(changed, key=lambda pair: abs(pair.change.value if pair.change else 0))
    before, after = (found.value if found else 0 for found in largest.within)
    most = ", most of all in" if len(changed) > 1 else ":"
    return (
        f"Reproducibility differs in {len(changed)} of the {groups} that both studies have{most} "
        f"{display_name(largest.label)}. Two seeds of it agree on {before:.1%} of points in "
        f"{names[0]}, and on {after:.1%} in {names[1]} (change {_signed(largest.change)})."
    )


def _agreement(pairs: Sequence[GroupPair], names: tuple[str, str]) -> Section:
    prose = [
        "Within a study, agreement is the share of points on which two seeds of one group give the "
        "same class. Across the studies, a model is compared with the other study's model of "
        "the same seed, and with those of other seeds. If nothing but chance differs, agreement "
        "across other seeds equals that within; models of one seed that agree on all points are "
        "the same model. p is corrected for the number of groups (Holm)."
    ]
    within = [
        [
            display_name(pair.label),
            *map(_text, pair.within),
            _signed(pair.change),
            "" if pair.p_holm is None else f"{pair.p_holm:.2g}",
        ]
        for pair in pairs
    ]
    across = [
        [display_name(pair.label), _text(pair.same_seed), _text(pair.other_seed), *_models(pair)]
        for pair in pairs
    ]
    sides = ("the first", "the second")
    tables = [
        Table(["group", *(f"within {side}" for side in sides), "change", "p"], within),
        Table(
            [
                *("group", "across, same seed", "across, other seeds"),
                *(f"models, test accuracy in {side}" for side in sides),
            ],
            across,
        ),
    ]
    figure = Figure("two-studies", comparison_chart(pairs, names), _finding(pairs, names))
    return Section("Agreement within and across the studies", prose, [figure], tables)


def _models(pair: GroupPair) -> list[str]:
    """Number and mean test accuracy of the group's models in each study."""
    both = zip(pair.trials, pair.accuracy, strict=True)
    return [f"{count}, {_text(accuracy)}" for count, accuracy in both]


def comparison_chart(pairs: Sequence[GroupPair], names: tuple[str, str]) -> alt.TopLevelMixin:
    """Agreement within both studies and across them, a row a group, with intervals."""
    kinds = [f"within {names[0]}", f"within {names[1]}", "across, other seeds", "across, same seed"]
    rows = [
        {
            "group": display_name(pair.label),
            "which": which,
            "agreement": found.value,
            "low": found.low,
            "high": found.high,
            "planes_only": found.planes_only,
        }
        for pair in pairs
        for which, found in zip(kinds, (*pair.within, pair.other_seed, pair.same_seed), strict=True)
        if found
    ]
    order = [display_name(pair.label) for pair in pairs]
    frame = pd.DataFrame(rows)
    base = alt.Chart(frame.assign(interval=ends_in_words(frame))).encode(
        y=alt.Y("group:N", sort=order, title=None, axis=alt.Axis(labelLimit=240)),
        yOffset=alt.YOffset("which:N", sort=kinds),
        color=alt.Color(
            "which:N",
            title=None,
            scale=alt.Scale(domain=kinds, range=LINE_COLOURS[:4]),
            legend=alt.Legend(orient="top", columns=2, labelLimit=WIDTH // 2),
        ),
    )
    x = alt.X("agreement:Q", title="share of points", scale=alt.Scale(zero=False, nice=True))
    tooltip = [
        "group:N",
        alt.Tooltip("which:N", title="models"),
        alt.Tooltip("agreement:Q", format=".3f"),
        alt.Tooltip("interval:N", title="95 % interval"),
    ]
    ends = alt.X("low:Q", title="share of points")
    chart: alt.TopLevelMixin = alt.layer(
        base.mark_rule(strokeWidth=2).encode(x=ends, x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, tooltip=tooltip),
    ).properties(
        width=WIDTH,
        height=max(120, ROW * len(pairs)),
        title=alt.TitleParams(
            "Do the two studies' models give the same classes?",
            subtitle="Points: share of points of equal class. Bars: 95 % intervals.",
        ),
    )
    return chart


def _changes(one: Side, two: Side) -> Section:
    found = differences(one, two)
    if not found:
        return Section("What differs", ["Options, versions and machine are the same."])
    rows = [list(row) for row in found]
    return Section(
        "What differs",
        ["Versions, options, recipes and the machine of the last command, where they differ."],
        tables=[Table(["what", "first", "second"], rows)],
    )


def _text(found: Estimate | None) -> str:
    if found is None:
        return ""
    return with_interval(found.value, found.low, found.high, planes_only=found.planes_only)


def _signed(found: Estimate | None) -> str:
    if found is None:
        return ""
    ends = (found.value, found.low, found.high)
    return with_interval(*ends, planes_only=found.planes_only, signed=True)
