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
    width: int  # of the whole page in a window of 1280 pixels
    text: str


@contextlib.contextmanager
def open_page(path: Path) -> Iterator[OpenedPage]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    complaints: list[str] = []
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
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
        yield OpenedPage(drawn, complaints, requests, broken, width, text)
        browser.close()


BROKEN_IMAGES = """async () => {
  const sources = [...document.querySelectorAll("image")].map((i) => i.getAttribute("href")
    || i.getAttribute("xlink:href"));
  const checks = sources.map((source) => { const image = new Image(); image.src = source;
    return image.decode().then(() => 0, () => 1); });
  return (await Promise.all(checks)).reduce((a, b) => a + b, 0);
}"""
