"""What ``compare`` found: frames, label maps, a chart, a page."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dbray.errors import UserError
from dbray.notebook.checks import checked_count
from dbray.notebook.exploring import Explorer, explorer_of_maps
from dbray.report import Instrument, Picture, picture_uri
from dbray.report.page.page import Figure, Section, Table, render_page

PICTURE = 110  # px
CELL = 64  # px
CONTESTED = 20  # inputs on the page
SHOWN = 20  # planes that can be explored
_SHOWN = ("agreement", "low", "high", "kappa", "jaccard")


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found.

    Attributes
    ----------
    agreement
        One row a pair of models: ``model_a``, ``model_b``, ``agreement`` with its 95 % interval
        over planes (``low``, ``high``), ``kappa`` and ``jaccard``.
    fragmentation
        One row a model: ``model``, ``regions`` (mean a plane) with ``low`` and ``high``.
    groups
        One row a pair of groups, where groups were given: ``group_a``, ``group_b``, ``agreement``
        with its 95 % interval over planes and models; ``planes_only`` says that a group has too
        few models for these to vary.
    group_fragmentation
        One row a group: ``group``, ``regions`` with its interval over planes and models.
    images
        One row an input, the most contested first: ``image`` (its place), ``label`` and ``right``
        (share of the models that are right) where labels were given, ``disagreement`` (1 less the
        sum of the squared shares of the classes), and a column a model with its class.
    label_maps
        Unsigned integers, shape (M, P, R, R).
    image_ids
        The inputs that span each plane, int64, shape (P, 3).
    inputs
        What was given as images, float32, shape (n, features ...).
    extent
        How far planes reach past their images, as a share of their side.
    group_of
        Group of each model; empty where none were given.
    """

    models: tuple[str, ...]
    agreement: pd.DataFrame
    fragmentation: pd.DataFrame
    groups: pd.DataFrame
    group_fragmentation: pd.DataFrame
    images: pd.DataFrame
    label_maps: NDArray[Any] = field(repr=False)
    image_ids: NDArray[np.int64] = field(repr=False)
    classes: int
    inputs: NDArray[np.float32] = field(repr=False)
    extent: float
    group_of: Mapping[str, str] = field(repr=False)

    def __repr__(self) -> str:
        models, planes, side, _ = self.label_maps.shape
        mean = self.agreement.agreement.mean()
        return (
            f"Comparison({models} models on {planes} planes of {side} x {side} points; two of them "
            f"agree on {mean:.3f} of the points)"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: agreement and fragmentation, of groups where there are some."""
        shown = [self.groups, self.group_fragmentation] if len(self.groups) else []
        tables = shown or [self.agreement, self.fragmentation]
        return f"<p>{html.escape(repr(self))}</p>" + "".join(
            frame.to_html(index=False, float_format="{:.3f}".format) for frame in tables
        )

    @cached_property
    def anchors(self) -> pd.DataFrame:
        """The inputs that span the planes, flat: ``plane``, ``image`` and a column a feature."""
        flat = self.inputs[self.image_ids.ravel()].reshape(self.image_ids.size, -1)
        about = {
            "plane": np.repeat(np.arange(len(self.image_ids)), 3),
            "image": self.image_ids.ravel(),
        }
        features = {f"feature {number}": column for number, column in enumerate(flat.T)}
        return pd.DataFrame({**about, **features})

    def chart(self, planes: int = 3) -> alt.TopLevelMixin:
        """Agreement of every two models, beside their decision regions on the first planes."""
        planes = checked_count("planes", planes, 1)
        beside = alt.hconcat(self._matrix(), self._regions(planes))
        return cast(alt.HConcatChart, beside.resolve_scale(color="independent"))

    def explore(self, planes: int = SHOWN) -> Explorer:
        """Point at the label maps of the first planes: the image there, and every model's class.

        Raises
        ------
        UserError
            If the inputs are no images of one or three channels.
        """
        part = self._explorer(checked_count("planes", planes, 1))
        if part is None:
            shape = " x ".join(map(str, self.inputs.shape[1:]))
            raise UserError(
                f"explore shows images of 1 or 3 channels; these inputs are {shape}; use chart()"
            )
        return Explorer(part, f"{len(self.models)} models")

    def save(self, path: str | Path, planes: int = 3) -> Path:
        """Write one page that needs nothing else: the chart, the tables, the contested inputs.

        Raises
        ------
        UserError
            If the file cannot be written.
        """
        frames = {
            "Agreement of groups": self.groups,
            "Agreement of models": self.agreement,
            "Decision regions a plane": self.fragmentation,
            "The most contested inputs": self.images.head(CONTESTED),
        }
        if self.inputs.ndim == 2:
            frames["What the planes go through"] = self.anchors[self.anchors.plane < planes]
        page = render_page(
            "How much do these models agree?",
            [f"{repr(self)[len('Comparison(') : -1]}."],
            [
                Section(
                    "Decision regions",
                    figures=[Figure("regions", self.chart(planes), self._found())],
                ),
                *(
                    Section(name, tables=[_table(each)])
                    for name, each in frames.items()
                    if len(each)
                ),
            ],
            instrument=self._explorer(SHOWN),
        )
        target = Path(path)
        try:
            target.write_bytes(page)
        except OSError as error:
            raise UserError(f"{target}: cannot be written: {error.strerror}") from error
        return target

    def _explorer(self, planes: int) -> Instrument | None:
        return explorer_of_maps(
            self.label_maps[:, :planes],
            self.inputs,
            self.image_ids[:planes],
            models=self.models,
            groups=self.group_of,
            classes=self.classes,
            extent=self.extent,
            agreement=self.agreement,
            answers=self.images,
        )

    def _found(self) -> str:
        """What the chart shows to be so."""
        rows = self.agreement.sort_values("agreement")
        least, most = rows.iloc[0], rows.iloc[-1]
        return (
            f"{most.model_a} and {most.model_b} agree the most ({most.agreement:.3f}), "
            f"{least.model_a} and {least.model_b} the least ({least.agreement:.3f})."
        )

    def _matrix(self) -> alt.LayerChart:
        columns = {"model_a": "model_b", "model_b": "model_a"}
        both = pd.concat([self.agreement, self.agreement.rename(columns=columns)])
        order = list(self.models)
        base = alt.Chart(both).encode(
            x=alt.X("model_a:N", sort=order, title=None, axis=alt.Axis(labelAngle=-30)),
            y=alt.Y("model_b:N", sort=order, title=None),
            tooltip=["model_a", "model_b", *(alt.Tooltip(c, format=".3f") for c in _SHOWN)],
        )
        cells = base.mark_rect(stroke="white").encode(
            color=alt.Color("agreement:Q", scale=alt.Scale(scheme="blues"), title="agreement")
        )
        middle = (both.agreement.min() + both.agreement.max()) / 2
        text = base.mark_text().encode(
            text=alt.Text("agreement:Q", format=".2f"),
            color=alt.condition(
                alt.datum.agreement > middle, alt.value("white"), alt.value("black")
            ),
        )
        side = CELL * len(order)
        title = "Share of points with the same class"
        matrix = alt.layer(cells, text).properties(width=side, height=side, title=title)
        return cast(alt.LayerChart, matrix)

    def _regions(self, planes: int) -> alt.FacetChart:
        what = "rows" if self.inputs.ndim == 2 else "images"
        rows = [
            {
                "model": model,
                "plane": f"{what} " + ", ".join(map(str, self.image_ids[plane])),
                "uri": picture_uri(Picture(self.label_maps[m, plane], None), self.classes),
                "x": 0.5,
                "y": 0.5,
            }
            for m, model in enumerate(self.models)
            for plane in range(min(planes, len(self.image_ids)))
        ]
        axis: dict[str, Any] = {"axis": None, "scale": alt.Scale(domain=[0, 1])}
        pictures = (
            alt.Chart(pd.DataFrame(rows))
            .mark_image(width=PICTURE, height=PICTURE, aspect=False)
            .encode(x=alt.X("x:Q", **axis), y=alt.Y("y:Q", **axis), url="uri:N")
            .properties(width=PICTURE, height=PICTURE)
            .facet(
                row=alt.Row("model:N", sort=list(self.models), title=None),
                column=alt.Column(
                    "plane:N",
                    sort=None,
                    title="Decision regions on planes through",
                    header=alt.Header(labelFontSize=10, labelFontWeight="normal"),
                ),
                spacing=8,
            )
        )
        return cast(alt.FacetChart, pictures)


def _table(frame: pd.DataFrame) -> Table:
    said = frame.map(lambda value: f"{value:.3f}" if isinstance(value, float) else str(value))
    return Table([str(name).replace("_", " ") for name in frame.columns], said.to_numpy().tolist())
