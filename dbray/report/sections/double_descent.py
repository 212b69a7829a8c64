"""The report's parts of a double-descent study: curves, regions, numbers, in words."""

from dataclasses import replace
from typing import Any

from dbray.claims.contrasts import SCORED_KIND
from dbray.claims.words import PLANES_ONLY_MEANS, with_interval
from dbray.config import TrialConfig
from dbray.report.figures.epoch_charts import epochs_chart, history_chart
from dbray.report.figures.gallery import gallery_chart
from dbray.report.figures.width_charts import curves_chart, kinds_chart
from dbray.report.page.page import Figure, Section, Table
from dbray.report.sections.captions import (
    crowding_caption,
    curves_caption,
    epochs_caption,
    gallery_caption,
    history_caption,
)
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
    return Section(
        "Along the width",
        prose,
        [Figure("width-curves", curves_chart(curves), curves_caption(curves))],
    )


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
            gallery_caption(shown, planes[start : start + PLANES_A_FIGURE], order),
            scrolls=True,
        )
        for start in range(0, len(planes), PLANES_A_FIGURE)
    ]
    prose = [
        f"The same slices at widths {at}: too narrow, where the network with the most wrong labels "
        "just fits them, and wide. Each small picture is one model's answer; columns are seeds. "
        "Marks are the images that span the slice, in the colour of their right class."
    ]
    return Section("The regions themselves", prose, figures, folded=True)


def crowding_section(curves: WidthCurves) -> Section | None:
    """Fragmentation and margins by kind of planes and images."""
    if not len(curves.by_kind[curves.by_kind.measure == "margin"]):
        return None
    figures = [
        Figure(f"by-kind-{number}", kinds_chart(curves, noise), crowding_caption(curves, noise))
        for number, noise in enumerate(curves.noises, start=1)
    ]
    prose = [
        "A margin is the distance from an image, towards another of a different right class, at "
        "which the predicted class first changes, in units of normalised inputs. Where it never "
        "changes the whole way counts, so that the true mean is larger; the share of such lines "
        "stands in the table. Class skips are the changes met on the way. Without label noise the "
        "same images serve, and all their labels are right.",
    ]
    return Section("Right and wrong labels", prose, figures, folded=True)


def training_section(tables: StudyTables, curves: WidthCurves) -> Section:
    """Test error while training; more, where models were looked at before the end."""
    history = width_history(tables)
    chart = history_chart(history, curves.noises)
    figures = [Figure("error-history", chart, history_caption(history))]
    prose = []
    if (curves.curves.epoch > 0).any():
        epochs = [c.training.epochs for c in tables.configs.values() if isinstance(c, TrialConfig)]
        chart = epochs_chart(curves, max(epochs))
        figures.append(Figure("epoch-curves", chart, epochs_caption(curves)))
        prose.append("Below: models of one training at several epochs, on the same planes.")
    return Section("Along the training", prose, figures, folded=True)


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
    return Section("All numbers", prose, tables=found, folded=True)


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


def shown_widths(curves: WidthCurves) -> list[int]:
    """The narrowest width, the threshold under the most noise, and the widest."""
    critical = curves.thresholds[curves.noises[-1]].width or curves.widths[-1]
    return sorted({curves.widths[0], critical, curves.widths[-1]})


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


def _cell(row: dict[str, Any]) -> str:
    """Mean and interval, kept on one line."""
    digits = 3 if row["value"] < 1 else 2
    ends = (row["value"], row["low"], row["high"])
    said = with_interval(*ends, planes_only=row["planes_only"], digits=digits)
    return said.replace(" ", "\N{NO-BREAK SPACE}")
