"""What each figure shows to be so, in one sentence, from the numbers that it is drawn from."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from dbray.claims import Result, decided
from dbray.claims.names import display_name
from dbray.claims.words import with_interval
from dbray.report.tables.pictures import Plane
from dbray.report.tables.tables import StudyTables, records
from dbray.report.tables.width_curves import WidthCurves

SETTLED = 0.8  # share of the epochs after which training should have settled


def interval_of(row: dict[str, Any], name: str = "agreement", *, digits: int = 3) -> str:
    """A row's score with its interval ``low`` to ``high``."""
    ends = (row[name], row["low"], row["high"])
    return with_interval(*ends, planes_only=row["planes_only"], digits=digits)


def within_caption(tables: StudyTables) -> str:
    """Which group is the most reproducible, and which the least."""
    rows = records(tables.inside.sort_values("agreement"))
    if not rows:
        return "No group has two models."
    least, most = rows[0], rows[-1]
    if len(rows) == 1:
        return f"Two models of {most['name_a']} agree on {interval_of(most)} of points."
    return (
        f"Of {len(rows)} groups, {most['name_a']} comes out most alike ({interval_of(most)}) and "
        f"{least['name_a']} least ({interval_of(least)})."
    )


def matrix_caption(tables: StudyTables) -> str:
    """Agreement within groups against that between them."""
    between = tables.groups[tables.groups.group_a != tables.groups.group_b]
    if not len(between):
        return "There is one group only."
    most = records(between.sort_values("agreement"))[-1]
    said = (
        f"Of different groups, {most['name_a']} and {most['name_b']} agree most "
        f"({interval_of(most)})"
    )
    if not len(tables.inside):
        return f"{said}."
    inside, outside = tables.inside.agreement.mean(), between.agreement.mean()
    return (
        f"{said}; the mean over all groups is {inside:.3f} within and {outside:.3f} between them."
    )


def contrasts_caption(results: Sequence[Result]) -> str:
    """How many of the deciding differences are told from zero."""
    deciding = [result for result in results if result.decides]
    told = [result for result in deciding if decided(result)]
    above = sum(result.difference > 0 for result in told)
    return (
        f"Deciding differences above zero, as claimed: {above} of {len(deciding)}; below zero: "
        f"{len(told) - above}; not told from it: {len(deciding) - len(told)}."
    )


def trials_caption(frame: pd.DataFrame, column: str, form: str, what: str) -> str:
    """Between which groups a score of trials ranges."""
    by = frame.groupby("group")[column]
    means, spread = by.mean().sort_values(), float((by.max() - by.min()).max())
    if len(means) < 2:
        return f"The mean is {means.iloc[0]:{form}} {what}." if len(means) else "No model has it."
    return (
        f"Group means go from {means.iloc[0]:{form}} ({means.index[0]}) to {means.iloc[-1]:{form}} "
        f"({means.index[-1]}) {what}; models of one group lie up to {spread:{form}} apart."
    )


def gallery_caption(
    tables: StudyTables, planes: Sequence[Plane], order: Sequence[str] | None = None
) -> str:
    """How alike the maps of a row are, on the planes that are drawn."""
    shares = {}
    for label, trials in tables.trials.groupby("label", sort=False):
        ids = [
            i for i in trials.trial_id if all((i, p.plane_id) in tables.pictures for p in planes)
        ]
        pairs = [
            np.mean(tables.pictures[a, p.plane_id].labels == tables.pictures[b, p.plane_id].labels)
            for p in planes
            for a, b in combinations(ids, 2)
        ]
        if pairs and (order is None or label in order):
            shares[str(label)] = float(np.mean(pairs))
    if not shares:
        return "One model a row."
    most, least = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
    if most == least:
        return f"Two maps of a row agree on {shares[most]:.0%} of the points drawn here."
    return (
        f"On what is drawn here, two maps of a row agree on {shares[most]:.0%} of points at most "
        f"({display_name(most)}) and {shares[least]:.0%} at least ({display_name(least)})."
    )


def training_caption(history: pd.DataFrame) -> str:
    """Whether test accuracy still moved at the end."""
    end = history.groupby("trial_id").epoch.transform("max")
    last = history[history.epoch == end].set_index("trial_id").test_accuracy
    before = history[history.epoch <= SETTLED * end].groupby("trial_id").test_accuracy.last()
    moved = (last - before).dropna()
    if not len(moved):
        return "One epoch shows no course."
    group = history.drop_duplicates("trial_id").set_index("trial_id").group
    means = moved.groupby(group).mean()
    most = int(means.abs().argmax())
    return (
        f"In the last fifth of the epochs test accuracy still moves by {means.iloc[most]:+.3f} at "
        f"most (mean of {means.index[most]})."
    )


def distillation_caption(frame: pd.DataFrame) -> str:
    """How many students come closer, and which one by most."""
    most = records(frame.sort_values("difference"))[-1]
    ends = (most["difference"], most["difference_low"], most["difference_high"])
    return (
        f"{int((frame.difference_low > 0).sum())} of {len(frame)} students are closer to their "
        f"teacher than their twins are; {most['student_name']} gains most from "
        f"{most['teacher_name']} ({with_interval(*ends, signed=True)})."
    )


def correlation_caption(correlations: pd.DataFrame) -> str:
    """Which measure orders the pairs most as planes do."""
    rows = records(correlations.dropna(subset=["value"]))
    most = max(rows, key=lambda row: abs(row["value"]))
    ends = with_interval(most["value"], most["low"], most["high"], signed=True, digits=2)
    return f"Nearest to the planes' order of pairs comes {most['name']}: {ends}."


def pairs_caption(pairs: pd.DataFrame) -> str:
    """Plane agreement and churn of pairs within groups and between them."""
    same = pairs.label_a == pairs.label_b
    if not same.any() or same.all():
        return f"All {len(pairs)} pairs of models."
    one, two = pairs[same], pairs[~same]
    return (
        f"Pairs of one group differ on {one.disagreement.mean():.1%} of test images and "
        f"{1 - one.agreement.mean():.1%} of plane points, pairs of different groups on "
        f"{two.disagreement.mean():.1%} and {1 - two.agreement.mean():.1%}."
    )


def kinds_caption(values: pd.Series, kind: str, form: str) -> str:
    """How a mean by kind of planes compares with that on test planes."""
    others = values.drop(kind, errors="ignore")
    if kind not in values or not len(others):
        return "There are no test planes to compare with."
    furthest = str((others - values[kind]).abs().idxmax())
    return (
        f"The mean over groups is {values[kind]:{form}} on {kind} planes and "
        f"{others[furthest]:{form}} on {furthest} planes, which differ most from them."
    )


def curves_caption(curves: WidthCurves) -> str:
    """Where the measures turn, under the most noise."""
    noise = curves.noises[-1]
    error, agreement = curves.curve("test_error", noise), curves.curve("agreement", noise)
    fitted = curves.thresholds[noise].width
    at = "no width fits its labels" if fitted is None else f"width {fitted} just fits its labels"
    said = f"With {noise}, {at}; test error is largest at width {error.value.idxmax()}"
    if not len(agreement):
        return f"{said}."
    return f"{said}, and two models agree least at width {agreement.value.idxmin()}."


def crowding_caption(curves: WidthCurves, noise: str) -> str:
    """Around which images margins are narrowest."""
    rows = curves.by_kind[(curves.by_kind.noise == noise) & (curves.by_kind.measure == "margin")]
    means = rows.groupby("kind").value.mean().sort_values()
    if not len(means):
        return "No margin was measured."
    first, last = (str(means.index[at]).replace("_", " ") for at in (0, -1))
    return (
        f"Averaged over the widths, margins are narrowest around {first} images "
        f"({means.iloc[0]:.2f}) and widest around {last} images ({means.iloc[-1]:.2f})."
    )


def history_caption(history: pd.DataFrame) -> str:
    """The least test error at the end."""
    end = history[history.epoch == history.groupby("trial_id").epoch.transform("max")]
    means = end.groupby(["noise", "width"]).test_error.mean().reset_index()
    rows = records(means.sort_values("test_error").drop_duplicates("noise"))
    said = [f"{r['test_error']:.1%} at width {r['width']} ({r['noise']})" for r in rows]
    return f"At the end, test error is least with {' and '.join(said)}."


def epochs_caption(curves: WidthCurves) -> str:
    """How agreement of the widest models changes between the first look and the end."""
    noise, width = curves.noises[-1], curves.widths[-1]
    rows = curves.curves[
        (curves.curves.noise == noise)
        & (curves.curves.width == width)
        & (curves.curves.measure == "agreement")
    ].set_index("epoch")
    early = rows.index[rows.index > 0]
    if not len(early) or 0 not in rows.index:
        return "Agreement was not measured at both ends."
    first = int(early.min())
    return (
        f"With {noise}, two models of width {width} agree on {rows.value[first]:.1%} of points "
        f"after {first} epochs and on {rows.value[0]:.1%} at the end."
    )
