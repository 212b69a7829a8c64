"""The report: every figure draws, claims follow from intervals, hostile names stay text."""

import html
import io
import re
from pathlib import Path

import numpy as np
import pytest
import vl_convert
from browser import open_page
from PIL import Image
from scipy import stats
from skimage.color import deltaE_ciede2000, xyz2lab
from skimage.color.colorconv import xyz_from_rgb
from synthetic_study import (
    ARCHITECTURES,
    CHECKPOINTS,
    OPTIMIZERS,
    STUDENTS,
    pictured,
    write_scores,
    write_synthetic_study,
)
from tiny_study import DESCRIBED

from dbray.claims.names import display_name
from dbray.errors import UserError
from dbray.report import Picture, build_report, write_report, write_sheets
from dbray.report.figures import charts
from dbray.report.figures.gallery import gallery_chart
from dbray.report.figures.regions import picture_image, plotted_rectangle, positions_in_picture
from dbray.report.figures.sheets import FOLDER, GAP, HEAD, LINE, NAMES, NARROWEST
from dbray.report.page.palette import FIRST_TEN, VISION, class_colours, class_colours_rgb
from dbray.report.sections.claims import command_with_seeds
from dbray.report.sections.distillation import distillation_frame, distillation_matrix
from dbray.report.sections.off_manifold import agreement_by_kind, regions_by_kind
from dbray.report.sections.optimizers import optimizer_chart, optimizer_frame
from dbray.report.sections.similarity import (
    _correlations,
    correlation_chart,
    measures_against_planes,
)
from dbray.report.tables.pairs import similarity_frame
from dbray.report.tables.pictures import read_pictures, read_planes
from dbray.report.tables.tables import load_tables
from dbray.store import create_or_extend
from dbray.store.score_schemas import AGREEMENT_BY_GROUP

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
    for window in (1280, 390):
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


def test_an_optimizers_accuracy_is_the_mean_of_its_models(made):
    tables = load_tables(made("optimizers"))
    frame = optimizer_frame(tables)
    assert list(frame.optimizer) == ["sgd", "adam", "sam"] * 2
    for row in frame.itertuples():
        label = f"{row.architecture.lower()}/{row.optimizer}"
        accuracies = tables.trials[tables.trials.label == label].test_accuracy
        assert row.accuracy == pytest.approx(accuracies.mean())
        half = stats.t.ppf(0.975, 2) * accuracies.std() / 3**0.5
        assert row.accuracy - row.accuracy_low == pytest.approx(half)
        assert row.accuracy_high == pytest.approx(min(1.0, row.accuracy + half))
        assert row.agreement == pytest.approx(OPTIMIZERS[label])


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "C5: holds"),
        ({"resnet/sam": 0.7, "vit/sam": 0.6}, "C5: does not hold"),
        ({"resnet/sam": 0.80, "vit/sam": 0.65}, "C5: cannot be told"),
    ],
)
def test_the_page_says_what_each_difference_is(tmp_path, changes, verdict):
    options = {"group_by": ("architecture", "training.optimizer"), "resolution": 10}
    study = write_synthetic_study(tmp_path, groups=OPTIMIZERS | changes, **options)
    page = html.unescape(build_report(study).decode())
    assert verdict in page
    results = load_tables(study).contrasts
    assert [result.decides for result in results] == [True] * 2 + [False] * 4
    for result in results:
        interval = f"{result.difference:+.3f} [{result.low:+.3f}, {result.high:+.3f}]"
        assert (
            f"{result.name}{'' if result.decides else ' (for comparison)'}</td><td>{interval}"
            in page
        )


def test_the_page_says_what_would_decide_a_claim(tmp_path):
    groups = ARCHITECTURES | {"resnet": 0.825, "densenet": 0.825, "vgg": 0.82}
    study = write_synthetic_study(tmp_path, groups=groups, resolution=10)
    residual = next(r for r in load_tables(study).contrasts if r.claim == "C4")
    page = html.unescape(build_report(study).decode())
    assert "C4: cannot be told" in page
    command = "python sweeps/arch_repro.py --storage runs --name synthetic --seeds"
    assert f"{residual.seeds_needed} seeds, {command} {residual.seeds_needed}." in page
    (tmp_path / "two").mkdir()
    two = write_synthetic_study(tmp_path / "two", groups=groups, seeds=(0, 1), resolution=10)
    page = html.unescape(build_report(two).decode())
    assert page.count("2 seeds of a group decide nothing; 3 are needed") >= 2
    assert f"What would help: {command} 3." in page
    assert "planes only" in page


def test_few_models_have_a_rank_correlation_without_an_interval(tmp_path):
    """Of three models, leaving one out leaves one pair."""
    study = write_synthetic_study(tmp_path, groups={"vgg": 0.8}, resolution=10)
    chart = correlation_chart(_correlations(load_tables(study).similarity)).to_dict()
    (rows,) = [rows for rows in chart["datasets"].values() if "name" in rows[0]]
    assert rows
    assert {row["interval"] for row in rows} == {"none"}


def test_a_command_with_another_number_of_seeds():
    said = command_with_seeds("python a.py --seeds=4 --name 'two words' --seeds 7 --planes 3", 9)
    assert said == "python a.py --name 'two words' --planes 3 --seeds 9"
    assert command_with_seeds("python 'a.py", 9).split()[-2:] == ["--seeds", "9"]


def test_students_stand_beside_their_twins(made):
    page = html.unescape(build_report(made("distillation")).decode())
    assert "C6: holds" in page
    assert "Students and teachers" in page
    assert "+0.050 [" in page
    assert "Students and teachers" not in build_report(made("usual")).decode()


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
    page = html.unescape(build_report(made("planes")).decode())
    mean = np.mean(list(ARCHITECTURES.values())) - 0.2
    assert f"<td>three images of uniform noise</td><td>{mean:.3f}</td>" in page
    assert "within \N{MINUS SIGN} between groups, on uniform planes</td>" in page
    assert "C9: holds" in page
    assert "no image" in page
    assert "Off the data" not in build_report(made("usual")).decode()


def test_a_kind_without_pairs_has_no_finding(tmp_path):
    options = {"groups": {"vit": 0.7}, "seeds": (0,), "kinds": KINDS, "resolution": 10}
    made = write_synthetic_study(tmp_path, **options)
    assert "Off the data" in build_report(made).decode()
    write_scores(made, "agreement_by_group", [], AGREEMENT_BY_GROUP)
    assert "It needs two groups of two finished trials" in build_report(made).decode()


def test_colours_stay_apart_whatever_the_colour_vision():
    """CIEDE2000 between any two of ten classes; it was 10.9 with the colours before these."""
    srgb = class_colours_rgb(10) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    for vision, matrix in VISION.items():
        seen = xyz2lab(np.clip(linear @ matrix.T, 0, 1) @ xyz_from_rgb.T)
        apart = deltaE_ciede2000(seen[:, None], seen[None])[~np.eye(10, dtype=bool)]
        assert apart.min() > (23 if vision == "normal" else 17)


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
