"""Two studies on the same planes: which of their groups can be compared, and how they agree."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbray.claims.contrasts import SCORED_KIND
from dbray.config import TrialConfig, group_label, stored_config
from dbray.errors import UserError
from dbray.planes import plane_ids_of
from dbray.scores.agreement import count_agreements
from dbray.scores.intervals import Estimate
from dbray.scores.jackknife import (
    DIFFERENCE,
    SHARE,
    Float64,
    Parts,
    combined,
    estimate,
    holm,
    over_pairs,
    over_trials,
)
from dbray.store import CommittedTrial, Study, read_label_maps
from dbray.store.scope import at_their_end

SAME = (  # what must be equal for label maps to be comparable: path in study.json, name for people
    ("dataset.fingerprint", "data set"),
    ("dataset.class_names", "class names"),
    ("planes.seed", "--plane-seed"),
    ("planes.resolution", "--resolution"),
    ("planes.extent", "extent of the planes"),
)
SIDES = ("first", "second")  # the two studies' trials
SEEDS = ("weights_seed", "data_seed", "dataset_fingerprint", "model", "weights_sha256")


@dataclass(frozen=True)
class GroupPair:
    """One group in both studies; every estimate is a share of points, or a difference of two.

    ``None`` where there are too few trials.
    """

    label: str
    trials: tuple[int, int]
    accuracy: tuple[Estimate, Estimate]  # mean test accuracy
    within: tuple[Estimate | None, Estimate | None]  # of two seeds, in each study
    change: Estimate | None  # second study's less the first's
    p_holm: float | None  # of the change, corrected for the number of groups
    same_seed: Estimate | None  # a trial with the other study's of the same seed
    other_seed: Estimate | None  # with its others


@dataclass(frozen=True)
class Side:
    """One of the two studies, read once."""

    study: Study
    info: Mapping[str, Any]
    groups: Mapping[str, list[CommittedTrial]]


def read_side(study: Study) -> Side:
    """A study with the trials that its main scores are of, by group: none that stopped early."""
    info, groups = study.info, dict[str, list[CommittedTrial]]()
    for trial in at_their_end(study.committed(), info["group_by"]):
        groups.setdefault(group_label(trial.config, info["group_by"]), []).append(trial)
    return Side(study, info, groups)


def compare_groups(one: Side, two: Side) -> tuple[list[GroupPair], int]:
    """Every group that both studies have, and on how many test planes they were compared.

    Raises
    ------
    UserError
        If the studies cannot be compared; it says what differs.
    """
    both = f"{one.study.location} and {two.study.location}"
    _check_same(both, one.info, two.info)
    shared = [label for label in one.groups if label in two.groups]
    if not shared:
        raise UserError(
            f"{both}: no group has finished trials in both "
            f"({', '.join(one.groups) or 'none'} there, {', '.join(two.groups) or 'none'} here)"
        )
    members = [trial for side in (one, two) for label in shared for trial in side.groups[label]]
    planes = min(trial.planes.get(SCORED_KIND, 0) for trial in members)
    if not planes:
        raise UserError(f"{both}: share no test planes")
    _check_planes(both, one.study, two.study, planes)
    pairs = [_compare(label, one, two, planes) for label in shared]
    tested = [i for i, pair in enumerate(pairs) if pair.change and not pair.change.planes_only]
    corrected = dict(zip(tested, holm([pairs[i].change.p for i in tested]), strict=True))  # type: ignore[union-attr]
    found = [replace(pair, p_holm=corrected.get(i)) for i, pair in enumerate(pairs)]
    return sorted(found, key=_reproducible, reverse=True), planes


def _reproducible(pair: GroupPair) -> tuple[float, str]:
    """The most reproducible group first, by the first study."""
    within = pair.within[0]
    return (within.value if within else -1.0, pair.label)


def differences(one: Side, two: Side) -> list[tuple[str, str, str]]:
    """What was asked for, made and run differently: (what, in the first, in the second)."""
    found = list(_differing(_facts(one.info), _facts(two.info)))
    for label in one.groups.keys() & two.groups.keys():
        configs = (_shared_config(side.groups[label]) for side in (one, two))
        found += [(f"{label}: {what}", a, b) for what, a, b in _differing(*configs)]
    return sorted(found)


def _check_same(both: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> None:
    """Refuse studies whose models did not answer the same questions."""
    apart = []
    for path, name in SAME:
        there, here = _at(one, path), _at(two, path)
        if there != here:
            values = "" if path.startswith("dataset.") else f" ({there} there, {here} here)"
            apart.append(f"{name}{values}")
    if apart:
        raise UserError(f"{both} cannot be compared: they differ in {', '.join(apart)}")


def _check_planes(both: str, one: Study, two: Study, planes: int) -> None:
    """Refuse planes of equal ids that go through other images."""
    ids = set(plane_ids_of(SCORED_KIND, planes))
    drawn = [
        {
            row["plane_id"]: row["image_ids"]
            for row in study.read_table("planes.parquet").to_pylist()
            if row["plane_id"] in ids
        }
        for study in (one, two)
    ]
    if drawn[0] != drawn[1]:
        raise UserError(f"{both} cannot be compared: their planes go through other images")


def _compare(label: str, one: Side, two: Side, planes: int) -> GroupPair:
    first, second = one.groups[label], two.groups[label]
    classes = len(one.info["dataset"]["class_names"])
    maps = [_label_maps(one.study, first, planes), _label_maps(two.study, second, planes)]
    points = maps[0].shape[2]
    across = count_agreements(maps[0], maps[1], classes).agreements
    counts = len(first), len(second)
    members = [[trial.config.member for trial in trials] for trials in (first, second)]
    same = np.equal.outer(*(np.array(names, object) for names in members)).astype(bool)
    inside = [_inside(each, classes, side) for each, side in zip(maps, SIDES, strict=True)]
    return GroupPair(
        label,
        counts,
        (_accuracy(first, one), _accuracy(second, two)),
        (_estimate(inside[0]), _estimate(inside[1])),
        _change(*inside),
        None,
        _estimate(_across(across / points, same, SIDES[0])),  # leaves out both of a pair
        _estimate(_across(across / points, ~same, *SIDES)),
    )


def _inside(maps: NDArray[Any], classes: int, side: str) -> Parts | None:
    """Agreement within a group, from label maps (S, P, N); None for a single trial."""
    count, planes, points = maps.shape
    if count < 2:
        return None
    agreements = count_agreements(maps, None, classes).agreements  # (P, S, S), above the diagonal
    by_plane = agreements.sum(axis=(1, 2)) / (count * (count - 1) / 2 * points)
    return over_pairs(by_plane, agreements.sum(axis=0, dtype=np.int64), planes * points, side)


def _across(shares: Float64, pairs: NDArray[np.bool_], *sides: str) -> Parts | None:
    """Mean of shares (P, S_a, S_b) over the chosen pairs; None if there are none.

    ``sides`` are those whose trials are left out.
    """
    if not pairs.any():
        return None
    means, by_plane = shares.mean(axis=0), shares[:, pairs].mean(axis=1)
    without = {side: _without(means, pairs, SIDES.index(side)) for side in sides}
    return Parts(float(by_plane.mean()), by_plane, without)


def _without(means: Float64, pairs: NDArray[np.bool_], axis: int) -> Float64:
    """The mean without each trial of one side; empty if without one nothing is left."""
    found = []
    for trial in range(means.shape[axis]):
        kept = pairs & (np.indices(pairs.shape)[axis] != trial)
        if not kept.any():
            return np.empty(0)
        found.append(means[kept].mean())
    return np.array(found)


def _estimate(parts: Parts | None) -> Estimate | None:
    return estimate(parts, bounds=SHARE) if parts else None


def _change(before: Parts | None, after: Parts | None) -> Estimate | None:
    """The second mean less the first, paired by planes."""
    if before is None or after is None:
        return None
    return estimate(combined([(1.0, after), (-1.0, before)]), bounds=DIFFERENCE)


def _label_maps(study: Study, trials: Sequence[CommittedTrial], planes: int) -> NDArray[Any]:
    """Label maps on the test planes, shape (S, P, N)."""
    ids = plane_ids_of(SCORED_KIND, planes)
    maps = [read_label_maps(study, trial, ids.start, ids.stop) for trial in trials]
    return np.stack(maps).reshape(len(trials), planes, -1)


def _accuracy(trials: Sequence[CommittedTrial], side: Side) -> Estimate:
    values = np.array([trial.metrics["test_accuracy"] for trial in trials])
    images = side.info["dataset"].get("test_images", 0)
    return estimate(over_trials(values, "seeds", images=images), bounds=SHARE)


def _facts(info: Mapping[str, Any]) -> dict[str, str]:
    """What is worth comparing of a study's description, and the machine of its last command."""
    described = {key: info[key] for key in ("versions", "planes", "pictures") if key in info}
    last = info["invocations"][-1] if info["invocations"] else {}
    about = {"last command": last.get("command"), "hardware": last.get("hardware")}
    return _flat(described | about)


def _shared_config(trials: Sequence[CommittedTrial]) -> dict[str, str]:
    """Config of a group's first trial, less what tells its trials apart."""
    config = trials[0].config
    values = {name: v for name, v in stored_config(config).items() if name not in SEEDS}
    if isinstance(config, TrialConfig) and config.distillation:
        values["distillation"] = str(config.distillation)  # the teacher's id is a seed's
    return _flat(values)


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in values.items():
        here = f"{path} {name}".strip()
        found |= _flat(value, here) if isinstance(value, dict) else {here: str(value)}
    return found


def _differing(one: Mapping[str, str], two: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in one.keys() | two.keys():
        if one.get(name) != two.get(name):
            yield name.replace("_", " "), one.get(name, "none"), two.get(name, "none")


def _at(info: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - JSON
    value: Any = info
    for part in path.split("."):
        value = value[part]
    return value
