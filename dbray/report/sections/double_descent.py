"""The report's parts of a double-descent study: curves, regions, numbers, in words."""

import math
from dataclasses import replace
from typing import Any

from dbray.claims.contrasts import SCORED_KIND
from dbray.claims.double_descent import NO_NOISE
from dbray.claims.words import PLANES_ONLY_MEANS, with_interval
from dbray.config import TrialConfig
from dbray.report.figures.epoch_charts import epochs_chart, history_chart
from dbray.report.figures.gallery import gallery_chart
from dbray.report.figures.width_charts import curves_chart, kinds_chart
from dbray.report.page.page import Figure, Section, Table
from dbray.report.tables.tables import StudyTables, records
from dbray.report.tables.width_curves import WidthCurves, label_at, width_history
from dbray.scores.threshold import FITTED

PLANES_A_FIGURE = 3


def curves_section(curves: WidthCurves) -> Section:
    """Every measure against the width."""
    prose = [
        "Errors are means over seeds with their intervals over seeds (Student's t); those of "
        "regions, margins, class skips and agreement hold for other planes or images, too. The "
        "training error is that of the labels as they were taught, wrong ones among them.",
        *([PLANES_ONLY_MEANS] if curves.curves.planes_only.any() else []),
        *(_threshold_in_words(curves, noise) for noise in curves.noises),
    ]
    return Section("Along the width", prose, [Figure("width-curves", curves_chart(curves))])


def regions_section(
    tables: StudyTables, curves: WidthCurves, *, confidence: bool
) -> Section | None:
    """The same planes at the narrowest, the critical and the widest width, for each noise."""
    planes = [plane for plane in tables.planes if not plane.apart]
    if not planes:
        return None
    widths = shown_widths(curves)
    labels = [label_at(tables, curves, w, noise) for noise in curves.noises for w in widths]
    order = [label for label in labels if label]
    shown = replace(tables, trials=tables.trials[tables.trials.label.isin(order)])
    at = ", ".join(map(str, widths))
    figures = [
        Figure(
            "width-regions" + (f"-{start // PLANES_A_FIGURE + 1}" if start else ""),
            gallery_chart(
                shown, planes[start : start + PLANES_A_FIGURE], order=order, confidence=confidence
            ),
        )
        for start in range(0, len(planes), PLANES_A_FIGURE)
    ]
    prose = [
        f"The same slices at widths {at}: too narrow, where the network with the most wrong labels "
        "just fits them, and wide. Each small picture is one model's answer; columns are seeds. "
        "Marks are the images that span the slice, in the colour of their right class."
    ]
    return Section("The regions themselves", prose, figures)


def crowding_section(curves: WidthCurves) -> Section | None:
    """Fragmentation and margins by kind of planes and images."""
    if not len(curves.by_kind[curves.by_kind.measure == "margin"]):
        return None
    figures = [
        Figure(f"by-kind-{number}", kinds_chart(curves, noise))
        for number, noise in enumerate(curves.noises, start=1)
    ]
    prose = [
        "A margin is the distance from an image, towards another of a different right class, at "
        "which the predicted class first changes, in units of normalised inputs. Where it never "
        "changes the whole way counts, so that the true mean is larger; the share of such lines "
        "stands in the table. Class skips are the changes met on the way. Without label noise the "
        "same images serve, and all their labels are right.",
    ]
    return Section("Right and wrong labels", prose, figures)


def training_section(tables: StudyTables, curves: WidthCurves) -> Section:
    """Test error while training; more, where models were looked at before the end."""
    figures = [Figure("error-history", history_chart(width_history(tables), curves.noises))]
    prose = []
    if (curves.curves.epoch > 0).any():
        epochs = [c.training.epochs for c in tables.configs.values() if isinstance(c, TrialConfig)]
        figures.append(Figure("epoch-curves", epochs_chart(curves, max(epochs))))
        prose.append("Below: models of one training at several epochs, on the same planes.")
    return Section("Along the training", prose, figures)


def numbers_section(tables: StudyTables, curves: WidthCurves) -> Section:
    """Every figure of the curves with its interval, a table a label noise."""
    columns = [
        *("width", "models", "test error", "training error", "regions", "agreement"),
        *("margin", "censored", "class skips"),
    ]
    prose = [
        "Means, with 95 % intervals in brackets: regions on planes through training images (test "
        "images, if there are none), agreement on test planes, margins and class skips of test "
        "images. Censored: the share of lines on which the class never changes."
    ]
    found = [
        Table(columns, _numbers(tables, curves, noise), noise[0].upper() + noise[1:])
        for noise in curves.noises
    ]
    return Section("All numbers", prose, tables=found)


def _numbers(tables: StudyTables, curves: WidthCurves, noise: str) -> list[list[str]]:
    lines = tables.lines_by_group[tables.lines_by_group.kind == SCORED_KIND]
    censored = dict(zip(lines.group, lines.censored, strict=True))
    rows: dict[int, list[str]] = {}
    for row in records(curves.curve("test_error", noise).reset_index()):
        rows[row["width"]] = [str(row["width"]), str(row["trials"]), _cell(row)]
    for measure in ("train_error", "fragmentation", "agreement", "margin"):
        found = {r["width"]: r for r in records(curves.curve(measure, noise).reset_index())}
        for width, cells in rows.items():
            cells.append(_cell(found[width]) if width in found else "")
    skips = {r["width"]: r for r in records(curves.curve("skips", noise).reset_index())}
    for width, cells in rows.items():
        share = censored.get(str(label_at(tables, curves, width, noise)))
        cells.append("" if share is None else f"{share:.1%}")
        cells.append(_cell(skips[width]) if width in skips else "")
    return list(rows.values())


def double_descent_in_words(curves: WidthCurves) -> str:
    """The finding: the most noise first, then the trials without."""
    said = [_descent_in_words(curves, noise) for noise in reversed(curves.noises)]
    return " ".join(sentence for sentence in said if sentence)


def shown_widths(curves: WidthCurves) -> list[int]:
    """The narrowest width, the threshold under the most noise, and the widest."""
    critical = curves.thresholds[curves.noises[-1]].width or curves.widths[-1]
    return sorted({curves.widths[0], critical, curves.widths[-1]})


def _descent_in_words(curves: WidthCurves, noise: str) -> str:
    rows = records(curves.curve("test_error", noise).reset_index())
    if len(rows) < 3:
        return ""
    where = "Without label noise" if noise == NO_NOISE else f"With {noise}"
    fitted = curves.thresholds[noise].width or curves.widths[-1]
    valley = min((row for row in rows if row["width"] <= fitted), key=lambda row: row["value"])
    peak = max((r for r in rows if r["width"] >= valley["width"]), key=lambda row: row["value"])
    last = rows[-1]
    if peak in (valley, last):
        first, least = rows[0], min(rows, key=lambda row: row["value"])
        said = (
            f"{where}, test error has no peak inside: it is {first['value']:.1%} at width "
            f"{first['width']} and least at width {least['width']} ({least['value']:.1%})"
        )
    else:
        said = (
            f"{where}, test error falls to {valley['value']:.1%} at width {valley['width']}, peaks "
            f"at width {peak['width']} ({peak['value']:.1%}{_between(peak)}) and falls again, to "
            f"{last['value']:.1%} at width {last['width']}"
        )
    return f"{said}{_regions_in_words(curves, noise)}."


def _regions_in_words(curves: WidthCurves, noise: str) -> str:
    regions = curves.curve("fragmentation", noise).value
    agreement = curves.curve("agreement", noise).value
    if not len(agreement):
        return ""
    return (
        f"; regions are most at width {regions.idxmax()} ({regions.max():.1f} a plane), two models "
        f"agree least at width {agreement.idxmin()} ({agreement.min():.1%}) and most at width "
        f"{agreement.idxmax()} ({agreement.max():.1%})"
    )


def _threshold_in_words(curves: WidthCurves, noise: str) -> str:
    found = curves.thresholds[noise]
    name = noise[0].upper() + noise[1:]
    if found.width is None:
        return f"{name}: no width fits {1 - FITTED:.0%} of its training labels."
    high = found.high or f"more than {curves.widths[-1]}"
    return (
        f"{name}: {curves.family} fits {1 - FITTED:.0%} of its training labels from width "
        f"{found.width} on (95 % interval over seeds: {found.low} to {high})."
    )


def _between(row: dict[str, Any]) -> str:
    if math.isnan(row["low"]):
        return ""
    return f", 95 % interval {row['low']:.1%} to {row['high']:.1%}"


def _cell(row: dict[str, Any]) -> str:
    """Mean and interval, kept on one line."""
    digits = 3 if row["value"] < 1 else 2
    ends = (row["value"], row["low"], row["high"])
    said = with_interval(*ends, planes_only=row["planes_only"], digits=digits)
    return said.replace(" ", "\N{NO-BREAK SPACE}")
