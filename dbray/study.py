"""One study from its options to its report: train what is missing, score, report."""

import time
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console

from analysis.report import write_report
from dbray.architectures import build_model, parse_architecture
from dbray.command_line import open_in_browser
from dbray.config import SizeName, TrainingConfig, TrialConfig
from dbray.datasets import Dataset, load_dataset
from dbray.jobs import is_scored, score
from dbray.options import StudyOptions
from dbray.planes import PlaneSet, anchor_inputs, draw_planes, plane_frame, plane_ids_of
from dbray.provenance import library_versions, record_invocation
from dbray.recipes import recipe
from dbray.store import Study, create_or_extend
from dbray.store.schemas import ANCHORS, PLANES, parquet_bytes
from dbray.sweep import Resources, check_resources, missing_work, ray_session, run_sweep
from dbray.thumbnails import png_bytes
from dbray.trial import PlanePlan


def run_study(
    options: StudyOptions,
    *,
    title: str,
    dataset: Dataset,
    configs: Sequence[TrialConfig],
    group_by: Sequence[str],
) -> int:
    """Bring a study to where its options want it.

    Parameters
    ----------
    title
        The question that the study asks, for the report.
    configs
        Every grid point; those that are committed already are not trained again.
    group_by
        Config fields that put trials into one group.

    Returns
    -------
    0, or 1 if trials are left over that could not be finished.
    """
    started, clock = time.time(), time.monotonic()
    console = Console(stderr=True, highlight=False)
    check_resources(_resources(options))
    plan = plane_plan(options)
    _check_architectures(configs, dataset)
    described = _describe(options, title, dataset, plan, group_by)
    draw_planes(dataset, list(plan.pictures) or [0], plan.seed)  # refuse before anything is written
    study = create_or_extend(options.storage, options.name, described)
    info = study.info  # an earlier command may have asked for more planes
    plan = replace(
        plan, counts=info["planes"]["counts"], pictures=tuple(info["pictures"]["plane_ids"])
    )
    _write_planes(study, dataset, plan)
    _discard_damaged(study, console, retry_failed=options.retry_failed)
    work = missing_work(study, configs, plan)
    console.print(f"study {study.location}: {len(configs)} trials, {len(work)} to do", markup=False)
    left_over: list[str] = []
    trained = 0.0
    if work or not is_scored(study):
        with ray_session():
            if work:
                left_over = run_sweep(
                    study,
                    work,
                    dataset,
                    plan,
                    _resources(options),
                    deterministic=options.deterministic,
                )
            trained = time.monotonic() - clock
            console.print("scoring", markup=False)
            score(study)
    if work:
        record_invocation(study, started, time.monotonic() - clock, trained, len(work))
    location = write_report(study)
    for line in left_over:
        console.print(f"not finished: {line}", markup=False)
    print(f"report: {location}")  # noqa: T201
    if options.open:
        open_in_browser(location)
    return 1 if left_over else 0


def study_dataset(options: StudyOptions) -> Dataset:
    """Load the options' data set."""
    return load_dataset(options.dataset, options.data_dir)


def plane_plan(options: StudyOptions) -> PlanePlan:
    """The planes that the options ask for."""
    return PlanePlan(
        seed=options.plane_seed,
        counts={"test": options.planes, "train": options.planes},
        resolution=options.resolution,
        pictures=tuple(plane_ids_of("test", options.picture_planes)),
        picture_resolution=options.picture_resolution,
    )


def training_config(options: StudyOptions, architecture: str, dataset: Dataset) -> TrainingConfig:
    """The architecture's recipe with what the options override."""
    base = recipe(architecture, options.size, dataset.name, min(dataset.input_shape[1:]))
    names = {field.name for field in fields(TrainingConfig)} & {f.name for f in fields(options)}
    chosen = {name: getattr(options, name) for name in names}
    return replace(base, **{name: value for name, value in chosen.items() if value is not None})


def _resources(options: StudyOptions) -> Resources:
    return Resources(
        options.cpus_per_trial,
        options.gpus_per_trial,
        options.max_concurrent,
        options.max_failures,
    )


def _check_architectures(configs: Sequence[TrialConfig], dataset: Dataset) -> None:
    """Build every kind of model once, so that one that does not fit is refused before any trial."""
    kinds: set[tuple[str, int, SizeName]] = {(c.architecture, c.width, c.size) for c in configs}
    for name, width, size in sorted(kinds):
        build_model(
            name,
            input_shape=dataset.input_shape,
            classes=dataset.classes,
            width=width,
            size=size,
            seed=0,
        )


def _describe(
    options: StudyOptions,
    title: str,
    dataset: Dataset,
    plan: PlanePlan,
    group_by: Sequence[str],
) -> dict[str, Any]:
    """Contents of ``study.json``."""
    return {
        "study": options.name,
        "title": title,
        "dataset": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "class_names": list(dataset.class_names),
            "input_shape": list(dataset.input_shape),
            "train_images": len(dataset.train_labels),
            "test_images": len(dataset.test_labels),
            "mean": list(dataset.mean),
            "std": list(dataset.std),
        },
        "planes": {
            "seed": plan.seed,
            "resolution": plan.resolution,
            "extent": plan.extent,
            "counts": dict(plan.counts),
        },
        "pictures": {
            "resolution": plan.picture_resolution,
            "extent": plan.picture_extent,
            "plane_ids": list(plan.pictures),
        },
        "group_by": list(group_by),
        "versions": library_versions(),
    }


def _write_planes(study: Study, dataset: Dataset, plan: PlanePlan) -> None:
    """Store which planes there are; a set that has grown replaces the smaller one."""
    stored = (
        study.read_table("planes.parquet")["plane_id"].to_pylist()
        if study.folder.exists("planes.parquet")
        else []
    )
    ids = {i for kind, count in plan.counts.items() for i in plane_ids_of(kind, count)}
    if ids <= set(stored) and study.folder.exists("anchors.parquet"):
        return
    planes = draw_planes(dataset, sorted(ids | set(stored)), plan.seed)
    frames = [plane_frame(anchor_inputs(dataset, planes, i)) for i in range(len(planes.plane_ids))]
    table = pa.Table.from_pydict(
        {
            "plane_id": planes.plane_ids,
            "kind": planes.kinds,
            "image_ids": planes.image_ids.tolist(),
            "anchor_classes": planes.anchor_classes.tolist(),
            "coordinates": [frame.anchors.ravel().tolist() for frame in frames],
            "seed": np.full(len(planes.plane_ids), plan.seed, np.int64),
        },
        schema=PLANES,
    )
    study.write_bytes("anchors.parquet", parquet_bytes(_anchors(dataset, planes)))
    study.write_bytes("planes.parquet", parquet_bytes(table))


def _anchors(dataset: Dataset, planes: PlaneSet) -> pa.Table:
    """The planes' images as PNGs, for whoever wants to look at them."""
    rows = [
        {"plane_id": plane_id, "position": position, "png": png_bytes(image)}
        for plane_id, kind, image_ids in zip(
            planes.plane_ids.tolist(), planes.kinds, planes.image_ids, strict=True
        )
        for position, image in enumerate(getattr(dataset, f"{kind}_images")[image_ids])
    ]
    return pa.Table.from_pylist(rows, schema=ANCHORS)


def _discard_damaged(study: Study, console: Console, *, retry_failed: bool) -> None:
    """Uncommit trials whose files are not what was committed; they are done again."""
    inventory = study.inventory()
    damaged = inventory.damaged | study.wrong_checksums(inventory.committed)
    for trial_id, problem in damaged.items():
        console.print(f"{problem}; this trial is done again", markup=False)
        study.discard(trial_id)
    if retry_failed:
        for trial in inventory.failed:
            study.discard(trial.trial_id)


def all_configs(
    options: StudyOptions, dataset: Dataset, architectures: Sequence[str]
) -> list[TrialConfig]:
    """Grid of architectures (``name`` or ``name@width``) and seeds."""
    configs = []
    for text in architectures:
        name, width = parse_architecture(text)
        training = training_config(options, name, dataset)
        configs += [
            TrialConfig(
                dataset=dataset.name,
                dataset_fingerprint=dataset.fingerprint,
                architecture=name,
                width=width,
                size=options.size,
                training=training,
                weights_seed=seed,
                data_seed=seed,
            )
            for seed in range(options.seeds)
        ]
    return configs
