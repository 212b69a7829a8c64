"""The report's part on optimizers: accuracy and reproducibility of each, and claim C5."""

from itertools import groupby

import altair as alt
import pandas as pd

from dbray.claims.names import display_name
from dbray.claims.optimizers import OPTIMIZERS as TITLES
from dbray.claims.words import with_interval
from dbray.config import TrialConfig
from dbray.report.page.page import Figure, Section, Table
from dbray.report.page.theme import LINE_COLOURS
from dbray.report.tables.intervals import ends_in_words
from dbray.report.tables.tables import StudyTables, records
from dbray.scores.jackknife import SHARE, estimate, over_trials

AGREEMENT = ("agreement", "low", "high", "planes_only")


def optimizer_section(tables: StudyTables) -> Section | None:
    """Test accuracy and agreement by architecture and optimizer, with intervals."""
    if tables.info["group_by"] != ["architecture", "training.optimizer"]:
        return None
    frame = optimizer_frame(tables)
    if not len(frame):
        return None
    rows = [
        [
            row["architecture"],
            TITLES[row["optimizer"]],
            with_interval(row["accuracy"], row["accuracy_low"], row["accuracy_high"]),
            with_interval(
                row["agreement"], row["low"], row["high"], planes_only=row["planes_only"]
            ),
            str(row["models"]),
        ]
        for row in records(frame)
    ]
    prose = [
        "Agreement between seeds with its interval over planes and seeds; accuracy is the mean "
        "over seeds, with its interval over seeds (Student's t). Both are 95 %.",
    ]
    columns = ["architecture", "optimizer", "test accuracy", "agreement within", "models"]
    chart = Figure("optimizers", optimizer_chart(frame), _accuracy_in_words(frame))
    return Section("Optimizers", prose, [chart], [Table(columns, rows)])


def optimizer_frame(tables: StudyTables) -> pd.DataFrame:
    """One row an architecture and optimizer with two or more finished trials."""
    rows = []
    within = {row["group_a"]: row for row in records(tables.inside)}
    for label, trials in tables.trials.groupby("label", sort=False):
        config = tables.configs[trials.trial_id.iloc[0]]
        if label not in within or not isinstance(config, TrialConfig):
            continue
        accuracy = trials.test_accuracy.to_numpy(float)
        images = tables.info["dataset"].get("test_images", 0)
        mean = estimate(over_trials(accuracy, str(label), images=images), bounds=SHARE)
        rows.append(
            {
                "architecture": display_name(config.name),
                "optimizer": config.training.optimizer,
                "accuracy": mean.value,
                "accuracy_low": mean.low,
                "accuracy_high": mean.high,
                **{name: within[str(label)][name] for name in AGREEMENT},
                "models": len(trials),
            }
        )
    frame = pd.DataFrame(rows)
    if not len(frame):
        return frame
    order = frame.optimizer.map(list(TITLES).index)
    return frame.assign(order=order).sort_values(["architecture", "order"], ignore_index=True)


def optimizer_chart(frame: pd.DataFrame) -> alt.TopLevelMixin:
    """Agreement against test accuracy, one panel an architecture, a cross of intervals a point."""
    names = [name for name in TITLES.values() if name in set(frame.optimizer.map(TITLES))]
    named = frame.assign(name=frame.optimizer.map(TITLES), interval=ends_in_words(frame))
    base = alt.Chart(named).encode(
        color=alt.Color(
            "name:N", title="optimizer", scale=alt.Scale(domain=names, range=LINE_COLOURS[:4])
        ),
    )
    shape = alt.Shape("name:N", title="optimizer", scale=alt.Scale(domain=names))
    ticks = alt.Axis(tickCount=4)
    scale = alt.Scale(zero=False, nice=True)
    x = alt.X("accuracy:Q", title="test accuracy", scale=scale, axis=ticks)
    y = alt.Y("agreement:Q", title="agreement between seeds", scale=scale)
    panel = alt.layer(
        base.mark_rule(strokeWidth=2, opacity=0.7).encode(
            x=alt.X("accuracy_low:Q", title="test accuracy", scale=scale, axis=ticks),
            x2="accuracy_high:Q",
            y=y,
        ),
        base.mark_rule(strokeWidth=2, opacity=0.7).encode(
            y=alt.Y("low:Q", title="agreement between seeds", scale=scale), y2="high:Q", x=x
        ),
        base.mark_point(filled=True, size=110, opacity=1).encode(
            x=x,
            y=y,
            shape=shape,
            tooltip=[
                "architecture:N",
                alt.Tooltip("name:N", title="optimizer"),
                alt.Tooltip("accuracy:Q", title="test accuracy", format=".3f"),
                alt.Tooltip("agreement:Q", format=".3f"),
                alt.Tooltip("interval:N", title="95 % interval"),
            ],
        ),
    ).properties(width=230, height=210)
    chart: alt.TopLevelMixin = (
        panel.facet(facet=alt.Facet("architecture:N", title=None), columns=4)
        .resolve_scale(x="independent")
        .properties(
            title=alt.TitleParams(
                "Which optimizer finds the same model again, and which the most accurate one?",
                subtitle="Bars: 95 % intervals. Up: more reproducible; right: more accurate.",
            )
        )
    )
    return chart


def _accuracy_in_words(frame: pd.DataFrame) -> str:
    said = []
    for name, group in groupby(records(frame), key=lambda row: row["architecture"]):
        rows = list(group)
        accurate = max(rows, key=lambda row: row["accuracy"])
        alike = max(rows, key=lambda row: row["agreement"])
        said.append(
            f"{name}: {TITLES[accurate['optimizer']]} most accurate ({accurate['accuracy']:.3f}), "
            f"{TITLES[alike['optimizer']]} most reproducible ({alike['agreement']:.3f})"
        )
    return "; ".join(said) + "."
