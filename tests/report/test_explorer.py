"""The explorer in a browser: what is shown at a point is what NumPy finds there."""

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from branches_study import write_branches_study
from browser import blank_page, inaccessible
from PIL import Image
from synthetic_study import write_synthetic_study
from width_study import RECIPE, grid, write_width_study

from dbray.planes import PlaneSource, frames_of, plane_grid
from dbray.report import build_report, write_report
from dbray.report.explorer import explorer_of
from dbray.report.explorer.slices import agreement_within, anchor_pixels, read_slices
from dbray.report.page.palette import class_colours
from dbray.report.tables.pictures import read_planes
from dbray.report.tables.tables import load_tables
from dbray.store import read_label_maps

GROUPS = {"resnet": 0.85, "vgg": 0.8, "vit": 0.6}
PLANE = "document.querySelector('#explorer').dataset.shown"


@pytest.fixture(scope="module")
def pictured(tmp_path_factory):
    """Pictures with confidences, and no scored label maps."""
    made = tmp_path_factory.mktemp("explored")
    return write_synthetic_study(made, groups=GROUPS, confidence=True, resolution=40, epochs=3)


@pytest.fixture(scope="module")
def along_widths(tmp_path_factory, digits):
    """Real models with pictures, scored label maps and answers on test images."""
    barely = replace(RECIPE, epochs=8)
    configs = [
        replace(config, training=barely, stop_epoch=config.stop_epoch and 4)
        for config in grid(digits, widths=(2, 6, 16))
    ]
    return write_width_study(tmp_path_factory.mktemp("widths"), digits, configs)


@pytest.fixture(scope="module")
def branches(tmp_path_factory):
    return write_branches_study(tmp_path_factory.mktemp("branches"))


class Explorer:
    """The explorer on a page, used as a reader would."""

    def __init__(self, page, location):
        self.page, self.said = page, []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.said.append(request.url))
        page.goto(Path(location).as_uri())
        page.wait_for_selector("body[data-drawn]", timeout=60_000)
        page.wait_for_selector("#explorer[data-shown]")
        self.said = [said for said in self.said if not said.startswith("data:")][1:]
        self.data = json.loads(self.part("data").text_content())

    def part(self, name):
        return self.page.locator(f'#explorer [data-part="{name}"]')

    @property
    def slice(self):
        return self.data["slices"][int(self.page.evaluate(PLANE))]

    def choose(self, name, value):
        self.part(name).select_option(str(value))
        if name == "slice":
            self.page.wait_for_function(f"{PLANE} === '{value}'")

    def point(self, i, j, model=0):
        """Move the mouse over a point of a model's map."""
        side = self.slice["resolution"]
        spot = self.page.locator(f'#explorer .maps .map[data-model="{model}"]')
        spot.scroll_into_view_if_needed()
        box = spot.bounding_box()
        x = box["x"] + (i + 0.5) / side * box["width"]
        self.page.mouse.move(x, box["y"] + (side - j - 0.5) / side * box["height"])

    def image(self):
        """Pixels of the image at the point, (height, width, 3)."""
        return self.pixels('#explorer [data-part="image"]')

    def pixels(self, selector):
        """RGB of a canvas, (height, width, 3)."""
        uri = self.page.locator(selector).evaluate("canvas => canvas.toDataURL()")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri[22:]))).convert("RGB"))

    def classes(self):
        """The class that stands below each model's map, by the model's number."""
        return self.page.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll("#explorer .maps .tile")]
            .filter((tile) => tile.querySelector("[data-model]")).map((tile) =>
              [tile.querySelector("[data-model]").dataset.model,
               tile.querySelector("b").textContent]))"""
        )

    @property
    def axes(self):
        return {axis["name"]: axis["values"] for axis in self.data["axes"]}

    def names(self):
        """Names of the rows that are shown."""
        return self.part("maps").locator(".name b").all_inner_texts()

    def click_chart(self, figure, *words):
        """Click on the first point of a chart whose description has all of these words."""
        having = "".join(f'[aria-label*="{each}"]' for each in words)
        mark = self.page.locator(f"{figure} .mark-symbol path{having}").first
        mark.scroll_into_view_if_needed()
        box = mark.bounding_box()
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def votes(self):
        return self.part("votes").locator("li").all_inner_texts()


@pytest.fixture(scope="module")
def browser():
    """A window of a browser; playwright allows one at a time in a process."""
    with blank_page() as page:
        yield page.context


@pytest.fixture(scope="module")
def widths_page(along_widths):
    return write_report(along_widths)


@pytest.fixture(scope="module")
def explorer(browser, pictured):
    return Explorer(browser.new_page(), write_report(pictured))


def expected_image(plane, extent, side, i, j):
    """The image at a point by the geometry that models were asked with, from raw pixels."""
    pixels = anchor_pixels(plane).astype(float)
    low, high = plane.coordinates.min(axis=0), plane.coordinates.max(axis=0)
    margin = extent * (high - low)
    grid = np.linspace(low - margin, high + margin, side)
    place = np.array([grid[i, 0], grid[j, 1]])
    (a, b, c) = plane.coordinates
    w2, w3 = np.linalg.solve(np.stack([b - a, c - a], axis=1), place - a)
    return (1 - w2 - w3) * pixels[0] + w2 * pixels[1] + w3 * pixels[2]


POINTS = ((0, 0), (39, 39), (5, 31), (20, 12))


def test_pointing_shows_the_image_at_the_point(pictured, explorer):
    plane = read_planes(pictured, [0])[0]
    explorer.choose("slice", 0)
    for i, j in POINTS:
        explorer.point(i, j)
        mixed = expected_image(plane, 0.5, 40, i, j)
        shown = explorer.image()
        for channel in range(3):  # rounded to whole numbers
            assert np.abs(shown[..., channel] - np.clip(mixed[0], 0, 255)).max() < 0.5 + 1e-6
        outside = ((mixed < -0.5) | (mixed > 255.5)).mean()
        said = explorer.part("clipped").inner_text()
        assert said.startswith(f"{100 * outside:.0f}% of its values") if outside else not said


def test_pointing_shows_every_models_class(pictured, explorer):
    explorer.choose("slice", 0)
    trials = {trial.trial_id: trial for trial in pictured.committed()}
    order = load_tables(pictured).trials.trial_id
    maps = [read_label_maps(pictured, trials[t], 0, 1, role="pictures")[0] for t in order]
    for i, j in POINTS:
        explorer.point(i, j, model=4)
        assert explorer.classes() == {str(m): str(lm[i, j]) for m, lm in enumerate(maps)}
        first, *rows = explorer.votes()
        _, counts = np.unique([lm[i, j] for lm in maps], return_counts=True)
        assert first.split()[:2] == ["all", "9"]
        assert f"×{counts.max()}" in first.split()[3]
        said = [int(count) for count in re.findall("×([0-9]+)", first)]
        assert said == sorted(counts.tolist(), reverse=True)
        assert len(rows) == len(GROUPS)


def test_the_image_is_what_the_models_were_given(browser, widths_page, digits):
    """By way of normalised inputs, as labelling goes; of planes whose anchors a seed gives."""
    (frame,) = frames_of(digits, [0], PlaneSource(0))
    page = browser.new_page()
    explored = Explorer(page, widths_page)
    at = next(n for n, s in enumerate(explored.data["slices"]) if s["name"].startswith("test 0 ("))
    explored.choose("slice", at)
    assert explored.slice["resolution"] == 12
    points = plane_grid(frame, 12, 0.1)
    for i, j in ((0, 11), (7, 3)):
        explored.point(i, j, model=next(iter(explored.classes())))
        inputs = frame.origin + points[i, j] @ frame.axes
        pixels = 255 * (inputs * digits.std[0] + digits.mean[0]).reshape(8, 8)
        shown = explored.image()[..., 0]
        assert np.abs(shown - np.clip(pixels, 0, 255)).max() < 0.5 + 1e-3


def test_keys_move_the_point_and_the_slice(explorer):
    explorer.choose("slice", 0)
    explorer.point(20, 20)
    explorer.part("maps").focus()
    before = explorer.image()
    explorer.page.keyboard.press("ArrowRight")
    explorer.page.keyboard.press("Shift+ArrowUp")
    by_keys = explorer.image()
    assert (by_keys != before).any()
    explorer.point(21, 25)
    assert (explorer.image() == by_keys).all()
    explorer.page.keyboard.press("n")
    explorer.page.wait_for_function(f"{PLANE} === '1'")
    assert explorer.part("slice").input_value() == "1"
    explorer.page.keyboard.press("p")
    explorer.page.wait_for_function(f"{PLANE} === '0'")


def test_slices_are_chosen_by_kind_and_sorted(explorer):
    slices = explorer.data["slices"]
    for order, value in (
        ("least", lambda one: one["agreement"]),
        ("most", lambda one: -one["agreement"]),
        ("broken", lambda one: -one["regions"]),
    ):
        first = min(range(len(slices)), key=lambda at: value(slices[at]))
        explorer.choose("sort", order)
        explorer.page.wait_for_function(f"{PLANE} === '{first}'")
        assert explorer.part("slice").locator("option").count() == len(slices)
    explorer.choose("sort", "given")
    explorer.choose("kind", "three training images")
    assert explorer.part("slice").locator("option").all_inner_texts()[0].startswith("train 0, wide")
    explorer.choose("kind", "")
    explorer.page.wait_for_function(f"{PLANE} === '0'")


def test_rows_and_seeds_are_hidden_and_shown(explorer):
    explorer.page.locator("#explorer summary").click()
    for box, left in (("ViT", 6), ("seed 1", 4)):
        explorer.page.get_by_label(box, exact=True).uncheck()
        assert len(explorer.classes()) == left
    for box in ("ViT", "seed 1"):
        explorer.page.get_by_label(box, exact=True).check()
    assert len(explorer.classes()) == 9


def test_maps_have_their_classes_colours_and_disagreement_its_share(pictured, explorer):
    explorer.choose("slice", 0)
    trials = {trial.trial_id: trial for trial in pictured.committed()}
    order = load_tables(pictured).trials.trial_id
    maps = [read_label_maps(pictured, trials[t], 0, 1, role="pictures")[0] for t in order]
    shown = explorer.pixels('#explorer .maps [data-model="3"] canvas')
    palette = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in class_colours(10)])
    assert (shown == palette[maps[3].T[::-1]]).all()
    explorer.choose("overlay", "disagreement")
    shown = explorer.pixels("#explorer .maps .row:first-child .map:not([data-model]) canvas")
    of_row = [maps[m] for m in range(3)]
    differ = np.mean([of_row[a] != of_row[b] for a, b in ((0, 1), (0, 2), (1, 2))], axis=0)
    ink = np.array([0x7A, 0x1A, 0x30])
    expected = 255 + differ.T[::-1, :, None] * (ink - 255)
    assert np.abs(shown - expected).max() < 0.5 + 1e-4
    explorer.choose("overlay", "")


def test_borders_and_confidence_are_laid_over(explorer):
    borders = "getComputedStyle(document.querySelector('#explorer .over')).backgroundImage"
    plain = explorer.page.evaluate(borders)
    explorer.choose("overlay", "borders")
    assert explorer.page.evaluate(borders).count("stroke%3D") > plain.count("stroke%3D")
    assert explorer.part("reference").inner_text().startswith("Borders: those of ResNet, seed 0")
    before = explorer.pixels('#explorer .maps [data-model="0"] canvas')
    explorer.choose("overlay", "confidence")
    paler = explorer.pixels('#explorer .maps [data-model="0"] canvas')
    assert (paler.astype(int) >= before).all()
    assert (paler > before).any()
    explorer.choose("overlay", "")


def test_two_models_are_set_side_by_side(browser, along_widths, widths_page):
    """With the images on which they part, as their stored answers say."""
    page = browser.new_page()
    explored = Explorer(page, widths_page)
    shown = [int(m) for m in explored.classes()]
    a, b = shown[0], shown[-1]
    for model in (a, b):
        page.locator(f'#explorer .maps [data-pick="{model}"]').click()
    said = explored.part("pair-numbers")
    order = load_tables(along_widths).trials.trial_id
    trials = {trial.trial_id: trial for trial in along_widths.committed()}
    assert len(order) == len(explored.data["models"])
    tables = [
        pq.read_table(
            io.BytesIO(along_widths.read_file(trials[order[m]], "test_predictions.parquet"))
        )["predicted"].to_numpy()
        for m in (a, b)
    ]
    parted = np.flatnonzero(tables[0] != tables[1])
    assert len(parted) > 1
    page.wait_for_function("document.querySelector('[data-part=pair-tests] li')")
    assert f"They part on {len(parted)} of 360 test images" in said.inner_text()
    first = explored.part("pair-tests").locator("li").first.inner_text()
    labels = digits_test_labels(along_widths, trials[order[a]])
    image = parted[0]
    assert first.split() == [
        "image",
        f"{image},",
        f"{labels[image]}:",
        *map(str, (t[image] for t in tables)),
    ]
    maps = [
        read_label_maps(along_widths, trials[order[m]], 0, 1, role="pictures")[0] for m in (a, b)
    ]
    agree = np.mean(maps[0] == maps[1])
    assert said.inner_text().startswith(f"They agree on {100 * agree:.1f}% of the points")
    page.locator(f'#explorer .maps [data-pick="{a}"]').click()
    assert not explored.part("pair").is_visible()


def digits_test_labels(study, trial):
    file = io.BytesIO(study.read_file(trial, "test_predictions.parquet"))
    return pq.read_table(file)["label"].to_numpy()


MARKED = """(figure) => [...document.querySelectorAll(`${figure} .mark-rule line`)]
  .filter((line) => line.getAttribute("opacity") === "0.35").length"""
DOTS = """() => document.querySelectorAll(
  '#width-curves path[aria-label*="interval from"][opacity="1"]').length"""


def test_a_slider_moves_maps_and_curves(browser, widths_page):
    page = browser.new_page()
    explored = Explorer(page, widths_page)
    assert explored.axes == {
        "width": [2, 6, 16],
        "noise": ["no label noise", "20 % wrong labels"],
        "epoch": [4, 8],
    }
    page.wait_for_function(f"({MARKED})('#width-curves') === 6")  # where it stands at first
    last = explored.classes()
    page.locator('#explorer [data-part="axis-0"]').focus()
    page.keyboard.press("Home")
    assert explored.part("value-0").inner_text() == "2"
    assert set(explored.classes()).isdisjoint(last)
    page.wait_for_function(f"({MARKED})('#width-curves') === 6")
    explored.part("axes").get_by_text("play").first.click()
    page.wait_for_function("document.querySelector('[data-part=value-0]').textContent === '16'")
    assert explored.classes().keys() == last.keys()
    assert explored.said == []


def test_label_noises_stand_side_by_side_or_along_a_slider(browser, widths_page):
    page = browser.new_page()
    explored = Explorer(page, widths_page)
    assert explored.names() == ["MLP, no label noise", "MLP, 20 % wrong labels"]
    both = set(explored.classes())
    page.wait_for_function(f"({DOTS})() === 12")  # six panels
    page.locator('#explorer [data-part="axis-1"]').focus()
    page.keyboard.press("Home")
    assert explored.part("value-1").inner_text() == "no label noise"
    assert explored.names() == ["MLP"]
    clean = set(explored.classes())
    page.wait_for_function(f"({DOTS})() === 6")
    explored.click_chart("#width-curves", "scale): 16;", "labels: 20 % wrong")
    assert explored.part("value-1").inner_text() == "20 % wrong labels"
    noisy = set(explored.classes())
    assert clean | noisy == both
    assert clean.isdisjoint(noisy)
    explored.click_chart("#width-curves", "scale): 6;", "labels: 20 % wrong")
    assert explored.part("value-0").inner_text() == "6"
    explored.part("all-1").check()
    assert len(explored.names()) == 2
    explored.part("all-0").check()
    assert explored.names()[:2] == [
        "MLP, width 2, no label noise",
        "MLP, width 2, 20 % wrong labels",
    ]
    assert len(explored.names()) == 6
    assert inaccessible(page) == []
    assert explored.said == []


def test_a_slider_moves_along_the_epochs_of_branches(browser, branches):
    """Trunks stay; a comparison with one of them moves along; the curves follow, and lead."""
    page = browser.new_page()
    explored = Explorer(page, write_report(branches))
    assert explored.axes == {"branch_epoch": [0, 2, 4]}
    assert explored.names() == ["ResNet", "ResNet / order alone", "ResNet / order changes"]
    explored.choose("slice", 0)
    trials = {trial.config: trial for trial in branches.committed()}
    trunk = next(c for c in trials if not c.branch and c.member == "seed 1")

    def label_map(config):
        return read_label_maps(branches, trials[config], 0, 1)[0]

    for row in ("ResNet", "ResNet / order changes"):
        page.get_by_label(f"compare {row}, seed 1", exact=True).click()
    page.locator('#explorer [data-part="axis-0"]').focus()
    for epoch, key in ((4, "End"), (0, "Home"), (2, "ArrowRight")):
        page.keyboard.press(key)
        assert explored.part("value-0").inner_text() == str(epoch)
        (branch,) = [
            c for c in trials if c.branch and c.branch.epoch == epoch and c.member == "seed 1"
        ]
        agree = np.mean(label_map(trunk) == label_map(branch))
        said = explored.part("pair-numbers").inner_text()
        assert said.startswith(f"They agree on {100 * agree:.1f}% of the points")
        assert explored.part("pair-title").inner_text() == (
            "ResNet, seed 1 and ResNet / order changes, seed 1"
        )
        explored.point(4, 1)
        below = page.locator("#explorer .row", has_text="order changes").locator(".tile b")
        assert below.nth(1).inner_text() == str(label_map(branch)[4, 1])
        page.wait_for_function(f"({MARKED})('#branches') === 2")  # disagreement and barrier
    explored.click_chart("#branches", "they part: 4;", "disagreement")
    assert explored.part("value-0").inner_text() == "4"
    assert inaccessible(page) == []
    assert explored.said == []


def test_a_slider_moves_along_the_epochs_that_trainings_were_looked_at(browser, tmp_path):
    """At first it stands at the end, which may be another epoch for each architecture."""
    options = {"resolution": 10, "epochs": 4, "seeds": (0, 1), "predictions": True}
    study = write_synthetic_study(tmp_path, groups={"resnet": 0.8}, stops=(1, 2), **options)
    explored = Explorer(browser.new_page(), write_report(study))
    assert explored.axes == {"epoch": [1, 2, "the end"]}
    assert explored.names() == ["ResNet"]
    assert explored.part("value-0").inner_text() == "the end"
    trials = {(t.config.stop_epoch, t.config.weights_seed): t for t in study.committed()}
    explored.choose("slice", 0)
    explored.page.locator('#explorer [data-part="axis-0"]').focus()
    for key, epoch in (("Home", 1), ("ArrowRight", 2), ("End", None)):
        explored.page.keyboard.press(key)
        shown = [int(model) for model in explored.classes()]
        explored.point(3, 5, shown[0])
        expected = [read_label_maps(study, trials[epoch, seed], 0, 1)[0][3, 5] for seed in (0, 1)]
        names = study.info["dataset"]["class_names"]
        assert [*explored.classes().values()] == [names[label] for label in expected]
    assert explored.said == []


def test_nothing_is_said_to_the_console_or_asked_of_a_network(explorer):
    assert explorer.said == []


def test_a_telephone(browser, pictured):
    page = browser.new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    explored = Explorer(page, write_report(pictured))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    spot = page.locator('#explorer .maps .map[data-model="8"]')
    spot.scroll_into_view_if_needed()
    before = explored.image()
    box = spot.bounding_box()
    page.mouse.click(box["x"] + 3, box["y"] + 3)
    assert (explored.image() != before).any()
    assert explored.part("image").is_visible()


def test_a_page_holds_what_it_can(along_widths, monkeypatch):
    """No more slices than fit, but one at least, the wide ones first."""
    tables = load_tables(along_widths)
    whole = explorer_of(along_widths, tables)
    monkeypatch.setattr("dbray.report.explorer.part.BUDGET", 8000)
    less = explorer_of(along_widths, tables)
    count = [found.html.count('"coordinates"') for found in (whole, less)]
    assert 1 <= count[1] < count[0]


def test_agreement_on_a_slice_is_the_mean_over_pairs_within_groups():
    maps = np.zeros((4, 2, 2), np.uint8)
    maps[1, 0, 0] = maps[3] = 1
    assert agreement_within(maps, [[0, 1], [2, 3]]) == pytest.approx((0.75 + 0) / 2)
    assert agreement_within(maps, [[0], [1]]) is None


def test_a_study_without_label_maps_has_a_page(tmp_path):
    made = write_synthetic_study(tmp_path, groups={"vit": 0.7}, resolution=10)
    assert b'id="explorer"' in build_report(made)
    for trial in made.committed():
        assert not any(name.startswith("predictions") for name in trial.files)
    assert len(list(read_slices(made, made.info, made.committed()))) == 3
