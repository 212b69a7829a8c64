"""The report of a study: its tables in, one self-contained page out."""

from collections.abc import Sequence

from dbray.claims.words import PLANES_ONLY_MEANS, with_interval
from dbray.report.explorer import explorer_of
from dbray.report.figures.charts import (
    MEASURES,
    PLANES,
    accuracy_by_group,
    agreement_matrix,
    fragmentation_by_group,
    training_curves,
    within_agreement,
)
from dbray.report.figures.gallery import gallery_chart
from dbray.report.page.page import Figure, Finding, Section, Table, render_page
from dbray.report.sections.along_training import along_section
from dbray.report.sections.branches import branches_section
from dbray.report.sections.captions import (
    gallery_caption,
    matrix_caption,
    training_caption,
    trials_caption,
    within_caption,
)
from dbray.report.sections.claims import claims_section, named_section
from dbray.report.sections.distillation import distillation_section
from dbray.report.sections.double_descent import (
    crowding_section,
    curves_section,
    numbers_section,
    regions_section,
    training_section,
)
from dbray.report.sections.ensembles import ensembles_section
from dbray.report.sections.findings import findings_along_width, findings_of
from dbray.report.sections.images import images_section
from dbray.report.sections.off_manifold import off_manifold_section
from dbray.report.sections.optimizers import optimizer_section
from dbray.report.sections.provenance import provenance_section
from dbray.report.sections.randomness import (
    errors_section,
    randomness_findings,
    randomness_section,
)
from dbray.report.sections.similarity import similarity_section
from dbray.report.tables.images import contested_images
from dbray.report.tables.score_tables import read_scores
from dbray.report.tables.selection import GROUPS_PICTURED, evenly_spaced
from dbray.report.tables.tables import (
    SEEDS_SHOWN,
    StudyTables,
    group_order,
    load_tables,
    records,
)
from dbray.report.tables.width_curves import is_width_study, width_curves
from dbray.store import Study
from dbray.store.pages import REPORT, page_inputs, sealed

SCORES = "the study's scores/*.parquet"


def build_report(study: Study, *, confidence: bool = False) -> bytes:
    """HTML page of a scored study; with ``confidence``, pictures are shaded by it.

    Raises
    ------
    UserError
        If the study has no committed trial, or its scores are not there.
    """
    tables = load_tables(study)
    if is_width_study(tables):
        return _double_descent_page(study, tables, confidence=confidence)
    if len(tables.randomness):
        return _randomness_page(study, tables)
    shown = tables.of_shown_groups()
    sections = [
        named_section(tables),
        _agreement(shown),
        claims_section(tables),
        optimizer_section(shown),
        distillation_section(tables),
        _regions(shown, confidence=confidence),
        _accuracy(shown),
        along_section(read_scores(study, "along_training"), shown),
        similarity_section(shown),
        ensembles_section(read_scores(study, "ensembles"), shown),
        images_section(contested_images(study), shown),
        off_manifold_section(shown, confidence=confidence),
        _training(shown),
        provenance_section(tables, study),
    ]
    lead = [*_lead(tables), *_stale(tables), *_left_out(tables)]
    return _page(study, tables, lead, sections, findings_of(shown))


def _randomness_page(study: Study, tables: StudyTables) -> bytes:
    sections = [
        named_section(tables),
        randomness_section(tables),
        branches_section(tables),
        claims_section(tables),
        along_section(read_scores(study, "along_training"), tables),
        errors_section(read_scores(study, "errors"), tables),
        images_section(contested_images(study), tables),
        ensembles_section(read_scores(study, "ensembles"), tables),
        provenance_section(tables, study),
    ]
    explained = (
        "Train a network twice and you get two classifiers. Much is random in a training: the "
        "initial weights, the order of the images, augmentation, dropout, which images there are. "
        "This report varies one after the other alone, and fixes one after the other, and asks "
        "how much of the disagreement is there then."
    )
    lead = [explained, *_stale(tables), *_left_out(tables)]
    return _page(study, tables, lead, sections, randomness_findings(tables))


def _double_descent_page(study: Study, tables: StudyTables, *, confidence: bool) -> bytes:
    curves = width_curves(tables)
    sections = [
        named_section(tables),
        curves_section(curves),
        regions_section(tables, curves, confidence=confidence),
        claims_section(tables),
        crowding_section(curves),
        training_section(tables, curves),
        numbers_section(tables, curves),
        provenance_section(tables, study),
    ]
    explained = (
        "A network that is just large enough to fit its training labels, wrong ones among them, "
        "has to bend its decision regions around them. This report trains one family of networks "
        "at many widths and looks at errors, at the regions, and at how far models from different "
        "seeds agree on them."
    )
    lead = [explained, *_stale(tables)]
    return _page(study, tables, lead, sections, findings_along_width(curves))


def _page(
    study: Study,
    tables: StudyTables,
    lead: Sequence[str],
    sections: Sequence[Section | None],
    findings: Sequence[Finding],
) -> bytes:
    """The page of those sections that there are, with the explorer."""
    return render_page(
        tables.info["title"],
        lead,
        [section for section in sections if section],
        findings=findings,
        instrument=explorer_of(study, tables),
    )


def write_report(study: Study, *, confidence: bool = False) -> str:
    """Write the page into the study and say where it is."""
    seen = study.snapshot()  # what comes while the page is made makes it stale
    inputs = page_inputs(seen, confidence=confidence)
    study.write_bytes(REPORT, sealed(build_report(seen, confidence=confidence), inputs))
    return f"{study.location}/{REPORT}"


def _lead(tables: StudyTables) -> list[str]:
    data, planes = tables.info["dataset"], tables.info["planes"]
    explained = (
        "Train a network twice from different random seeds and you get two classifiers that may "
        "be equally accurate and yet disagree. This report measures by how much: it takes three "
        f"test images of {data['name']}, spans a flat slice through the space of images by them, "
        f"asks every model for the class of {planes['resolution']} x {planes['resolution']} points "
        f"of the slice, and compares the answers, on {planes['counts'].get('test', 0)} such slices."
    )
    if not len(tables.inside):
        return ["No group has two finished trials, so none can be compared.", explained]
    return [explained]


def _stale(tables: StudyTables) -> list[str]:
    """A warning where the scores are not those of the trials that the study has now."""
    if not tables.stale:
        return []
    return [
        f"These scores are out of date ({', '.join(tables.stale)}): trials have come or gone since "
        "they were made, or a table is damaged. Run the study's command again: it scores what is "
        "there."
    ]


def _left_out(tables: StudyTables) -> list[str]:
    """What a page of many groups does not show."""
    groups = tables.trials.label.nunique()
    if len(tables.shown) == groups:
        return []
    return [
        f"The study has {len(tables.trials)} models in {groups} groups. The figures and tables "
        f"below show {len(tables.shown)} of the groups, evenly spaced from the most to the least "
        "reproducible; the claims are checked on all of them. The scores of all groups and models "
        f"are in {SCORES}."
    ]


def _regions(tables: StudyTables, *, confidence: bool) -> Section:
    prose = [
        "Each small picture is one model's view of one slice. If training were perfectly "
        "reproducible, the pictures of a row would be the same. The three marks are the images "
        "that span the slice, shown above it; their frames have the colour of their class."
    ]
    if int(tables.trials.groupby("label").size().max()) > SEEDS_SHOWN:
        prose.append(f"Only the first {SEEDS_SHOWN} models of each group are shown.")
    planes = [plane for plane in tables.planes if not plane.apart]
    if not planes:
        return Section("Decision regions", ["This study was run without pictures."])
    groups = group_order(tables.trials, tables.groups)
    order = evenly_spaced(groups, GROUPS_PICTURED)
    if len(order) < len(groups):
        prose.append(f"Only {len(order)} of the groups are shown, evenly spaced in their order.")
    pictures = tables.info["pictures"]
    prose.append(
        f"The pictures have {pictures['resolution']} x {pictures['resolution']} points and reach "
        f"past the three images by {pictures['extent']:.0%} of the slice's side."
    )
    figures = [
        Figure(
            "decision-regions" + (f"-{at // 3 + 1}" if at else ""),
            gallery_chart(tables, planes[at : at + 3], order=order, confidence=confidence),
            gallery_caption(tables, planes[at : at + 3], order),
            scrolls=True,
        )
        for at in range(0, len(planes), 3)
    ]
    return Section("Decision regions", prose, figures, folded=True)


def _agreement(tables: StudyTables) -> Section:
    if not len(tables.groups):
        return Section("Agreement", ["There are no two models to compare."])
    prose = [
        "Agreement is the share of points that two models give the same class. Its 95 % interval "
        "holds for other slices and other seeds of the same kind. Few seeds make wide intervals: "
        "three seeds are three pairs."
    ]
    if tables.groups.planes_only.any():
        prose.append(PLANES_ONLY_MEANS)
    figures = [Figure("agreement-within", within_agreement(tables), within_caption(tables))]
    if tables.info["planes"].get("pairs") == "groups":
        prose.append("Models of one group were compared (--pairs groups), none of different ones.")
    else:
        chart = agreement_matrix(tables)
        figures.append(Figure("agreement-matrix", chart, matrix_caption(tables)))
    return Section("Agreement", prose, figures, [_measures(tables)])


def _measures(tables: StudyTables) -> Table:
    """Agreement between seeds by all three measures."""
    rows = [
        [
            row["name_a"],
            with_interval(
                row["agreement"], row["low"], row["high"], planes_only=row["planes_only"]
            ),
            *(f"{row[name]:.3f}" for name in ("kappa", "jaccard")),
            str(row["pairs"]),
        ]
        for row in records(tables.inside.sort_values("agreement", ascending=False))
    ]
    return Table(["group", *MEASURES.values(), "pairs of models"], rows)


def _accuracy(tables: StudyTables) -> Section:
    kinds = [kind for kind in ("train", "test") if kind in set(tables.fragmentation.kind)]
    counted = {kind: tables.fragmentation[tables.fragmentation.kind == kind] for kind in kinds}
    charts = [
        Figure(
            f"fragmentation-{kind}",
            fragmentation_by_group(tables, kind),
            trials_caption(
                counted[kind], "components", ".1f", f"regions a {PLANES.get(kind, kind)} plane"
            ),
        )
        for kind in kinds
    ]
    prose = [
        "Fragmentation counts the connected regions of equal class on a slice, neighbours in all "
        "eight directions taken together. The count depends on the number of points of a slice, "
        "so compare it within this page only."
    ]
    said = trials_caption(tables.trials, "test_accuracy", ".3f", "of test images")
    accuracy = Figure("test-accuracy", accuracy_by_group(tables), said)
    return Section("Accuracy and fragmentation", prose, [accuracy, *charts], folded=True)


def _training(tables: StudyTables) -> Section | None:
    if not len(tables.history):
        return None
    prose = ["One line a trained model. Hover over a line to see its group alone."]
    said = training_caption(tables.history)
    figure = Figure("training-curves", training_curves(tables), said)
    return Section("Training", prose, [figure], folded=True)
