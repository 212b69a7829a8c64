"""The paper's claims about double descent, C7 and C8, on the intervals of a study's curves."""

from typing import Any

from dbray.report.claims.architectures import Comparison, Interval, Verdict, decide
from dbray.report.tables.tables import records
from dbray.report.tables.width_curves import MEASURES, NO_NOISE, WidthCurves

TITLES = {measure.name: measure.title for measure in MEASURES}


def check_double_descent(curves: WidthCurves) -> list[Verdict]:
    """Check C7 on every label noise, and C8 on the trials without.

    The claims compare the width at the threshold with the best of the narrower ones and with the
    widest: test error and fragmentation should be higher there, agreement lower.

    References
    ----------
    Somepalli et al., CVPR 2022, section 4.
    """
    noisy = [noise for noise in curves.noises if noise != NO_NOISE]
    peaks = [
        comparison
        for noise in noisy
        for measure in ("test_error", "fragmentation", "agreement")
        for comparison in _at_threshold(curves, noise, measure)
    ]
    dips = _at_threshold(curves, NO_NOISE, "agreement") if NO_NOISE in curves.noises else []
    return [
        _decide("C7", peaks, "It needs trials with wrong labels"),
        _decide("C8", dips, "It needs trials without wrong labels"),
    ]


def _decide(claim: str, comparisons: list[Comparison], needs: str) -> Verdict:
    if comparisons:
        return decide(claim, comparisons)
    missing = f"{needs} at widths below, at and above the threshold, from two seeds each."
    return Verdict(claim, "cannot be told", "There is nothing to compare.", (), missing)


def _at_threshold(curves: WidthCurves, noise: str, measure: str) -> list[Comparison]:
    """The threshold's value against the narrower widths' best and the widest's."""
    threshold = curves.thresholds[noise].width
    rows = {row["width"]: row for row in records(curves.curve(measure, noise).reset_index())}
    narrower = [width for width in rows if threshold and width < threshold]
    widest = max(rows, default=0)
    if threshold not in rows or not narrower or widest == threshold:
        return []
    found = {width: _interval(row, measure, noise) for width, row in rows.items()}
    here = found[threshold]
    if measure == "agreement":
        best = max(narrower, key=lambda width: found[width].value)
        return [Comparison(above=found[other], below=here) for other in (best, widest)]
    best = min(narrower, key=lambda width: found[width].value)
    return [Comparison(above=here, below=found[other]) for other in (best, widest)]


def _interval(row: dict[str, Any], measure: str, noise: str) -> Interval:
    name = f"{TITLES[measure]} at width {row['width']} ({noise})"
    return Interval(name, row["value"], row["low"], row["high"])
