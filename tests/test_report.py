"""The report: every figure draws, claims follow from intervals, hostile names stay text."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import vl_convert
from browser import open_page
from synthetic_study import ARCHITECTURES, write_synthetic_study

from analysis import charts
from analysis.claims import check_claims
from analysis.gallery import gallery_chart
from analysis.names import display_name
from analysis.palette import FIRST_TEN, VISION, class_colours, class_colours_rgb, seen_as
from analysis.regions import label_map_image, plotted_rectangle, positions_in_picture
from analysis.report import build_report, write_report
from analysis.tables import load_tables
from dbray.errors import UserError
from dbray.store import create_or_extend

HOSTILE = ("</script><script>alert(1)</script>", "<!--", "<b>three</b>", "a & b", '"quoted"')


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_synthetic_study(tmp_path_factory.mktemp("synthetic"))


FIGURES = {
    "gallery": gallery_chart,
    "matrix": charts.agreement_matrix,
    "within": charts.within_agreement,
    "accuracy": charts.accuracy_by_group,
    "fragmentation": lambda tables: charts.fragmentation_by_group(tables, "train"),
    "curves": charts.training_curves,
}


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_draws_and_says_what_it_shows(study, figure):
    chart = FIGURES[figure](load_tables(study))
    spec = chart.to_dict()
    assert "title" in spec or all("title" in part for part in spec["hconcat"])
    assert all(len(rows) <= 5000 for rows in spec.get("datasets", {}).values())
    assert vl_convert.vegalite_to_svg(spec).count("<path") > 10


def test_matrix_prints_every_value(study):
    svg = vl_convert.vegalite_to_svg(charts.agreement_matrix(load_tables(study)).to_dict())
    for value in ARCHITECTURES.values():
        assert f">{value:.2f}<" in svg


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_names": HOSTILE, "title": HOSTILE[0]},
        {"architectures": {"resnet": 0.8}, "seeds": (0,), "failures": ()},
        {"seeds": (0, 1, 2, 3, 4)},
        {"class_names": [f"class {c}" for c in range(300)], "architectures": {"vit": 0.7}},
    ],
    ids=["usual", "hostile", "one trial", "five seeds", "300 classes"],
)
def test_the_page_in_a_browser(tmp_path, options):
    made = write_synthetic_study(tmp_path, **options)
    location = write_report(made)
    with open_page(tmp_path / "synthetic" / "report" / "index.html") as page:
        assert page.complaints == []
        assert page.requests == [f"file://{location}"]
        assert page.broken_images == 0
        assert page.width <= 1280
        assert page.drawn >= 5
        if "title" in options:
            assert HOSTILE[0] in page.text


def test_the_page_tells_failures_command_and_versions(study):
    page = build_report(study).decode()
    assert "ViT, seed 99: loss is not finite in epoch 3" in page
    assert "python sweeps/arch_repro.py --storage runs --name synthetic" in page
    assert "torch 2.14.0" in page
    assert "an invented CPU" in page
    assert page.count("vega-embed") < 200_000
    assert len(page) < 3_000_000


def test_a_study_that_is_not_scored(tmp_path):
    described = {k: {} for k in ("dataset", "planes", "pictures")} | {"group_by": []}
    with pytest.raises(UserError, match="no finished trial"):
        build_report(create_or_extend(str(tmp_path), "empty", described))
    made = write_synthetic_study(tmp_path)
    made.folder.delete("scores/agreement.parquet")
    with pytest.raises(UserError, match="finish the study's sweep"):
        build_report(made)


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
    image = label_map_image(label_map, 10).convert("RGB")
    assert "#{:02x}{:02x}{:02x}".format(*image.getpixel((3, 3))) == FIRST_TEN[1]
    assert "#{:02x}{:02x}{:02x}".format(*image.getpixel((3, 0))) == FIRST_TEN[0]


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
