"""Sections of charts and prose put together as one page that needs nothing else."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import vl_convert

from dbray.report.page.theme import VEGA_CONFIG

# Runs inside the bundle, where vegaEmbed is in scope; every figure carries its own spec.
# Charts tell the explorer what is clicked, and show where it has moved to.
EMBED = """
const options = {renderer: "svg", actions: {export: true, source: false, compiled: false,
  editor: false}};
const drawn = [...document.querySelectorAll("figure.chart")].map((figure) => {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const file = figure.id;
  return vegaEmbed(figure.querySelector("div"), spec, {...options, downloadFileName: file})
    .then(({view}) => link(view));
});
function link(view) {
  const tell = (detail) => document.dispatchEvent(new CustomEvent("chart-clicked", {detail}));
  view.addEventListener("click", (event, item) => item && item.datum && tell(item.datum));
  const moved = ({name, value}) => {
    const signal = "MOVED_TO" + name;
    if (signal in view.getState().signals) view.signal(signal, value).runAsync();
  };
  document.addEventListener("explorer-moved", (event) => moved(event.detail));
}
Promise.all(drawn).then(() => { document.body.dataset.drawn = String(drawn.length); });
"""
MOVED_TO = (
    "moved_to_"  # and the name of an axis: the parameter of a chart that follows the explorer
)


@dataclass(frozen=True)
class Figure:
    """A chart with the name that its saved file gets."""

    name: str
    chart: alt.TopLevelMixin

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
    """A part of the page: title, paragraphs, figures, a table, in this order."""

    title: str
    prose: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    verdicts: Sequence[Mapping[str, str]] = field(default=())


@dataclass(frozen=True)
class Instrument:
    """What stands on the page with a script and a style of its own."""

    html: str
    script: str
    style: str


def render_page(
    title: str,
    lead: Sequence[str],
    sections: Sequence[Section],
    instrument: Instrument | None = None,
) -> bytes:
    """HTML of the page, UTF-8. Every text is escaped; the JavaScript is embedded once."""
    template = _environment().get_template("page.html.j2")
    page = template.render(
        title=title,
        lead=lead,
        sections=sections,
        javascript=_javascript(),
        instrument=instrument,
    )
    return page.encode()


def inside_script(code: str) -> str:
    """JavaScript that does not end the script element it stands in."""
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@cache
def _javascript() -> str:
    bundle: str = vl_convert.javascript_bundle(EMBED.replace("MOVED_TO", MOVED_TO))
    return inside_script(bundle)


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
