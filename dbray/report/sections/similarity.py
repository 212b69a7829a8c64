"""The report's part on other measures of likeness, and what the planes add to them."""

from dataclasses import asdict

import altair as alt
import pandas as pd

from dbray.claims.names import display_name
from dbray.report.page.page import Figure, Section, Table
from dbray.report.page.theme import INK, MUTED
from dbray.report.sections.captions import correlation_caption, pairs_caption
from dbray.report.tables.intervals import ends_in_words
from dbray.report.tables.tables import StudyTables, records
from dbray.scores.rank_correlation import rank_correlation

MEASURES = {
    "disagreement": "disagreement on test images (churn)",
    "expected_agreement": "agreement expected from accuracies",
    "error_overlap": "overlap of errors (Jaccard)",
    "js_divergence": "Jensen-Shannon divergence (bits)",
}
MAX_PAIRS = 1000  # that a figure shows
SHORT = {
    "disagreement": "churn",
    "expected_agreement": "expected agreement",
    "error_overlap": "error overlap",
    "js_divergence": "JS divergence (bits)",
}


def similarity_section(tables: StudyTables) -> Section | None:
    """How models compare on the test images, pair by pair, and against the planes."""
    pairs = tables.similarity
    if not len(pairs):
        return None
    images = int(pairs.images.iloc[0])
    prose = [
        f"The same pairs of models on {images} test images. Churn is the share of images that two "
        "models give different classes. Expected agreement is what two models of these accuracies "
        "would show if their errors fell independently, each on a random wrong class: more than "
        "that means that they err alike. Overlap of errors is the share of the images that either "
        "gets wrong which both get wrong. The Jensen-Shannon divergence compares their "
        "probabilities (0 to 1 bit).",
        "A rank correlation near 1 or -1 says that a measure on images alone would order the pairs "
        "as the planes do; near 0, that the planes see something else. Its 95 % interval leaves "
        "out one model after the other, as pairs share models.",
    ]
    models = len({*pairs.trial_a, *pairs.trial_b})
    if models < len(tables.trials):
        prose.append(f"These are the pairs of {models} models: the first ones of each group.")
    correlations = _correlations(pairs)
    figures = [
        Figure("measures-against-planes", measures_against_planes(pairs), pairs_caption(pairs))
    ]
    if correlations.value.notna().any():
        said = correlation_caption(correlations)
        figures.insert(0, Figure("rank-correlation", correlation_chart(correlations), said))
    title = "What the test images alone would say"
    return Section(title, prose, figures, [_within_table(tables)], folded=True)


def correlation_chart(correlations: pd.DataFrame) -> alt.TopLevelMixin:
    """Spearman's rank correlation of each measure with plane agreement, with its interval."""
    known = correlations.dropna(subset=["value"])  # few models have a value and no interval
    y = alt.Y("name:N", sort=list(MEASURES.values()), title=None, axis=alt.Axis(labelLimit=260))
    x = alt.X(
        "value:Q",
        scale=alt.Scale(domain=[-1, 1]),
        title="Spearman's rank correlation with plane agreement, over pairs of models",
    )
    tooltip = [
        alt.Tooltip("name:N", title="measure"),
        alt.Tooltip("value:Q", title="rank correlation", format=".3f"),
        alt.Tooltip("interval:N", title="95 % interval"),
    ]
    base = alt.Chart(known.assign(interval=ends_in_words(known.assign(planes_only=False)))).encode(
        y=y, tooltip=tooltip
    )
    zero = alt.Chart(pd.DataFrame({"value": [0.0]})).mark_rule(color=MUTED, strokeDash=[3, 3])
    return alt.layer(
        zero.encode(x="value:Q"),
        base.mark_rule(strokeWidth=3, color="#2b5c8a").encode(x="low:Q", x2="high:Q"),
        base.mark_point(filled=True, size=110, opacity=1, color="#2b5c8a").encode(x=x),
    ).properties(
        width=480,
        height=34 * len(known),
        title=alt.TitleParams(
            "Do measures on test images order the pairs as the planes do?",
            subtitle="Dot: all pairs; bar: 95 % interval over models.",
        ),
    )


def measures_against_planes(pairs: pd.DataFrame) -> alt.TopLevelMixin:
    """Each pair of models: its plane agreement against each other measure."""
    shown = pairs.sample(min(len(pairs), MAX_PAIRS), random_state=0)
    shown = shown.sort_values(["trial_a", "trial_b"])
    same = shown.label_a == shown.label_b
    frame = shown.assign(pair=same.map({True: "same group", False: "different groups"}))
    base = alt.Chart(frame).mark_point(filled=True, size=28, opacity=0.6)
    charts = [
        base.encode(
            x=alt.X(f"{name}:Q", title=SHORT[name], scale=alt.Scale(zero=False)),
            y=alt.Y("agreement:Q", title="plane agreement", scale=alt.Scale(zero=False)),
            color=alt.Color(
                "pair:N",
                title="pair of models of",
                legend=alt.Legend(orient="top"),
                scale=alt.Scale(
                    domain=["same group", "different groups"], range=["#c2571a", "#2b5c8a"]
                ),
            ),
            tooltip=[
                alt.Tooltip("group_a:N", title="model"),
                alt.Tooltip("seed_a:N", title=" "),
                alt.Tooltip("group_b:N", title="and"),
                alt.Tooltip("seed_b:N", title="  "),
                alt.Tooltip("agreement:Q", title="plane agreement", format=".3f"),
                alt.Tooltip(f"{name}:Q", title=SHORT[name], format=".3f"),
            ],
        ).properties(width=176, height=180)
        for name in MEASURES
    ]
    return alt.hconcat(*charts).properties(
        title=alt.TitleParams("Each pair of models by two measures", color=INK)
    )


def _correlations(pairs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, title in MEASURES.items():
        found = rank_correlation(
            pairs[name].to_numpy(float),
            pairs.agreement.to_numpy(float),
            pairs.trial_a.to_numpy(str),
            pairs.trial_b.to_numpy(str),
        )
        rows.append({"name": title, **asdict(found)})
    return pd.DataFrame(rows)


def _within_table(tables: StudyTables) -> Table:
    """Means over pairs of models of one group."""
    pairs = tables.similarity
    inside = pairs[pairs.label_a == pairs.label_b]
    by = inside.groupby("label_a")
    means = by[["agreement", *MEASURES]].mean().assign(pairs=by.size()).reset_index()
    rows = [
        [
            display_name(row["label_a"]),
            *(f"{row[name]:.3f}" for name in ("agreement", *MEASURES)),
            str(row["pairs"]),
        ]
        for row in records(means.sort_values("agreement", ascending=False))
    ]
    return Table(["pairs within", "plane agreement", *SHORT.values(), "pairs of models"], rows)
