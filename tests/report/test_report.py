"""The report: every figure draws, claims follow from intervals, hostile names stay text."""

import io
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import vl_convert
from browser import open_page
from PIL import Image
from synthetic_study import (
    ARCHITECTURES,
    CHECKPOINTS,
    OPTIMIZERS,
    STUDENTS,
    distillation_row,
    pictured,
    write_scores,
    write_synthetic_study,
)
from tiny_study import DESCRIBED

from dbray.errors import UserError
from dbray.report import Picture, build_report, write_report, write_sheets
from dbray.report.claims.architectures import check_claims
from dbray.report.figures import charts
from dbray.report.figures.gallery import gallery_chart
from dbray.report.figures.regions import picture_image, plotted_rectangle, positions_in_picture
from dbray.report.figures.sheets import FOLDER, GAP, HEAD, LINE, NAMES, NARROWEST
from dbray.report.page.names import display_name
from dbray.report.page.palette import FIRST_TEN, VISION, class_colours, class_colours_rgb, seen_as
from dbray.report.sections.distillation import (
    check_distillation,
    distillation_frame,
    distillation_matrix,
)
from dbray.report.sections.off_manifold import agreement_by_kind, regions_by_kind
from dbray.report.sections.optimizers import check_optimizers, optimizer_chart, optimizer_frame
from dbray.report.sections.similarity import measures_against_planes
from dbray.report.tables.pictures import read_pictures, read_planes
from dbray.report.tables.tables import load_tables, similarity_frame
from dbray.store import create_or_extend
from dbray.store.schemas import AGREEMENT_BY_GROUP, DISTILLATION

HOSTILE = ("</script><script>alert(1)</script>", "<!--", "<b>three</b>", "a & b", '"quoted"')


KINDS = ("test", "train", "uniform", "gaussian")
MANY = {f"wideresnet@{width}": 0.5 + 0.005 * width for width in range(1, 73)}
STUDIES = {
    "usual": {"failures": ("vit",)},
    "optimizers": {
        "groups": OPTIMIZERS,
        "group_by": ("architecture", "training.optimizer"),
        "failures": ("vit/sgd",),
    },
    "distillation": {"groups": STUDENTS, "group_by": ("architecture", "distillation")},
    "planes": {"kinds": KINDS, "confidence": True},
    "checkpoints": {"groups": CHECKPOINTS, "group_by": ("group",)},
    "hostile": {"class_names": HOSTILE, "title": HOSTILE[0]},
    "one trial": {"groups": {"resnet": 0.8}, "seeds": (0,)},
    "five seeds": {"seeds": (0, 1, 2, 3, 4)},
    "300 classes": {"class_names": [f"class {c}" for c in range(300)], "groups": {"vit": 0.7}},
    "many groups": {"groups": MANY, "seeds": (0, 1), "resolution": 20, "epochs": 3},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Studies by name, each written once."""
    known = {}

    def make(name):
        if name not in known:
            known[name] = write_synthetic_study(tmp_path_factory.mktemp("made"), **STUDIES[name])
        return known[name]

    return make


@pytest.fixture
def study(made):
    return made("usual")


def apart(tables):
    return [plane for plane in tables.planes if plane.apart]


FIGURES = {
    "gallery": ("usual", lambda tables: gallery_chart(tables, tables.planes)),
    "matrix": ("usual", charts.agreement_matrix),
    "within": ("usual", charts.within_agreement),
    "accuracy": ("usual", charts.accuracy_by_group),
    "fragmentation": ("usual", lambda tables: charts.fragmentation_by_group(tables, "train")),
    "curves": ("usual", charts.training_curves),
    "optimizers": ("optimizers", lambda tables: optimizer_chart(optimizer_frame(tables))),
    "students": (
        "distillation",
        lambda tables: distillation_matrix(distillation_frame(tables).query("loss == 'kl'")),
    ),
    "shaded": ("planes", lambda t: gallery_chart(t, apart(t), confidence=True)),
    "by kind": ("planes", lambda tables: agreement_by_kind(tables, ["uniform", "gaussian"])),
    "regions": ("planes", lambda tables: regions_by_kind(tables, ["uniform", "gaussian"])),
    "pairs": ("checkpoints", lambda tables: measures_against_planes(tables.similarity)),
}


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_draws_and_says_what_it_shows(made, figure):
    name, draw = FIGURES[figure]
    spec = draw(load_tables(made(name))).to_dict()
    assert "title" in spec or all("title" in part for part in spec["hconcat"])
    assert all(len(rows) <= 5000 for rows in spec.get("datasets", {}).values())
    svg = vl_convert.vegalite_to_svg(spec)
    assert svg.count("<path") + svg.count("<image") > 10
    drawn = re.sub(r'data:image[^"]*', "", svg)  # base64 may spell anything
    assert "undefined" not in drawn
    assert "NaN" not in drawn


def test_matrix_prints_every_value(study):
    svg = vl_convert.vegalite_to_svg(charts.agreement_matrix(load_tables(study)).to_dict())
    for value in ARCHITECTURES.values():
        assert f">{value:.2f}<" in svg


# Figures that a report of the study has beside those of every report.
OWN = {
    "usual": {"training-curves"},
    "optimizers": {"optimizers", "training-curves"},
    "distillation": {"distillation-1", "distillation-2", "training-curves"},
    "planes": {"regions-apart-1", "agreement-by-kind", "regions-by-kind", "training-curves"},
}


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_in_a_browser(made, name):
    location = write_report(made(name), confidence=name == "planes")
    for window in (1280, 900):
        with open_page(Path(location), window) as page:
            assert page.complaints == []
            assert page.requests == [f"file://{location}"]
            assert page.broken_images == 0
            assert page.width <= window
            assert page.clipped == []
            assert page.drawn >= 5
            assert OWN.get(name, set()) <= page.figures
            assert ("training-curves" in page.figures) == (name != "checkpoints")
            assert name != "hostile" or HOSTILE[0] in page.text
    assert "decision-regions" in page.scrolling  # wider than the narrow window


def test_the_matrix_of_more_than_seventy_groups_is_whole(made):
    """Altair refuses the 72 * 72 rows of it unless it is told to take them."""
    page = build_report(made("many groups")).decode()
    assert 'id="agreement-matrix"' in page
    for width in (1, 72):
        assert f'"row": "WideResNet-{width}", "column": "WideResNet-{width}"' in page


def test_the_page_tells_failures_command_and_versions(study):
    page = build_report(study).decode()
    assert "ViT, seed 99: loss is not finite in epoch 3" in page
    assert "python sweeps/arch_repro.py --storage runs --name synthetic" in page
    assert "torch 2.14.0" in page
    assert "an invented CPU" in page
    assert page.count("vega-embed") < 200_000
    assert len(page) < 3_000_000


def test_a_study_that_is_not_scored(tmp_path):
    with pytest.raises(UserError, match="no finished trial"):
        build_report(create_or_extend(str(tmp_path), "empty", DESCRIBED))
    made = write_synthetic_study(tmp_path, groups={"vit": 0.7}, resolution=10)
    for name in ("agreement", "agreement_by_group", "fragmentation", "similarity", "distillation"):
        table = made.folder.read(f"scores/{name}.parquet")
        made.folder.delete(f"scores/{name}.parquet")
        with pytest.raises(UserError, match="finish the study's sweep"):
            build_report(made)
        made.write_bytes(f"scores/{name}.parquet", table)
    build_report(made)


def test_pairs_meet_whatever_their_order_in_the_two_tables(study):
    """Agreement orders a pair by its groups, similarity by its ids."""
    tables = load_tables(study)
    stored = study.read_table("scores/similarity.parquet").to_pandas()
    assert (stored.trial_a > tables.pairs.trial_a.min()).any()
    count = len(tables.trials) * (len(tables.trials) - 1) // 2
    assert len(tables.similarity) == len(stored) == count
    known = {frozenset((row.trial_a, row.trial_b)): row for row in stored.itertuples()}
    of_trial = tables.trials.set_index("trial_id")
    swapped = 0
    for row in tables.similarity.itertuples():
        source = known[frozenset((row.trial_a, row.trial_b))]
        assert (row.disagreement, row.js_divergence) == (source.disagreement, source.js_divergence)
        assert row.label_a == of_trial.label[row.trial_a]
        assert row.label_b == of_trial.label[row.trial_b]
        assert row.seed_b == of_trial.seed[row.trial_b]
        swapped += row.trial_a != source.trial_a
    assert 0 < swapped < count
    page = build_report(study).decode()
    assert page.count("different groups") > 100


def test_a_pair_that_one_table_lacks_is_left_out(study):
    tables = load_tables(study)
    stored = study.read_table("scores/similarity.parquet").to_pandas()
    assert len(similarity_frame(stored.iloc[1:], tables.pairs)) == len(stored) - 1
    assert len(similarity_frame(stored.iloc[:0], tables.pairs)) == 0


def groups(within, between=0.5, width=0.02):
    """Rows of agreement_by_group from the agreements within groups."""
    values = {(name, name): value for name, value in within.items()}
    values |= dict.fromkeys(combinations(within, 2), between)
    rows = [(a, b, value, value - width, value + width) for (a, b), value in values.items()]
    return pd.DataFrame(rows, columns=["group_a", "group_b", "agreement", "low", "high"])


def outcomes(frame):
    return {verdict.claim: verdict.outcome for verdict in check_claims(frame)}


def test_claims_that_hold():
    within = {"vgg": 0.8, "resnet": 0.9, "densenet": 0.88, "fcnet": 0.6, "vit": 0.5, "mixer": 0.55}
    within |= {"wideresnet@10": 0.85, "wideresnet@20": 0.9, "wideresnet@30": 0.95}
    frame = groups(within)
    inner = frame.group_a.isin(CNNS) & frame.group_b.isin(CNNS) & (frame.group_a != frame.group_b)
    frame.loc[inner, ["agreement", "low", "high"]] = [0.75, 0.73, 0.77]
    assert set(outcomes(frame).values()) == {"holds"}


CNNS = ["vgg", "resnet", "densenet", "wideresnet@10", "wideresnet@20", "wideresnet@30"]


def test_claims_that_do_not_hold():
    within = {"vgg": 0.9, "resnet": 0.6, "densenet": 0.6, "fcnet": 0.95, "vit": 0.5, "mixer": 0.5}
    within |= {"wideresnet@10": 0.9, "wideresnet@20": 0.8}
    found = outcomes(groups(within))
    assert found == {
        "C1": "does not hold",
        "C2": "cannot be told",
        "C3": "does not hold",
        "C4": "does not hold",
    }


def test_overlapping_intervals_and_missing_groups_cannot_be_told():
    within = {"vgg": 0.70, "resnet": 0.71, "densenet": 0.71, "fcnet": 0.69}
    found = check_claims(groups(within))
    assert {verdict.outcome for verdict in found} == {"cannot be told"}
    assert "ViT" in found[0].missing
    assert "widths" in found[2].missing
    assert {v.outcome for v in check_claims(groups({"own:model": 0.9}))} == {"cannot be told"}


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "holds"),
        ({"resnet/sam": 0.7}, "does not hold"),
        ({"resnet/sam": 0.81}, "cannot be told"),
        ({"vit/sam": 0.61, "resnet/sam": 0.81}, "does not hold"),  # less than that of Adam
    ],
)
def test_the_claim_about_sharpness_aware_minimisation(tmp_path, changes, outcome):
    groups = {**OPTIMIZERS, "vit/adam": 0.69, **changes}
    options = {"group_by": ("architecture", "training.optimizer"), "resolution": 10}
    made = write_synthetic_study(tmp_path, groups=groups, **options)
    verdict = check_optimizers(load_tables(made))
    assert (verdict.claim, verdict.outcome) == ("C5", outcome)
    assert len(verdict.comparisons) == 4  # SAM with SGD and Adam, in two architectures
    assert f"C5: {outcome}" in build_report(made).decode()


def test_the_claim_about_sharpness_aware_minimisation_needs_it(tmp_path):
    groups = {"resnet/sgd": 0.8, "resnet/adam": 0.7, "vit/sam": 0.9}
    options = {"group_by": ("architecture", "training.optimizer"), "resolution": 10}
    verdict = check_optimizers(
        load_tables(write_synthetic_study(tmp_path, groups=groups, **options))
    )
    assert verdict.outcome == "cannot be told"
    assert "SAM beside SGD or Adam" in verdict.missing


def test_an_optimizers_accuracy_is_the_mean_of_its_models(made):
    tables = load_tables(made("optimizers"))
    frame = optimizer_frame(tables)
    assert list(frame.optimizer) == ["sgd", "adam", "sam"] * 2
    for row in frame.itertuples():
        label = f"{row.architecture.lower()}/{row.optimizer}"
        accuracies = tables.trials[tables.trials.label == label].test_accuracy
        assert row.accuracy == pytest.approx(accuracies.mean())
        assert accuracies.min() <= row.accuracy_low <= row.accuracy <= row.accuracy_high
        assert row.accuracy_high <= accuracies.max()
        assert row.agreement == pytest.approx(OPTIMIZERS[label])


@pytest.mark.parametrize(
    ("differences", "outcome"),
    [
        ((0.05, 0.03), "holds"),
        ((0.05, 0.01), "cannot be told"),
        ((0.05, -0.03), "does not hold"),
        ((0.01, -0.01), "cannot be told"),
        ((), "cannot be told"),
    ],
)
def test_the_claim_about_distillation(tmp_path, differences, outcome):
    options = {"groups": STUDENTS, "group_by": ("architecture", "distillation"), "resolution": 10}
    made = write_synthetic_study(tmp_path, **options)
    rows = [
        distillation_row("resnet", student, "kl", 0.8 + difference, 0.8)
        for student, difference in zip(("vgg", "vit"), differences, strict=False)
    ]
    write_scores(made, "distillation", rows, DISTILLATION)
    verdict = check_distillation(load_tables(made))
    assert (verdict.claim, verdict.outcome) == ("C6", outcome)
    assert len(verdict.comparisons) == len(differences)
    assert bool(verdict.missing) == (not differences)
    page = build_report(made).decode()
    assert f"C6: {outcome}" in page
    assert ("Students and teachers" in page) == bool(differences)
    assert (f"{differences[0]:+.3f} [" in page) if differences else True


def test_only_the_claims_that_a_study_is_about_are_checked(made):
    expected = {"usual": {1, 2, 3, 4}, "optimizers": {5}, "distillation": {6}, "checkpoints": set()}
    for name, claims in expected.items():
        page = build_report(made(name)).decode()
        assert {number for number in range(1, 7) if f"<b>C{number}: " in page} == claims


def test_planes_off_the_data_are_kept_apart_from_the_scores(made):
    tables = load_tables(made("planes"))
    assert set(tables.groups_by_kind.kind) == set(KINDS)
    for name, value in ARCHITECTURES.items():
        row = tables.inside[tables.inside.group_a == name]
        assert list(row.agreement) == [pytest.approx(value)]
        on_noise = tables.groups_by_kind[tables.groups_by_kind.kind == "uniform"]
        found = on_noise[(on_noise.group_a == name) & (on_noise.group_b == name)].agreement
        assert list(found) == [pytest.approx(value - 0.2)]
    assert [plane.kind for plane in tables.planes if plane.apart] == ["uniform", "gaussian"]
    page = build_report(made("planes")).decode()
    mean = np.mean(list(ARCHITECTURES.values())) - 0.2
    assert f"<td>three images of uniform noise</td><td>{mean:.3f}</td>" in page
    assert "on uniform slices 7 of 7 groups" in page
    assert "no image" in page
    assert "Off the data" not in build_report(made("usual")).decode()


def test_a_kind_without_pairs_has_no_finding(tmp_path):
    options = {"groups": {"vit": 0.7}, "seeds": (0,), "kinds": KINDS, "resolution": 10}
    made = write_synthetic_study(tmp_path, **options)
    assert "Off the data" in build_report(made).decode()
    write_scores(made, "agreement_by_group", [], AGREEMENT_BY_GROUP)
    assert "its own typical pattern" not in build_report(made).decode()


def test_colours_stay_apart_whatever_the_colour_vision():
    rgb = class_colours_rgb(10)
    for vision in VISION:
        seen = seen_as(rgb, vision)
        distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        assert distances[~np.eye(10, dtype=bool)].min() > 0.08


def test_a_class_keeps_its_colour_whatever_else_there_is():
    assert class_colours(10) == list(FIRST_TEN)
    assert class_colours(300)[:40] == class_colours(40)
    assert len(set(class_colours(100))) == 100


def test_a_picture_has_e1_to_the_right_and_e2_upward():
    label_map = np.zeros((4, 4), np.uint8)
    label_map[3, 0] = 1  # far along e1, low along e2: the lower right corner
    image = picture_image(Picture(label_map, None), 10).convert("RGB")
    assert hexadecimal(image.getpixel((3, 3))) == FIRST_TEN[1]
    assert hexadecimal(image.getpixel((3, 0))) == FIRST_TEN[0]


def hexadecimal(rgb):
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def test_colours_fade_from_certainty_to_the_least_that_an_arg_max_can_have():
    labels = np.zeros((3, 3), np.uint8)
    certainty = np.full((3, 3), 255, np.uint8)
    certainty[1, 0], certainty[2, 0] = 140, 51  # along the bottom; 51 is a fifth of 255
    shown = picture_image(Picture(labels, certainty), 5, confidence=True)
    certain, between, least = (shown.getpixel((x, 2)) for x in range(3))
    assert hexadecimal(certain) == FIRST_TEN[0]
    assert certain < between < least < (255, 255, 255)
    pale = [round(255 + 0.2 * (c - 255)) for c in certain]
    assert list(least) == pale
    plain = picture_image(Picture(labels, certainty), 5).convert("RGB")
    assert set(plain.get_flattened_data()) == {certain}
    without = picture_image(Picture(labels, None), 5, confidence=True).convert("RGB")
    assert set(without.get_flattened_data()) == {certain}


TOP = HEAD + 8 + LINE  # of the pictures, where the classes take one line


@pytest.mark.parametrize("name", ["planes", "usual", "checkpoints", "300 classes"])
def test_sheets_hold_every_picture_at_its_place(made, name):
    made, shaded = made(name), name == "planes"
    assert write_sheets(made, confidence=shaded) == f"{made.location}/{FOLDER}"
    trials = {trial.trial_id: trial for trial in made.committed()}
    files = sorted(path for path in made.folder.files(FOLDER))
    of_trial = {path[-16:-4]: path for path in files if not path.endswith("/sheet.png")}
    assert set(of_trial) == set(trials)
    assert len(files) == len(trials) + 1
    planes = read_planes(made, pictured(STUDIES[name].get("kinds", ("test", "train"))))
    tables = load_tables(made)
    pictures = read_pictures(made, trials.values(), planes)
    # Anchors span less than twice their height, so that the side along e1 is the longer one.
    sizes = [drawn_size(plane, 100) for plane in planes]
    column, row = max(NARROWEST, 100) + GAP, max(height for _, height in sizes) + GAP
    head = HEAD if name == "300 classes" else TOP
    sheet = opened(made, f"{FOLDER}/sheet.png")
    order = list(tables.trials.trial_id)
    assert sheet.size == (NAMES + column * len(planes), head + row * len(order))
    for trial_id in order[:3]:
        alone = opened(made, of_trial[trial_id])
        assert alone.size == (NAMES + column * len(planes), head + row)
        for at, plane in enumerate(planes):
            expected = picture_image(
                pictures[trial_id, plane.plane_id],
                len(STUDIES[name].get("class_names", range(10))),
                confidence=shaded,
            ).convert("RGB")
            for image, top in ((alone, head), (sheet, head + row * order.index(trial_id))):
                left = NAMES + column * at
                part = image.crop((left, top, left + sizes[at][0], top + sizes[at][1]))
                part = np.array(part.resize((100, 100), Image.Resampling.NEAREST))
                same = (part == np.array(expected)).all(axis=-1)
                # All but the three marks, whose surroundings are a few percent.
                assert 0.8 < same.mean() < 1
                edge = np.array(image.crop((left - 1, top, left, top + 20)))
                assert (edge == 255).mean() > 0.9 or at == 0


def drawn_size(plane, side):
    aspect = plotted_rectangle(plane.coordinates, 0.5).aspect
    return round(side * min(aspect, 1.0)), round(side / max(aspect, 1.0))


def opened(study, path):
    image = Image.open(io.BytesIO(study.folder.read(path)))
    assert image.format == "PNG"
    return image.convert("RGB")


def test_sheets_mark_the_anchors_in_their_classes_colours(made):
    write_sheets(made("usual"))
    planes = read_planes(made("usual"), pictured(("test", "train")))
    sheet = opened(made("usual"), f"{FOLDER}/sheet.png")
    for at, plane in enumerate(planes):
        width, height = drawn_size(plane, 100)
        left = NAMES + at * (max(NARROWEST, 100) + GAP)
        spots = positions_in_picture(plane.coordinates, 0.5, 100).tolist()
        for (right, down), of_class in zip(spots, plane.anchor_classes, strict=True):
            spot = left + int(right * width), TOP + int(down * height)
            assert hexadecimal(sheet.getpixel(spot)) == FIRST_TEN[of_class]


def test_a_sheet_shows_the_first_models_of_a_group_and_files_all_of_them(made):
    many = made("five seeds")
    write_sheets(many)
    shown = len(ARCHITECTURES) * 3
    names = [path for path in many.folder.files(FOLDER) if not path.endswith("sheet.png")]
    assert len(names) == len(ARCHITECTURES) * 5
    one, all_of_them = (opened(many, path) for path in (names[0], f"{FOLDER}/sheet.png"))
    row = one.height - TOP
    assert all_of_them.height == TOP + shown * row


def test_anchors_lie_on_their_pixels():
    coordinates = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 2.0]])
    rectangle = plotted_rectangle(coordinates, 0.5)
    assert (rectangle.low, rectangle.high) == ((-2, -1), (6, 3))
    spots = positions_in_picture(coordinates, 0.5, resolution=5) * 5 - 0.5  # pixel indices
    np.testing.assert_allclose(spots, [[1, 3], [3, 3], [2, 1]])


def test_names_for_people():
    assert display_name("wideresnet@10") == "WideResNet-10"
    assert display_name("resnet18k@4/adam") == "ResNet18(4) / adam"
    assert display_name("my.module:model") == "my.module:model"
