"""A study's planes: what the options ask for, what is drawn, and the tables that record it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from dbray.config import NoiseConfig, TrialConfig
from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.planes import (
    NOISY,
    Anchors,
    PlaneSource,
    anchors_frame,
    plane_anchors,
    plane_ids_of,
    plane_kind,
    png_bytes,
)
from dbray.planes.attack import FIRST, PUBLISHED, adversarial_anchors
from dbray.store import CommittedTrial, Study
from dbray.store.schemas import ANCHORS, PLANES, parquet_bytes
from dbray.store.scope import at_their_end
from dbray.study.options import StudyOptions
from dbray.trial import PlanePlan, load_model

EXTENT = 0.1  # share of its side by which a score plane reaches past its anchors
PICTURE_EXTENT = 0.5


def describe_planes(options: StudyOptions) -> dict[str, Any]:
    """Sections ``planes`` and ``pictures`` of ``study.json``; of no trial's adversarial planes."""
    return {
        "planes": {
            "seed": options.plane_seed,
            "resolution": options.resolution,
            "extent": EXTENT,
            "counts": dict.fromkeys(options.plane_kinds, options.planes),
            "adversarial_to": None,
            "chosen": options.chosen_images,
            "noise": None,
            "line_images": options.line_images,
            "pairs": options.pairs,
        },
        "pictures": {
            "resolution": options.picture_resolution,
            "extent": PICTURE_EXTENT,
            "plane_ids": [i for i in options.pictured if plane_kind(i) != "adversarial"],
        },
    }


def ask_for_adversarial(described: dict[str, Any], trial_id: str, count: int) -> None:
    """Add planes against a trial to the sections that ``describe_planes`` made."""
    described["planes"]["counts"]["adversarial"] = count
    described["planes"]["adversarial_to"] = trial_id
    if described["pictures"]["plane_ids"]:
        described["pictures"]["plane_ids"].append(plane_ids_of("adversarial", 1).start)


def ask_for_mislabelled(described: dict[str, Any], noise: NoiseConfig, count: int) -> None:
    """Add planes through training images that a noise has mislabelled, and that it has not."""
    described["planes"]["counts"] |= dict.fromkeys(NOISY, count)
    described["planes"]["noise"] = asdict(noise)
    if described["pictures"]["plane_ids"]:
        described["pictures"]["plane_ids"] += [plane_ids_of(kind, 1).start for kind in NOISY]


def find_trial(study: Study, named: str) -> CommittedTrial:
    """A finished trial by its id, or by architecture and seed such as ``resnet:0``.

    Raises
    ------
    UserError
        If there is none, or more than one.
    """
    trials = study.committed() if study.folder.exists("study.json") else []
    ends = at_their_end(trials, ())
    found = [t for t in trials if named == t.trial_id or (named == _short_name(t) and t in ends)]
    if len(found) == 1:
        return found[0]
    if not trials:
        raise UserError(
            f"--adversarial-to {named}: study {study.name} has no finished trial yet; run it "
            "without this option first"
        )
    have = ", ".join(f"{_short_name(t)} ({t.trial_id})" for t in (found or trials)[:4])
    said = "is the name of several finished trials" if found else "is no finished trial"
    raise UserError(f"--adversarial-to {named}: {said} of study {study.name}: {have}, ...")


def plane_plan(info: Mapping[str, Any], adversarial: Sequence[Anchors] = ()) -> PlanePlan:
    """The planes of a study as ``study.json`` has them."""
    planes, pictures = info["planes"], info["pictures"]
    chosen = tuple((a, b, c) for a, b, c in planes["chosen"])
    noise = planes.get("noise")
    ids = [*pictures["plane_ids"], *plane_ids_of("chosen", len(chosen))]
    return PlanePlan(
        source=PlaneSource(
            planes["seed"],
            chosen,
            tuple(adversarial),
            NoiseConfig(**noise) if noise else None,
            published=info.get("published", False),
        ),
        counts=planes["counts"],
        resolution=planes["resolution"],
        extent=planes["extent"],
        pictures=tuple(ids),
        picture_resolution=pictures["resolution"],
        picture_extent=pictures["extent"],
        line_images=planes.get("line_images", 0),
    )


def adversarial_planes(study: Study, planned: Mapping[str, Any], dataset: Dataset) -> list[Anchors]:
    """Anchors of a study's adversarial planes: those it has, and what is new against its trial.

    They are stored as they are: the arithmetic of an attack differs from machine to machine.

    Parameters
    ----------
    planned
        What ``study.json`` is to say.
    """
    info = planned["planes"]
    count = info["counts"].get("adversarial", 0)
    found = list(_stored_adversarial(study, dataset))[:count] if count else []
    if len(found) < count:
        model = load_model(study, study.trial(info["adversarial_to"]), dataset)
        attack = PUBLISHED if planned.get("published") else FIRST
        cpu = torch.device("cpu")
        found += [
            adversarial_anchors(model, dataset, number, info["seed"], cpu, attack)
            for number in range(len(found), count)
        ]
    return found


def write_planes(study: Study, dataset: Dataset, plan: PlanePlan) -> None:
    """Store which planes there are; a set that has grown replaces the smaller one."""
    stored = _stored_planes(study)
    ids = {*plan.score_planes, *plan.pictures}
    if ids <= stored:
        return
    planes: list[dict[str, Any]] = []
    anchors: list[dict[str, Any]] = []
    for plane_id in sorted(ids | stored):
        drawn = plane_anchors(dataset, plane_id, plan.source)
        planes.append(_plane_row(dataset, plane_id, drawn, plan.source.seed))
        anchors += _anchor_rows(plane_id, drawn)
    study.write_bytes(
        "anchors.parquet", parquet_bytes(pa.Table.from_pylist(anchors, schema=ANCHORS))
    )
    study.write_bytes("planes.parquet", parquet_bytes(pa.Table.from_pylist(planes, schema=PLANES)))


def _stored_planes(study: Study) -> set[int]:
    """Ids of the planes that are stored with their anchors; none if one of the two is damaged."""
    try:
        study.read_table("anchors.parquet")
        return set(study.read_table("planes.parquet")["plane_id"].to_pylist())
    except OSError:
        return set()


def _plane_row(dataset: Dataset, plane_id: int, drawn: Anchors, seed: int) -> dict[str, Any]:
    return {
        "plane_id": plane_id,
        "kind": plane_kind(plane_id),
        "image_ids": list(drawn.image_ids),
        "anchor_classes": list(drawn.classes),
        "coordinates": anchors_frame(dataset, drawn).anchors.ravel().tolist(),
        "seed": seed,
    }


def _anchor_rows(plane_id: int, drawn: Anchors) -> Iterator[dict[str, Any]]:
    """The planes' images as PNGs, for whoever wants to look; exact where no seed gives them."""
    exact = plane_kind(plane_id) == "adversarial"
    for position, image in enumerate(drawn.images):
        yield {
            "plane_id": plane_id,
            "position": position,
            "png": png_bytes(image),
            "pixels": image.tobytes() if exact else None,
        }


def _stored_adversarial(study: Study, dataset: Dataset) -> Iterator[Anchors]:
    if not study.folder.exists("anchors.parquet"):
        return
    planes = {row["plane_id"]: row for row in study.read_table("planes.parquet").to_pylist()}
    rows = [row for row in study.read_table("anchors.parquet").to_pylist() if row["pixels"]]
    rows.sort(key=lambda row: (row["plane_id"], row["position"]))
    for at in range(0, len(rows), 3):
        about = planes[rows[at]["plane_id"]]
        pixels = b"".join(row["pixels"] for row in rows[at : at + 3])
        images = np.frombuffer(pixels, np.uint8).reshape(3, *dataset.input_shape)
        yield Anchors(tuple(about["image_ids"]), tuple(about["anchor_classes"]), images)


def _short_name(trial: CommittedTrial) -> str:
    config = trial.config
    member = config.weights_seed if isinstance(config, TrialConfig) else config.member
    return f"{config.name}:{member}"
