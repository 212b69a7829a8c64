"""Compare models in a notebook: models and images in, scores and a chart out. No Ray, no files."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, cast

import altair as alt
import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from dbray.errors import TrialFailedError, UserError, one_line, reason
from dbray.labelling import label_dtype, label_planes
from dbray.notebook.checks import (
    adapted,
    checked_count,
    checked_device,
    checked_extent,
    checked_images,
    checked_labels,
    checked_models,
)
from dbray.planes import Frame, plane_frame
from dbray.report import Picture, picture_uri
from dbray.scores.agreement import cohens_kappa, count_agreements, mean_jaccard
from dbray.scores.fragmentation import count_regions
from dbray.scores.jackknife import COUNT, SHARE, Parts, estimate

MAX_DRAWS = 1000  # of one plane's images
PICTURE = 110  # px
CELL = 64  # px


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
    label_maps
        Unsigned integers, shape (M, P, R, R).
    image_ids
        The images that span each plane, int64, shape (P, 3).
    """

    models: tuple[str, ...]
    agreement: pd.DataFrame
    fragmentation: pd.DataFrame
    label_maps: NDArray[Any] = field(repr=False)
    image_ids: NDArray[np.int64] = field(repr=False)
    classes: int

    def chart(self, planes: int = 3) -> alt.TopLevelMixin:
        """Agreement of every two models, beside their decision regions on the first planes."""
        planes = checked_count("planes", planes, 1)
        beside = alt.hconcat(self._matrix(), self._regions(planes))
        return cast(alt.HConcatChart, beside.resolve_scale(color="independent"))

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
        rows = [
            {
                "model": model,
                "plane": "images " + ", ".join(map(str, self.image_ids[plane])),
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
                column=alt.Column("plane:N", sort=None, title="Decision regions on planes through"),
                spacing=8,
            )
        )
        return cast(alt.FacetChart, pictures)


_SHOWN = ("agreement", "low", "high", "kappa", "jaccard")


def compare(
    models: Mapping[str, nn.Module],
    images: ArrayLike | torch.Tensor,
    labels: ArrayLike | torch.Tensor | None = None,
    *,
    planes: int = 50,
    resolution: int = 50,
    extent: float = 0.1,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Comparison:
    """Compare the decision regions of models on planes through images.

    Parameters
    ----------
    models
        Two or more by name; each maps (B, channels, height, width) to logits (B, C), or to a
        tuple, a dict or an object that holds them. One logit for two classes is the second one's.
        They are moved to ``device`` and set to evaluation mode.
    images
        Inputs as the models take them (normalised), shape (n, channels, height, width).
    labels
        Whole numbers or texts, shape (n,). With labels, every plane goes through images of three
        different classes.
    planes, resolution, extent
        P planes of R x R points, reaching past their images by a share of the plane's side.
    seed
        Decides which images span the planes.

    Raises
    ------
    UserError
        If an argument is not of its kind, a model fails or gives no finite logits, the models
        differ in their number of classes, or the images do not allow planes.

    References
    ----------
    Somepalli et al., CVPR 2022, sections 2 and 3.
    """
    inputs = checked_images(images)
    kinds = checked_labels(labels, len(inputs))
    planes, resolution = (
        checked_count("planes", planes, 1),
        checked_count("resolution", resolution, 2),
    )
    extent, seed = checked_extent(extent), checked_count("seed", seed, 0)
    asked, classes = adapted(checked_models(models), inputs, place := checked_device(device))
    maps = _empty_maps((len(asked), planes, resolution, resolution), classes)
    ids = _draw(inputs, kinds, planes, seed)
    frames = [_frame(inputs[chosen]) for chosen in ids]
    for m, (name, model) in enumerate(asked.items()):
        with _named(name):
            found = label_planes(
                model,
                frames,
                inputs.shape[1:],
                classes=classes,
                resolution=resolution,
                extent=extent,
                device=place,
            )
            for p, label_map in enumerate(found):
                maps[m, p] = label_map
    names = tuple(asked)
    return Comparison(
        names, _agreement(names, maps, classes), _fragmentation(names, maps), maps, ids, classes
    )


def _empty_maps(shape: tuple[int, ...], classes: int) -> NDArray[Any]:
    try:
        return np.empty(shape, label_dtype(classes))
    except (MemoryError, ValueError) as error:
        raise UserError(
            f"planes={shape[1]}, resolution={shape[2]}: so many points do not fit in memory"
        ) from error


@contextlib.contextmanager
def _named(model: str) -> Iterator[None]:
    """Say of which model an error is."""
    try:
        yield
    except (UserError, TrialFailedError) as error:
        raise UserError(f"model {one_line(model)}: {error}") from error
    except Exception as error:  # the user's own code
        raise UserError(f"model {one_line(model)}: fails: {reason(error)}") from error


def _agreement(names: Sequence[str], maps: NDArray[Any], classes: int) -> pd.DataFrame:
    flat = maps.reshape(*maps.shape[:2], -1)
    counts = count_agreements(flat, None, classes)
    a, b = np.array(list(combinations(range(len(names)), 2))).T
    shares = counts.agreements[:, a, b] / flat.shape[2]  # (P, pairs)
    histograms = counts.histogram_a[a], counts.histogram_b[b]
    low, high = _interval(shares, SHARE)
    return pd.DataFrame(
        {
            "model_a": np.array(names)[a],
            "model_b": np.array(names)[b],
            "agreement": counts.agreements[:, a, b].sum(axis=0) / flat[0].size,
            "low": low,
            "high": high,
            "kappa": cohens_kappa(counts.agreements[:, a, b].sum(axis=0), *histograms),
            "jaccard": mean_jaccard(counts.overlaps[a, b], *histograms),
        }
    )


def _fragmentation(names: Sequence[str], maps: NDArray[Any]) -> pd.DataFrame:
    regions = np.array([count_regions(each) for each in maps], float).T  # (P, M)
    low, high = _interval(regions, COUNT)
    columns = {"model": names, "regions": regions.mean(axis=0), "low": low, "high": high}
    return pd.DataFrame(columns)


def _interval(
    values: NDArray[np.float64], bounds: tuple[float, float]
) -> tuple[list[float], list[float]]:
    """95 % intervals of means over planes, for new planes alone; values (P, k)."""
    found = [estimate(Parts(float(v.mean()), v, {}), bounds=bounds) for v in values.T]
    return [each.low for each in found], [each.high for each in found]


def _draw(
    inputs: NDArray[np.float32], labels: NDArray[Any] | None, planes: int, seed: int
) -> NDArray[np.int64]:
    """Three images for each plane; plane i depends on the seed and i only."""
    kinds = np.arange(len(inputs)) if labels is None else labels
    if len(np.unique(kinds)) < 3:
        raise UserError("planes need three images, of three classes where there are labels")
    chosen = np.empty((planes, 3), np.int64)
    for plane in range(planes):
        rng = np.random.default_rng([seed, plane])
        for _ in range(MAX_DRAWS):
            chosen[plane] = rng.choice(len(inputs), 3, replace=False)
            if len(np.unique(kinds[chosen[plane]])) == 3 and _spans(inputs[chosen[plane]]):
                break
        else:
            raise UserError("no three images that span a plane; too many of them are equal")
    return chosen


def _frame(anchors: NDArray[np.float32]) -> Frame:
    return plane_frame(anchors.reshape(3, -1))


def _spans(anchors: NDArray[np.float32]) -> bool:
    try:
        _frame(anchors)
    except ValueError:
        return False
    return True
