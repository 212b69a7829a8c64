"""A page in headless Chromium, with all that it asked for and complained about."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class OpenedPage:
    drawn: int  # charts that vega-embed has drawn
    complaints: list[str]  # console messages and errors
    requests: list[str]  # other than data URIs
    broken_images: int
    width: int  # of the whole page, window and what sticks out of it
    text: str
    figures: set[str]  # names of the charts
    clipped: list[str]  # charts of which a part cannot be seen, not even by scrolling
    scrolling: list[str]  # charts that are wider than the page and scroll


@contextlib.contextmanager
def open_page(path: Path, window: int = 1280) -> Iterator[OpenedPage]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    complaints: list[str] = []
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": window, "height": 900})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith("data:") else requests.append(request.url)
            ),
        )
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-drawn]", timeout=60_000)
        drawn = page.locator("figure.chart svg.marks").count()
        assert drawn == int(page.get_attribute("body", "data-drawn"))
        broken = page.evaluate(BROKEN_IMAGES)
        width = page.evaluate("document.documentElement.scrollWidth")
        text = page.inner_text("body")
        figures = set(page.eval_on_selector_all("figure.chart", "all => all.map((f) => f.id)"))
        yield OpenedPage(
            drawn,
            complaints,
            requests,
            broken,
            width,
            text,
            figures,
            clipped=page.evaluate(CLIPPED),
            scrolling=page.evaluate(SCROLLING),
        )
        browser.close()


BROKEN_IMAGES = """async () => {
  const sources = [...document.querySelectorAll("image")].map((i) => i.getAttribute("href")
    || i.getAttribute("xlink:href"));
  const checks = sources.map((source) => { const image = new Image(); image.src = source;
    return image.decode().then(() => 0, () => 1); });
  return (await Promise.all(checks)).reduce((a, b) => a + b, 0);
}"""

# A chart must end within what its figure can scroll to, and its marks within the chart.
CLIPPED = """() => [...document.querySelectorAll("figure.chart")].filter((figure) => {
  const svg = figure.querySelector("svg.marks");
  const [frame, chart] = [figure.getBoundingClientRect(), svg.getBoundingClientRect()];
  const reach = ["auto", "scroll"].includes(getComputedStyle(figure).overflowX)
    ? figure.scrollWidth : figure.clientWidth;
  const marks = [...svg.querySelectorAll("path, text, image")].map((m) => m.getBoundingClientRect())
    .filter((box) => box.width > 0 && box.height > 0);
  return chart.right > frame.left - figure.scrollLeft + reach + 1 || chart.left < frame.left - 1
    || marks.some((box) => box.right > chart.right + 2 || box.left < chart.left - 2
      || box.bottom > chart.bottom + 2 || box.top < chart.top - 2);
}).map((figure) => figure.id)"""
SCROLLING = """() => [...document.querySelectorAll("figure.chart")]
  .filter((figure) => figure.scrollWidth > figure.clientWidth).map((figure) => figure.id)"""
