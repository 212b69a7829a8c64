"""Whether the explorer answers a pointer within a frame, and how large its page is.

``python -m benchmarks pointing [STUDY]``. Without a study it makes one that fills the explorer: 21
models, 20 planes of 100 x 100 points, one epoch of training, whose regions are rough and pack
badly. The time is that of a whole answer: the event, the image, every class, style and layout; a
frame at 60 Hz has 16 ms. Chromium, headless and without a GPU.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from dbray.report import write_report
from dbray.store import open_study_folder

SWEEP = Path(__file__).parents[1] / "sweeps" / "arch_repro.py"
OPTIONS = [
    *("--name", "full", "--seeds", "3", "--epochs", "1"),
    *("--planes", "10", "--resolution", "100", "--picture-planes"),
]
POINTS = 1000
FRAME = 16.0  # ms
SIZE = 6.0  # MB
ANSWER = """(count) => {
  const maps = [...document.querySelectorAll("#explorer .maps .map")];
  return Array.from({length: count}, (_, n) => {
    const map = maps[(7 * n) % maps.length];
    const box = map.getBoundingClientRect();
    const place = {clientX: box.left + ((n * 0.618) % 1) * box.width,
      clientY: box.top + ((n * 0.755) % 1) * box.height, bubbles: true};
    const begun = performance.now();
    map.dispatchEvent(new PointerEvent("pointermove", place));
    document.body.getBoundingClientRect();
    return performance.now() - begun;
  });
}"""


def main(arguments: list[str]) -> None:
    """Print a table of one row."""
    with tempfile.TemporaryDirectory() as storage:
        if not arguments:
            command = [sys.executable, str(SWEEP), "--storage", storage, *OPTIONS, ""]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        _measure(arguments[0] if arguments else f"{storage}/full")


def _measure(folder: str) -> None:
    page_file = Path(write_report(open_study_folder(folder)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(page_file.resolve().as_uri())
        page.wait_for_selector("#explorer[data-shown]")
        maps = page.locator("#explorer .maps .map").count()
        times = np.array(page.evaluate(ANSWER, POINTS))
        browser.close()
    size = page_file.stat().st_size / 1e6
    print("| maps | page, MB | aim | answer, ms: median | 95th percentile | most | aim |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(
        f"| {maps} | {size:.2f} | < {SIZE:g} | {np.median(times):.1f} "
        f"| {np.percentile(times, 95):.1f} | {times.max():.1f} | < {FRAME:g} |"
    )
