"""Sections of charts and prose put together as one page that needs nothing else."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import vl_convert

from dbray.report.page.theme import VEGA_CONFIG

FOLDER = Path(__file__).parent
MOVED_TO = "moved_to_"  # and an axis: the parameter of a chart that follows the explorer


@dataclass(frozen=True)
class Figure:
    """A chart with the name that its saved file gets.

    Attributes
    ----------
    caption
        What it shows to be so, in one sentence.
    scrolls
        Whether it stays as wide as it is on a narrow page.
    """

    name: str
    chart: alt.TopLevelMixin
    caption: str
    scrolls: bool = False

    @property
    def spec(self) -> str:
        """Vega-Lite JSON that is safe inside a script element."""
        # Altair refuses frames of more than 5000 rows: the matrix of 71 groups has that many.
        with alt.data_transformers.enable(max_rows=None):
            spec: dict[str, Any] = self.chart.to_dict()
        spec["config"] = VEGA_CONFIG
        return json.dumps(spec).replace("<", "\\u003c")


@dataclass(frozen=True)
class Table:
    """A small table: names of the columns, then rows of text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page: title, paragraphs, figures, a table, in this order.

    ``folded``: only its title is seen until someone opens it, or prints the page.
    """

    title: str
    prose: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    verdicts: Sequence[Mapping[str, str]] = field(default=())
    folded: bool = False

    @property
    def name(self) -> str:
        """The title as the end of an address."""
        return re.sub("[^a-z]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Finding:
    """One number, its 95 % interval in words (or what it counts), and what it means."""

    number: str
    interval: str
    meaning: str


@dataclass(frozen=True)
class Instrument:
    """What stands on the page with a script and a style of its own."""

    title: str
    html: str
    script: str
    style: str


def render_page(
    title: str,
    lead: Sequence[str],
    sections: Sequence[Section],
    *,
    findings: Sequence[Finding] = (),
    instrument: Instrument | None = None,
    refresh: int = 0,
) -> bytes:
    """HTML of the page, UTF-8. Every text is escaped; the JavaScript is embedded once.

    With ``refresh``, a browser loads the page again after so many seconds.
    """
    template = _environment().get_template("page.html.j2")
    page = template.render(
        title=title,
        findings=findings,
        lead=lead,
        sections=sections,
        javascript=_javascript(),
        style=(FOLDER / "page.css").read_text("utf-8"),
        instrument=instrument,
        refresh=refresh,
    )
    return page.encode()


def framed(instrument: Instrument, height: int = 720) -> str:
    """HTML of the instrument in a frame of its own, as a notebook's cell shows it.

    Its style and its script touch nothing of the page around it; ``height`` in px.
    """
    template = _environment().get_template("alone.html.j2")
    style = (FOLDER / "page.css").read_text("utf-8")
    page = html.escape(template.render(instrument=instrument, style=style))
    return (
        f'<iframe title="{html.escape(instrument.title)}" srcdoc="{page}" '
        f'style="width: 100%; height: {height}px; border: 0"></iframe>'
    )


def render_index(location: str, entries: Sequence[object]) -> bytes:
    """HTML of a page over many studies, UTF-8; ``entries`` as ``index.html.j2`` takes them."""
    style = (FOLDER / "page.css").read_text("utf-8")
    template = _environment().get_template("index.html.j2")
    return template.render(location=location, entries=entries, style=style).encode()


def inside_script(code: str) -> str:
    """JavaScript that does not end the script element it stands in."""
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@cache
def _javascript() -> str:
    code = (FOLDER / "page.js").read_text("utf-8").replace("MOVED_TO", MOVED_TO)
    bundle: str = vl_convert.javascript_bundle(code)
    return inside_script(bundle)


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(FOLDER)
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
