"""What a study has found: three numbers, each with its interval and what it means."""

import math
from collections.abc import Sequence
from typing import Any

from dbray.claims import NAMED, Claim, Result, decided, verdict
from dbray.claims.words import PLANES_ONLY
from dbray.report.page.page import Finding
from dbray.report.sections.distillation import distillation_frame
from dbray.report.tables.tables import StudyTables, records
from dbray.report.tables.width_curves import WidthCurves
from dbray.scores.threshold import FITTED


def findings_of(tables: StudyTables) -> list[Finding]:
    """Of a study that compares groups."""
    if len(tables.distillation):
        return [*_of_students(tables), *_of_contrasts(tables)][:3]
    return [*_of_agreement(tables), *_of_contrasts(tables)]


def findings_along_width(curves: WidthCurves) -> list[Finding]:
    """Of a study along the width: the threshold, the error's peak, the dip of agreement."""
    noise = curves.noises[-1]
    return [
        _threshold(curves, noise),
        *_peak(curves, noise),
        *_dip(curves, noise),
    ]


def _of_agreement(tables: StudyTables) -> list[Finding]:
    rows = records(tables.inside.sort_values("agreement"))
    if not rows:
        return []
    most, least = rows[-1], rows[0]
    among = f", the most alike of {len(rows)} groups" if len(rows) > 1 else ""
    found = [
        Finding(
            f"{most['agreement']:.1%}",
            _interval(most, "agreement", ".1%"),
            f"of points get the same class from two models of {most['name_a']}{among}: all that "
            "differs between the two is the random seed.",
        )
    ]
    if len(rows) > 1:
        one_in = 1 / max(1 - least["agreement"], 1e-9)
        found.append(
            Finding(
                f"{least['agreement']:.1%}",
                _interval(least, "agreement", ".1%"),
                f"for {least['name_a']}, the least alike: train it again, and one point in "
                f"{one_in:.1f} has another class.",
            )
        )
    return found


def _of_students(tables: StudyTables) -> list[Finding]:
    rows = records(distillation_frame(tables).sort_values("difference"))
    most, least = rows[-1], rows[0]
    said = [
        Finding(
            f"{100 * row['difference']:+.1f} points",
            _interval(row, "difference", "+.1%"),
            f"in a hundred more are shared with its teacher {row['teacher_name']} by a distilled "
            f"{row['student_name']} ({row['learned']}) than by its twin from labels: {which}.",
        )
        for row, which in ((most, "the largest effect"), (least, "the smallest"))
    ]
    return said if len(rows) > 1 else said[:1]


def _of_contrasts(tables: StudyTables) -> list[Finding]:
    """The difference that is told most clearly, a user's own before the paper's."""
    results = [result for result in tables.contrasts if result.decides]
    own = [result for result in results if result.claim == NAMED]
    told = sorted((r for r in own or results if decided(r)), key=lambda r: r.p)
    if not told:
        return _undecided(tables, own or results)
    first = told[0]
    claim = next(claim for claim in tables.claims if claim.name == first.claim)
    asked = (
        ""
        if first.claim == NAMED
        else f" The paper found: “{claim.statement}” {_here(claim, tables)}"
    )
    meaning = f"is the clearest difference of agreement: {first.name}.{asked}"
    return [Finding(f"{first.difference:+.3f}", _interval_of(first), meaning)]


def _here(claim: Claim, tables: StudyTables) -> str:
    outcome = verdict(claim, tables.contrasts).outcome
    return {"holds": "So it is here.", "does not hold": "Not so here."}.get(
        outcome, "Whether it is so here cannot be told in all."
    )


def _undecided(tables: StudyTables, results: Sequence[Result]) -> list[Finding]:
    if not results:
        return []
    widest = min(results, key=lambda result: result.p)
    return [
        Finding(
            f"{widest.difference:+.3f}",
            _interval_of(widest),
            f"is the nearest to a difference of agreement: {widest.name}. None is told from zero.",
        )
    ]


def _interval_of(result: Result) -> str:
    alone = f", {PLANES_ONLY}" if result.planes_only else ""
    return f"{100 * result.level:.4g} % interval {result.low:+.3f} to {result.high:+.3f}{alone}"


def _threshold(curves: WidthCurves, noise: str) -> Finding:
    found = curves.thresholds[noise]
    if found.width is None:
        return Finding(
            "none",
            f"of {len(curves.widths)} widths up to {curves.widths[-1]}",
            f"fits {1 - FITTED:.0%} of its training labels ({noise}): no threshold is seen.",
        )
    high = found.high or f"more than {curves.widths[-1]}"
    return Finding(
        f"width {found.width}",
        f"95 % interval {found.low} to {high}",
        f"is the first at which {curves.family} fits its training labels ({noise}): the threshold, "
        "where it has just enough parameters.",
    )


def _peak(curves: WidthCurves, noise: str) -> list[Finding]:
    rows = records(curves.curve("test_error", noise).reset_index())
    if len(rows) < 3:
        return []
    fitted = curves.thresholds[noise].width or curves.widths[-1]
    valley = min((r for r in rows if r["width"] <= fitted), key=lambda row: row["value"])
    peak = max((r for r in rows if r["width"] >= valley["width"]), key=lambda row: row["value"])
    last = rows[-1]
    if peak["width"] in (valley["width"], last["width"]):
        least = min(rows, key=lambda row: row["value"])
        said = f"is the least test error, at width {least['width']}; it has no peak on the way."
        return [Finding(f"{least['value']:.1%}", _interval(least, "value", ".1%"), said)]
    return [
        Finding(
            f"{peak['value']:.1%}",
            _interval(peak, "value", ".1%"),
            f"is the test error at its peak, at width {peak['width']}: narrower (width "
            f"{valley['width']}: {valley['value']:.1%}) and wider networks (width {last['width']}: "
            f"{last['value']:.1%}) err less.",
        )
    ]


def _dip(curves: WidthCurves, noise: str) -> list[Finding]:
    rows = records(curves.curve("agreement", noise).reset_index())
    if not rows:
        return []
    least, most = (choose(rows, key=lambda row: row["value"]) for choose in (min, max))
    return [
        Finding(
            f"{least['value']:.1%}",
            _interval(least, "value", ".1%"),
            f"of points get the same class from two models of width {least['width']}, the least "
            f"of all; at width {most['width']} it is {most['value']:.1%}.",
        )
    ]


def _interval(row: dict[str, Any], name: str, form: str) -> str:
    low, high = (
        (row["low"], row["high"]) if "low" in row else (row[f"{name}_low"], row[f"{name}_high"])
    )
    if math.isnan(low):
        return "without an interval"
    alone = f", {PLANES_ONLY}" if row["planes_only"] else ""
    return f"95 % interval {low:{form}} to {high:{form}}{alone}"
