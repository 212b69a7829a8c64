"""Compare models in a notebook: models and inputs in, scores out. No Ray, no files."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from dbray.errors import TrialFailedError, UserError, one_line, reason
from dbray.labelling import label_dtype, label_planes, predict
from dbray.notebook.checks import (
    adapted,
    checked_count,
    checked_device,
    checked_extent,
    checked_groups,
    checked_images,
    checked_labels,
    checked_models,
)
from dbray.notebook.comparison import Comparison
from dbray.planes import Frame, plane_frame
from dbray.scores.agreement import cohens_kappa, count_agreements, mean_jaccard
from dbray.scores.fragmentation import count_regions
from dbray.scores.jackknife import (
    COUNT,
    SHARE,
    Parts,
    across_pairs,
    crossed,
    estimate,
    over_pairs,
)

MAX_DRAWS = 1000  # of one plane's images


def compare(
    models: Mapping[str, Any],
    images: ArrayLike | torch.Tensor,
    labels: ArrayLike | torch.Tensor | None = None,
    *,
    groups: Mapping[str, str] | None = None,
    planes: int = 50,
    resolution: int = 50,
    extent: float = 0.1,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> Comparison:
    """Compare the decision regions of classifiers on planes through images, or other inputs.

    Parameters
    ----------
    models
        Two or more by name. A module maps (B, channels, height, width) to logits (B, C), or to a
        tuple, a dict or an object that holds them; one logit for two classes is the second one's.
        It is moved to ``device`` and set to evaluation mode. Else an estimator with
        ``predict_proba`` or ``decision_function``, or any function from a float32 array
        (n, features ...) to scores (n, C).
    images
        Inputs as the models take them, shape (n, channels, height, width) or (n, features).
        Distances on a plane are those of these numbers: put features of several units on one
        scale, and the models' own scaling into a pipeline.
    labels
        Whole numbers or texts, shape (n,). With labels, every plane goes through images of three
        different classes.
    groups
        Group of each model, by the model's name: such as the training that it is a seed of.
    planes, resolution, extent
        P planes of R x R points, reaching past their images by a share of the plane's side.
    seed
        Decides which images span the planes.
    progress
        Show on stderr how far it is, where it takes longer than a second.

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
    named = checked_models(models)
    grouped = checked_groups(groups, named)
    asked, classes = adapted(named, inputs, place := checked_device(device))
    maps = _empty_maps((len(asked), planes, resolution, resolution), classes)
    ids = _draw(inputs, kinds, planes, seed)
    frames = [_frame(inputs[chosen]) for chosen in ids]
    answers = np.empty((len(asked), len(inputs)), maps.dtype)
    bar = tqdm(total=len(asked) * planes, unit="plane", delay=1, leave=False, disable=not progress)
    with bar:
        for m, (name, model) in enumerate(asked.items()):
            with _named(name):
                answers[m] = predict(model, inputs, place).argmax(axis=1)
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
                    bar.update()
    names = tuple(asked)
    scored = _Scored(names, maps, classes)
    return Comparison(
        names,
        scored.agreement(),
        scored.fragmentation(),
        scored.groups(grouped),
        scored.group_fragmentation(grouped),
        _images(names, answers, kinds, classes),
        maps,
        ids,
        classes,
        inputs,
        extent,
        grouped,
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


class _Scored:
    """Counts of label maps (M, P, R, R), and the frames that are made of them."""

    def __init__(self, names: Sequence[str], maps: NDArray[Any], classes: int) -> None:
        self.names = np.array(names)
        flat = maps.reshape(*maps.shape[:2], -1)
        self.counts = count_agreements(flat, None, classes)
        self.points = flat.shape[2]
        self.regions = np.array([count_regions(each) for each in maps], float)  # (M, P)

    def agreement(self) -> pd.DataFrame:
        a, b = np.array(list(combinations(range(len(self.names)), 2))).T
        counts = self.counts
        agreeing = counts.agreements[:, a, b]  # (P, pairs)
        histograms = counts.histogram_a[a], counts.histogram_b[b]
        low, high = _interval(agreeing / self.points, SHARE)
        return pd.DataFrame(
            {
                "model_a": self.names[a],
                "model_b": self.names[b],
                "agreement": agreeing.sum(axis=0) / (self.points * len(agreeing)),
                "low": low,
                "high": high,
                "kappa": cohens_kappa(agreeing.sum(axis=0), *histograms),
                "jaccard": mean_jaccard(counts.overlaps[a, b], *histograms),
            }
        )

    def fragmentation(self) -> pd.DataFrame:
        low, high = _interval(self.regions.T, COUNT)
        means = self.regions.mean(axis=1)
        columns = {"model": self.names, "regions": means, "low": low, "high": high}
        return pd.DataFrame(columns)

    def groups(self, grouped: Mapping[str, str]) -> pd.DataFrame:
        rows = []
        for (first, a), (second, b) in combinations_with_replacement(self._members(grouped), 2):
            if first == second and len(a) < 2:
                continue
            chosen = self.counts.agreements[:, a[:, None], b[None, :]].astype(np.int64)
            if first == second:
                chosen = np.triu(chosen, 1)
                by_plane = chosen.sum(axis=(1, 2)) / (self.points * len(a) * (len(a) - 1) / 2)
                points = self.points * len(chosen)
                parts = over_pairs(by_plane, chosen.sum(axis=0), points, first)
            else:
                both = np.maximum(chosen, self._transposed(a, b))
                by_plane = both.sum(axis=(1, 2)) / (self.points * len(a) * len(b))
                parts = across_pairs(
                    by_plane, both.sum(axis=0), self.points * len(both), (first, second)
                )
            rows.append({"group_a": first, "group_b": second, **_row("agreement", parts, SHARE)})
        columns = ["group_a", "group_b", "agreement", "low", "high", "planes_only"]
        return pd.DataFrame(rows, columns=columns)

    def group_fragmentation(self, grouped: Mapping[str, str]) -> pd.DataFrame:
        rows = [
            {"group": group, **_row("regions", crossed(self.regions[members], group), COUNT)}
            for group, members in self._members(grouped)
        ]
        return pd.DataFrame(rows, columns=["group", "regions", "low", "high", "planes_only"])

    def _members(self, grouped: Mapping[str, str]) -> list[tuple[str, NDArray[np.int64]]]:
        """Places of each group's models, the groups in the order in which they come."""
        found: dict[str, list[int]] = {}
        for place, name in enumerate(self.names.tolist()):
            if grouped:
                found.setdefault(grouped[name], []).append(place)
        return [(group, np.array(places)) for group, places in found.items()]

    def _transposed(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        """Counts of pairs that are kept the other way round: only those with a < b are."""
        swapped = self.counts.agreements[:, b[:, None], a[None, :]].transpose(0, 2, 1)
        return np.where(a[:, None] < b[None, :], 0, swapped)


def _row(name: str, parts: Parts, bounds: tuple[float, float]) -> dict[str, Any]:
    found = estimate(parts, bounds=bounds)
    ends = {"low": found.low, "high": found.high, "planes_only": found.planes_only}
    return {name: found.value, **ends}


def _images(
    names: Sequence[str], answers: NDArray[Any], labels: NDArray[Any] | None, classes: int
) -> pd.DataFrame:
    """Who disagrees where: one row an input, the most contested first."""
    shares = np.stack([(answers == c).mean(axis=0) for c in range(classes)])  # (C, n)
    columns: dict[str, Any] = {"image": np.arange(answers.shape[1])}
    if labels is not None:
        columns["label"] = labels
        if labels.dtype.kind in "iu":
            columns["right"] = (answers == labels).mean(axis=0)
    columns["disagreement"] = 1 - np.square(shares).sum(axis=0)
    columns |= dict(zip(names, answers, strict=True))
    frame = pd.DataFrame(columns)
    return frame.sort_values("disagreement", ascending=False, kind="stable", ignore_index=True)


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
