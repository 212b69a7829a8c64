"""The page as a whole: contents, folded parts, print, dark mode, tables that can be taken away."""

import csv
import io

import pytest
from browser import blank_page, inaccessible
from synthetic_study import ARCHITECTURES, write_synthetic_study

from dbray.report import write_report
from dbray.report.tables.tables import load_tables

OPEN = "[...document.querySelectorAll('main > details')].map((d) => d.open)"
BACKGROUND = "getComputedStyle(document.querySelector('{}')).{}"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_synthetic_study(tmp_path_factory.mktemp("made"), resolution=20, epochs=3)


@pytest.fixture(scope="module")
def page(study):
    location = write_report(study)
    with blank_page() as window:
        window.goto(f"file://{location}")
        window.wait_for_selector("body[data-drawn]", timeout=60_000)
        yield window


def test_findings_come_first_each_with_its_interval(page, study):
    inside = load_tables(study).inside.set_index("group_a")
    texts = page.locator(".findings li").all_inner_texts()
    for text, (name, label) in zip(texts, (("FCNet", "fcnet"), ("ViT", "vit")), strict=False):
        row = inside.loc[label]
        assert text.startswith(f"{ARCHITECTURES[label]:.1%}")
        assert f"95 % interval {row.low:.1%} to {row.high:.1%}" in text
        assert name in text
    assert len(texts) == 3
    below = page.locator("#explorer").bounding_box()["y"]
    assert page.locator(".findings").bounding_box()["y"] < below
    assert below < page.locator("#agreement").bounding_box()["y"]


def test_every_figure_says_what_was_found(page):
    captions = page.locator("figure.chart figcaption").all_text_contents()
    assert len(captions) == page.locator("figure.chart").count() > 5
    assert all(caption.endswith(".") and len(caption) > 30 for caption in captions)
    assert "Of 7 groups, FCNet comes out most alike (0.926 [" in captions[0]


def test_the_contents_lead_to_what_is_folded_and_follow(page):
    assert not any(page.evaluate(OPEN))
    page.get_by_role("navigation").get_by_text("Training").click()
    page.wait_for_function("document.querySelector('#training').open")
    page.wait_for_selector("nav a[href='#training'][aria-current]")
    assert page.locator("#training-curves svg.marks").is_visible()
    assert page.locator("nav a[aria-current]").count() == 1


def test_all_of_it_is_printed(page):
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert all(page.evaluate(OPEN))
    page.emulate_media(media="print")
    assert not page.get_by_role("navigation").is_visible()
    assert page.locator("#where-this-comes-from table").first.is_visible()
    page.emulate_media(media="screen")


def test_a_dark_screen_gets_a_dark_page_and_dark_charts(page):
    page.emulate_media(color_scheme="dark")
    shades = [
        page.evaluate(BACKGROUND.format("body", "backgroundColor")),
        page.evaluate(BACKGROUND.format("#agreement-within svg.marks", "backgroundColor")),
    ]
    assert shades[0] == shades[1] != "rgb(255, 255, 255)"
    titles = BACKGROUND.format("#agreement-within .role-title-text text", "fill")
    assert page.evaluate(titles) == page.evaluate(BACKGROUND.format("body", "color"))
    page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('main > details').forEach((d) => { d.open = true; })")
    found = inaccessible(page)
    page.emulate_media(color_scheme="light")
    assert found == []


def test_a_table_is_taken_away_as_csv(page):
    with page.expect_download() as taken:
        page.locator("#agreement button.csv").click()
    assert taken.value.suggested_filename == "agreement-1.csv"
    rows = list(csv.reader(io.StringIO(taken.value.path().read_text())))
    shown = page.locator("#agreement td").all_text_contents()
    assert [cell for row in rows[1:] for cell in row] == shown


def test_a_chart_is_taken_away_as_picture_or_drawing(page):
    menu = page.locator("#agreement-within .vega-actions a").all_text_contents()
    assert menu == ["Save as SVG", "Save as PNG"]
    assert page.get_by_label("save this figure").count() == page.locator("figure.chart").count()


def test_charts_fit_a_telephone(page, study):
    """Nothing has to be scrolled to but pictures, whose pixels stay what they are."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    page.wait_for_selector("body[data-drawn]")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    wide = """[...document.querySelectorAll("figure.chart")].filter((figure) =>
      figure.scrollWidth > figure.clientWidth).map((figure) => figure.id)"""
    assert page.evaluate(wide) == ["decision-regions"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
