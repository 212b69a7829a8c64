"""A real but tiny double-descent study, trained and scored without Ray."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

from dbray.config import NoiseConfig, TrainingConfig, TrialConfig
from dbray.datasets import Dataset
from dbray.jobs.agreement import AgreementJob
from dbray.jobs.distillation import DistillationJob
from dbray.jobs.fragmentation import FragmentationJob
from dbray.jobs.margins import LinesJob
from dbray.jobs.scope import scope_of
from dbray.jobs.similarity import SimilarityJob
from dbray.planes import plane_ids_of
from dbray.store import Study, create_or_extend
from dbray.study.planes import plane_plan, write_planes
from dbray.trial import Execution, PlanePlan, run_trials, same_training

JOBS = (AgreementJob, FragmentationJob, SimilarityJob, DistillationJob, LinesJob)
KINDS = ("test", "train", "train_correct", "train_mislabelled")
NOISE = NoiseConfig(0.2)
RECIPE = TrainingConfig(
    epochs=60,
    batch_size=2048,
    optimizer="adam",
    learning_rate=0.03,
    weight_decay=0.0,
    schedule="constant",
    crop_padding=0,
    flip=False,
)


def grid(
    dataset: Dataset,
    *,
    widths: Iterable[int] = (2, 6, 24),
    noises: Iterable[NoiseConfig | None] = (None, NOISE),
    seeds: Iterable[int] = (0, 1),
    stops: Iterable[int | None] = (20, None),
) -> list[TrialConfig]:
    config = TrialConfig("digits", dataset.fingerprint, "mlp", training=RECIPE)
    return [
        replace(config, width=w, noise=n, weights_seed=s, data_seed=s, stop_epoch=stop)
        for w in widths
        for n in noises
        for s in seeds
        for stop in stops
    ]


def described(dataset: Dataset, *, planes: int = 4, line_images: int = 3) -> dict:
    pictured = [plane_ids_of(kind, 1).start for kind in KINDS if kind != "train"]
    return {
        "study": "widths",
        "title": "Where does a network just fit its labels?",
        "dataset": {
            "name": "digits",
            "fingerprint": dataset.fingerprint,
            "class_names": list(dataset.class_names),
            "input_shape": list(dataset.input_shape),
            "train_images": len(dataset.train_labels),
            "test_images": len(dataset.test_labels),
            "mean": list(dataset.mean),
            "std": list(dataset.std),
        },
        "planes": {
            "seed": 0,
            "resolution": 12,
            "extent": 0.1,
            "counts": dict.fromkeys(KINDS, planes),
            "adversarial_to": None,
            "chosen": [],
            "noise": asdict(NOISE),
            "line_images": line_images,
        },
        "pictures": {"plane_ids": pictured, "resolution": 16, "extent": 0.5},
        "group_by": ["architecture", "noise", "stop_epoch"],
        "versions": {"dbray": "0.1.0"},
    }


def write_width_study(storage: Path, dataset: Dataset, configs: list[TrialConfig]) -> Study:
    """Train, label, commit and score the configs."""
    study = create_or_extend(str(storage), "widths", described(dataset))
    plan = plane_plan(study.info)
    write_planes(study, dataset, plan)
    train_all(study, dataset, configs, plan)
    scope = scope_of(study, study.committed())
    for kind in JOBS:
        job = kind(study, scope)
        job.write(map(job.work, job.items))
    return study


def train_all(study: Study, dataset: Dataset, configs: list[TrialConfig], plan: PlanePlan) -> None:
    by_training: dict[object, list[TrialConfig]] = {}
    for config in configs:
        by_training.setdefault(same_training(config), []).append(config)
    for together in by_training.values():
        for _ in run_trials(study, together, dataset, plan, Execution()):
            pass
