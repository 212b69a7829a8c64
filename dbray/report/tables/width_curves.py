"""Curves along the width, one for each label noise: every measure with interval and trials."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from dbray.claims.contrasts import SCORED_KIND
from dbray.claims.double_descent import noise_name, regions_kind
from dbray.claims.names import display_name
from dbray.config import TrialConfig, architecture_name
from dbray.planes import NOISY
from dbray.report.tables.tables import StudyTables, records
from dbray.scores.jackknife import SHARE, estimate, over_trials
from dbray.scores.threshold import Threshold, find_threshold


@dataclass(frozen=True)
class Measure:
    """What a panel shows: its name in the frames, and for people."""

    name: str
    title: str
    percent: bool = False


MEASURES = (
    Measure("test_error", "test error", percent=True),
    Measure("train_error", "training error (labels as taught)", percent=True),
    Measure("fragmentation", "regions a plane"),
    Measure("agreement", "agreement between seeds", percent=True),
    Measure("margin", "mean margin of test images"),
    Measure("skips", "class skips on a line"),
)


@dataclass(frozen=True)
class WidthCurves:
    """What a double-descent study has found.

    Attributes
    ----------
    family
        The architecture, for people.
    widths, noises
        All of them, ascending; names of the label noises, the least noise first.
    curves
        One row a noise, width, epoch (0: trained to the end) and measure: ``value``, ``low``,
        ``high``, ``planes_only``, and the number of ``trials``.
    by_kind
        The same for fragmentation, agreement, margin and skips by ``kind`` of planes or images, of
        models trained to the end.
    dots
        One row a trial (a pair of trials, for agreement): ``value`` and ``member``, its seed.
    thresholds
        By noise: where the models that were trained to the end fit their labels.
    """

    family: str
    widths: list[int]
    noises: list[str]
    curves: pd.DataFrame
    by_kind: pd.DataFrame
    dots: pd.DataFrame
    thresholds: dict[str, Threshold]

    def curve(self, measure: str, noise: str) -> pd.DataFrame:
        """Rows of one measure and noise, of models trained to the end, by width."""
        rows = self.final[(self.final.measure == measure) & (self.final.noise == noise)]
        return rows.set_index("width").sort_index()

    @property
    def final(self) -> pd.DataFrame:
        """Curves of models that were trained to the end."""
        return self.curves[self.curves.epoch == 0]


def is_width_study(tables: StudyTables) -> bool:
    """Whether a study's groups are widths and label noises."""
    return "noise" in tables.info["group_by"]


def width_curves(tables: StudyTables) -> WidthCurves:
    """Curves of a study of ``is_width_study``."""
    configs = {i: c for i, c in tables.configs.items() if isinstance(c, TrialConfig)}
    places = pd.DataFrame.from_dict({i: _place(c) for i, c in configs.items()}, orient="index")
    drawn = tables.info["planes"].get("noise")
    places["by_planes"] = [
        config.noise is None or asdict(config.noise) == drawn for config in configs.values()
    ]
    places["label"] = tables.trials.set_index("trial_id").label
    trials = tables.trials.merge(places.drop(columns="label"), left_on="trial_id", right_index=True)
    trials = trials.assign(test_error=1 - trials.test_accuracy, train_error=1 - trials.fit_accuracy)
    groups = places.sort_values("by_planes").drop_duplicates("label").set_index("label")
    by_kind = _by_kind(tables, groups)
    regions = regions_kind(by_kind.kind.unique())
    wanted = by_kind.measure.map(lambda name: regions if name == "fragmentation" else SCORED_KIND)
    scored = by_kind[by_kind.kind == wanted]
    order = places.sort_values(["share", "noise"]).noise.drop_duplicates().tolist()
    return WidthCurves(
        family=display_name(str(places.architecture.iloc[0])),
        widths=sorted(places.width.unique().tolist()),
        noises=order,
        curves=pd.concat([_errors(trials, tables.info["dataset"]), scored], ignore_index=True),
        by_kind=by_kind[by_kind.epoch == 0],
        dots=_dots(tables, trials, groups),
        thresholds={noise: _threshold(trials, noise) for noise in order},
    )


def label_at(tables: StudyTables, curves: WidthCurves, width: int, noise: str) -> str | None:
    """Label of the group at a width and noise, trained to the end; None if there is none."""
    for row in records(tables.trials):
        config = tables.configs[row["trial_id"]]
        if isinstance(config, TrialConfig) and config.stop_epoch is None:
            place = _place(config)
            if (place["width"], place["noise"]) == (width, noise):
                return str(row["label"])
    return None


def width_history(tables: StudyTables) -> pd.DataFrame:
    """Test error over the epochs with the width and noise of each trial."""
    configs = {i: c for i, c in tables.configs.items() if isinstance(c, TrialConfig)}
    ends = {i: _place(config) for i, config in configs.items() if config.stop_epoch is None}
    places = pd.DataFrame.from_dict(ends, orient="index")[["noise", "width"]]
    rows = tables.history.merge(places, left_on="trial_id", right_index=True)
    return rows.assign(test_error=1 - rows.test_accuracy)


def _place(config: TrialConfig) -> dict[str, Any]:
    return {
        "architecture": architecture_name(config.architecture, 0),
        "width": config.width,
        "noise": noise_name(config.noise),
        "share": config.noise.share if config.noise else 0.0,
        "epoch": config.stop_epoch or 0,
    }


def _errors(trials: pd.DataFrame, dataset: Mapping[str, Any]) -> pd.DataFrame:
    """Both errors: means over seeds with their intervals over seeds."""
    rows = []
    for (noise, width, epoch), group in trials.groupby(["noise", "width", "epoch"]):
        for measure, split in (("test_error", "test_images"), ("train_error", "train_images")):
            values, images = group[measure].to_numpy(np.float64), dataset.get(split, 0)
            mean = estimate(over_trials(values, "seeds", images=images), bounds=SHARE)
            about = {"noise": noise, "width": width, "epoch": epoch, "measure": measure}
            found = {"value": mean.value, "low": mean.low, "high": mean.high}
            rows.append({**about, **found, "planes_only": False, "trials": len(group)})
    return pd.DataFrame(rows)


def _by_kind(tables: StudyTables, groups: pd.DataFrame) -> pd.DataFrame:
    """Measures on planes and lines, which the scores have by group and kind."""
    inside = tables.groups_by_kind[tables.groups_by_kind.group_a == tables.groups_by_kind.group_b]
    sources: Sequence[tuple[str, pd.DataFrame, Mapping[str, str]]] = (
        ("fragmentation", tables.fragmentation_by_group, _columns("components")),
        (
            "agreement",
            inside.rename(columns={"group_a": "group", "pairs": "trials"}),
            {"agreement": "value", "low": "low", "high": "high", "planes_only": "planes_only"},
        ),
        ("margin", tables.lines_by_group, _columns("margin")),
        ("skips", tables.lines_by_group, _columns("skips")),
    )
    frames = []
    for measure, frame, columns in sources:
        kept = frame[["group", "kind", "trials", *columns]].rename(columns=dict(columns))
        frames.append(kept.assign(measure=measure))
    joined = pd.concat(frames, ignore_index=True)
    about = groups[["noise", "width", "epoch", "by_planes"]]
    rows = joined.merge(about, left_on="group", right_index=True)
    # What is mislabelled is the planes' noise's matter; another draw has other wrong labels.
    return rows[rows.by_planes | ~rows.kind.isin(NOISY)].drop(columns=["group", "by_planes"])


def _columns(name: str) -> dict[str, str]:
    ends = {f"{name}_low": "low", f"{name}_high": "high"}
    return {name: "value", **ends, "planes_only": "planes_only"}


def _dots(tables: StudyTables, trials: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """Every trial's and every pair's own value, of models trained to the end."""
    about = trials.set_index("trial_id")[["noise", "width", "epoch", "seed"]]
    frames = [
        about.assign(measure=measure, value=trials.set_index("trial_id")[measure])
        for measure in ("test_error", "train_error")
    ]
    counts = tables.fragmentation
    regions = counts[counts.kind == regions_kind(counts.kind.unique())]
    frames.append(_joined(about, regions, "components", "fragmentation"))
    lines = tables.lines[tables.lines.kind == SCORED_KIND]
    frames += [_joined(about, lines, name, name) for name in ("margin", "skips")]
    pairs = tables.pairs[tables.pairs.label_a == tables.pairs.label_b]
    named = pairs.merge(groups[["noise", "width", "epoch"]], left_on="label_a", right_index=True)
    both = named.assign(
        seed=named.seed_a + " with " + named.seed_b, value=named.agreement, measure="agreement"
    )
    frames.append(both[["noise", "width", "epoch", "seed", "measure", "value"]])
    dots = pd.concat(frames, ignore_index=True).rename(columns={"seed": "member"})
    return dots[dots.epoch == 0].drop(columns="epoch")


def _joined(about: pd.DataFrame, frame: pd.DataFrame, column: str, measure: str) -> pd.DataFrame:
    values = frame.set_index("trial_id")[column].rename("value")
    return about.join(values, how="inner").assign(measure=measure)


def _threshold(trials: pd.DataFrame, noise: str) -> Threshold:
    rows = trials[(trials.noise == noise) & (trials.epoch == 0)]
    if not len(rows):
        return Threshold(None, None, None)
    errors = rows.groupby("width").train_error.apply(lambda of_width: of_width.to_numpy(float))
    return find_threshold(errors.index.tolist(), errors.tolist())
