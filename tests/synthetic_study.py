"""A small study with invented but plausible results, written through the real store.

Nothing is trained: label maps are Voronoi-like regions whose borders move with the seed, by an
amount that belongs to the group of models; the score tables follow from the same amounts.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from dbray.config import (
    AnyConfig,
    CheckpointConfig,
    DistillationConfig,
    TrainingConfig,
    TrialConfig,
    group_label,
)
from dbray.planes import plane_ids_of, plane_kind
from dbray.store import Study, create_or_extend
from dbray.store.schemas import (
    AGREEMENT,
    AGREEMENT_BY_GROUP,
    ANCHORS,
    DISTILLATION,
    FRAGMENTATION,
    FRAGMENTATION_BY_GROUP,
    HISTORY,
    LINE_MEANS,
    LINES_BY_GROUP,
    PLANES,
    SIMILARITY,
    label_maps_table,
    parquet_bytes,
)

# Agreement within an architecture, and the family by whose likeness pairs agree.
ARCHITECTURES = {
    "vgg": 0.82,
    "resnet": 0.84,
    "densenet": 0.75,
    "wideresnet": 0.86,
    "fcnet": 0.926,
    "vit": 0.63,
    "mixer": 0.74,
}
CONVOLUTIONAL = {"vgg", "resnet", "densenet", "wideresnet"}
OPTIMIZERS = {
    f"{architecture}/{optimizer}": value + more
    for architecture, value in (("resnet", 0.8), ("vit", 0.65))
    for optimizer, more in (("sgd", 0.0), ("adam", -0.05), ("sam", 0.08))
}
STUDENTS = {
    "resnet/labels": 0.84,
    "vgg/labels": 0.82,
    "vgg/kl at 4 from resnet": 0.83,
    "vgg/hard from resnet": 0.81,
    "vit/labels": 0.65,
    "vit/kl at 4 from resnet": 0.70,
}
CHECKPOINTS = {"brought": 0.8, "trained elsewhere": 0.7}
DIGITS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
KINDS = ("test", "train")
FAILURE = "loss is not finite in epoch 3"
PLANES_A_KIND = 60


@dataclass(frozen=True)
class Trial:
    """A trial with the agreement of its group."""

    label: str
    config: AnyConfig
    agreement: float


def write_synthetic_study(
    storage: Path,
    name: str = "synthetic",
    *,
    groups: Mapping[str, float] = ARCHITECTURES,
    group_by: Sequence[str] = ("architecture",),
    seeds: Sequence[int] = (0, 1, 2),
    class_names: Sequence[str] = DIGITS,
    kinds: Sequence[str] = KINDS,
    confidence: bool = False,
    epochs: int = 12,
    resolution: int = 100,
    failures: Sequence[str] = (),
    title: str = "Architectures and seeds",
) -> Study:
    """Write the study and give it back.

    ``groups`` maps the label of each group of models to the agreement within it.
    """
    plane_ids = pictured(kinds)
    described = _described(class_names, resolution, title, kinds, group_by)
    study = create_or_extend(str(storage), name, described)
    rng = np.random.default_rng(7)
    _write_planes(study, rng, len(class_names), plane_ids)
    trials = [
        Trial(group_label(config, group_by), config, value)
        for label, value in groups.items()
        for config in (_config(label, group_by, seed, epochs) for seed in seeds)
    ]
    assert {trial.label for trial in trials} == set(groups)
    for trial in trials:
        shape = len(class_names), resolution
        _write_trial(study, trial, rng, shape, plane_ids, confidence=confidence)
    for label in failures:
        study.record_failure(_config(label, group_by, 99, epochs), FAILURE)
    _write_scores(study, trials, groups, kinds, rng)
    _write_invocation(study, len(trials))
    return study


def pictured(kinds: Sequence[str]) -> list[int]:
    """Ids of the planes with pictures: two of the first kind, one of every other."""
    return [i for at, kind in enumerate(kinds) for i in plane_ids_of(kind, 1 if at else 2)]


def _described(
    class_names: Sequence[str],
    resolution: int,
    title: str,
    kinds: Sequence[str],
    group_by: Sequence[str],
) -> dict[str, Any]:
    return {
        "study": "synthetic",
        "title": title,
        "dataset": {
            "name": "digits",
            "fingerprint": "5f" * 32,
            "class_names": list(class_names),
            "input_shape": [1, 8, 8],
            "train_images": 1437,
            "test_images": 360,
            "mean": [0.3],
            "std": [0.37],
        },
        "planes": {
            "seed": 0,
            "resolution": 50,
            "extent": 0.1,
            "counts": dict.fromkeys(kinds, PLANES_A_KIND),
            "adversarial_to": None,
            "chosen": [],
        },
        "pictures": {"plane_ids": pictured(kinds), "resolution": resolution, "extent": 0.5},
        "group_by": list(group_by),
        "versions": {"dbray": "0.1.0", "torch": "2.14.0", "ray": "2.60.0"},
    }


def _config(label: str, group_by: Sequence[str], seed: int, epochs: int) -> AnyConfig:
    """Config of a trial of the group that this label names."""
    parts = dict(zip(group_by, label.split("/"), strict=True))
    data = {"dataset": "digits", "dataset_fingerprint": "5f" * 32}
    if "group" in parts:
        named = {"model": f"{label} {seed}", "group": label, "architecture": "timm:resnet18"}
        return CheckpointConfig(**data, **named, weights_sha256=f"{label} {seed}")
    name, _, width = parts["architecture"].partition("@")
    training = TrainingConfig(
        epochs=epochs,
        learning_rate=0.002 if name in {"vit", "mixer"} else 0.01,
        optimizer=parts.get("training.optimizer", "adamw"),
    )
    about = {"architecture": name, "width": int(width or 0), "training": training}
    config = TrialConfig(**data, **about, weights_seed=seed, data_seed=seed)
    learned, _, teacher = parts.get("distillation", "").partition(" from ")
    if not teacher:
        return config
    loss = learned.split()[0]
    taught_by = _config(f"{teacher}/labels", group_by, seed, epochs)
    return replace(config, distillation=DistillationConfig(taught_by.trial_id, teacher, loss))


def _coordinates(plane_id: int) -> np.ndarray:
    rng = np.random.default_rng([3, plane_id])
    base = 10 + 4 * rng.random()
    apex = (base * rng.uniform(0.3, 0.7), base * rng.uniform(0.75, 0.95))
    return np.array([[0, 0], [base, 0], apex], np.float32)


def _anchor_classes(plane_id: int, classes: int) -> list[int]:
    """Classes of three images; of one image and its copies; of none."""
    rng = np.random.default_rng([5, plane_id])
    if plane_kind(plane_id) == "uniform":
        return [-1, -1, -1]
    if plane_kind(plane_id) == "gaussian":
        return [int(rng.integers(classes))] * 3
    return rng.choice(classes, 3, replace=classes < 3).tolist()


def _write_planes(
    study: Study, rng: np.random.Generator, classes: int, plane_ids: Sequence[int]
) -> None:
    rows, anchors = [], []
    for plane_id in plane_ids:
        anchor_classes = _anchor_classes(plane_id, classes)
        image_ids = rng.choice(360, 3, replace=False).tolist()
        rows.append(
            {
                "plane_id": plane_id,
                "kind": plane_kind(plane_id),
                "image_ids": image_ids if anchor_classes[0] >= 0 else [-1, -1, -1],
                "anchor_classes": anchor_classes,
                "coordinates": _coordinates(plane_id).ravel().tolist(),
                "seed": 0,
            }
        )
        for position in range(3):
            png = io.BytesIO()
            pixels = (255 * rng.random((8, 8)) ** 2).astype(np.uint8)
            Image.fromarray(pixels).save(png, "PNG")
            row = {"plane_id": plane_id, "position": position, "png": png.getvalue()}
            anchors.append({**row, "pixels": None})
    study.write_bytes("planes.parquet", parquet_bytes(pa.Table.from_pylist(rows, schema=PLANES)))
    study.write_bytes(
        "anchors.parquet", parquet_bytes(pa.Table.from_pylist(anchors, schema=ANCHORS))
    )


def _label_map(
    plane_id: int, agreement: float, rng: np.random.Generator, classes: int, resolution: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest of some sites, seen through a smooth warp, and how near; anchors keep their classes.

    The confidence is least where the two nearest sites are equally far.
    """
    anchors = _coordinates(plane_id)
    low, high = anchors.min(axis=0), anchors.max(axis=0)
    low, high = low - 0.5 * (high - low), high + 0.5 * (high - low)
    shared = np.random.default_rng([11, plane_id])
    others = shared.uniform(low, high, (7, 2))
    of_class = shared.integers(classes, size=7)
    sites = np.concatenate([anchors, others + (1 - agreement) * rng.normal(0, 9, (7, 2))])
    labels = np.concatenate([np.maximum(_anchor_classes(plane_id, classes), 0), of_class])
    axes = [np.linspace(low[i], high[i], resolution) for i in (0, 1)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    for _ in range(4):
        wave, phase = rng.normal(0, 0.5, (2, 2)), rng.uniform(0, 6.28, 2)
        points = points + (1 - agreement) * 2.2 * np.sin(points @ wave + phase)
    distance = np.linalg.norm(points[:, :, None] - sites, axis=-1)
    distance[:, :, 3:] *= 1.15
    nearest, second = np.sort(distance, axis=-1)[..., :2].transpose(2, 0, 1)
    confidence = np.rint(255 / (1 + np.exp(nearest - second))).astype(np.uint8)
    dtype = np.uint8 if classes <= 256 else np.uint16
    return labels[distance.argmin(axis=-1)].astype(dtype), confidence


def _write_trial(
    study: Study,
    trial: Trial,
    rng: np.random.Generator,
    shape: tuple[int, int],
    plane_ids: Sequence[int],
    *,
    confidence: bool,
) -> None:
    classes, resolution = shape
    drawn = [_label_map(p, trial.agreement, rng, classes, resolution) for p in plane_ids]
    pictures = label_maps_table(
        trial.config.trial_id,
        plane_ids,
        [labels for labels, _ in drawn],
        classes=classes,
        extent=0.5,
        confidences=[shade for _, shade in drawn] if confidence else (),
    )
    files = {"pictures.parquet": parquet_bytes(pictures)}
    metrics = {
        "test_accuracy": 0.99 - 0.15 * (1 - trial.agreement) ** 1.5 + rng.normal(0, 0.006),
        "parameters": 20_000 + 1000 * len(trial.config.architecture),
        "label_seconds": 1.5,
        "device": "cpu",
    }
    if isinstance(trial.config, TrialConfig):
        history = _history(trial.config.training.epochs, trial.agreement, rng)
        rows = pa.Table.from_pylist(history, schema=HISTORY)
        files["history.parquet"] = parquet_bytes(rows)
        names = ("test_accuracy", "train_accuracy", "train_loss")
        metrics |= {name: history[-1][name] for name in names}
        metrics["train_seconds"] = history[-1]["seconds"]
    study.commit(
        trial.config,
        files,
        metrics=metrics,
        planes=dict.fromkeys({plane_kind(i) for i in plane_ids}, PLANES_A_KIND),
        pictures=plane_ids,
        picture_resolution=resolution,
    )


def _history(epochs: int, agreement: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    best = 0.99 - 0.15 * (1 - agreement) ** 1.5
    rows = []
    for epoch in range(1, epochs + 1):
        share = 1 - np.exp(-4 * epoch / epochs)
        test = np.clip(best * share + rng.normal(0, 0.006), 0, 1)
        rows.append(
            {
                "epoch": epoch,
                "train_loss": float(2.3 * (1 - share) ** 1.6 * rng.uniform(0.85, 1.15)),
                "train_accuracy": float(min(test + 0.015 * share, 1.0)),
                "test_accuracy": float(test),
                "seconds": 0.5 * epoch,
            }
        )
    return rows


def _alike(a: str, b: str, groups: Mapping[str, float]) -> float:
    if a == b:
        return groups[a]
    return min(groups[a], groups[b]) - (0.04 if {a, b} <= CONVOLUTIONAL else 0.12)


def _write_scores(
    study: Study,
    trials: Sequence[Trial],
    groups: Mapping[str, float],
    kinds: Sequence[str],
    rng: np.random.Generator,
) -> None:
    """Pairs in the orders of the score jobs: by group and id, and on test images by id alone."""
    by_group = sorted(trials, key=lambda trial: (trial.label, trial.config.trial_id))
    by_id = sorted(trials, key=lambda trial: trial.config.trial_id)
    fragments = [
        _fragment_row(trial.config.trial_id, kind, plane, trial.agreement, rng)
        for trial in trials
        for kind in kinds
        for plane in plane_ids_of(kind, PLANES_A_KIND)
    ]
    seeds = len(trials) // len(groups)
    for name, rows, schema in (
        (
            "agreement",
            [
                _pair_row(a, b, kind, groups, rng)
                for kind in kinds
                for a, b in combinations(by_group, 2)
            ],
            AGREEMENT,
        ),
        (
            "agreement_by_group",
            [
                _group_row(a, b, kind, _alike(a, b, groups), seeds)
                for kind in kinds
                for a, b in combinations_with_replacement(sorted(groups), 2)
                if a != b or seeds > 1
            ],
            AGREEMENT_BY_GROUP,
        ),
        ("fragmentation", fragments, FRAGMENTATION),
        ("fragmentation_by_group", _fragment_means(trials, fragments), FRAGMENTATION_BY_GROUP),
        ("lines", [], LINE_MEANS),
        ("lines_by_group", [], LINES_BY_GROUP),
        (
            "similarity",
            [_similarity_row(a, b, groups, rng) for a, b in combinations(by_id, 2)],
            SIMILARITY,
        ),
        ("distillation", _distillation_rows(groups, seeds), DISTILLATION),
    ):
        write_scores(study, name, rows, schema)


def _fragment_means(
    trials: Sequence[Trial], fragments: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    groups = {trial.config.trial_id: trial.label for trial in trials}
    counts: dict[tuple[str, str], list[int]] = {}
    for row in fragments:
        counts.setdefault((groups[row["trial_id"]], row["kind"]), []).append(row["components"])
    return [
        {
            "group": group,
            "kind": kind,
            "components": np.mean(of_group),
            "components_low": np.mean(of_group) - 0.2,
            "components_high": np.mean(of_group) + 0.2,
            "trials": list(groups.values()).count(group),
            "planes": PLANES_A_KIND,
        }
        for (group, kind), of_group in counts.items()
    ]


def write_scores(
    study: Study, name: str, rows: Sequence[Mapping[str, Any]], schema: pa.Schema
) -> None:
    """Write a score table."""
    table = pa.Table.from_pylist(rows, schema=schema)
    study.write_bytes(f"scores/{name}.parquet", parquet_bytes(table))


def _pair_row(
    a: Trial, b: Trial, kind: str, groups: Mapping[str, float], rng: np.random.Generator
) -> dict[str, Any]:
    points = PLANES_A_KIND * 2500
    share = np.clip(_alike(a.label, b.label, groups) + rng.normal(0, 0.012), 0, 1)
    value = int(share * points) / points
    return {
        "trial_a": a.config.trial_id,
        "trial_b": b.config.trial_id,
        "kind": kind,
        "planes": PLANES_A_KIND,
        "points": points,
        "agreements": int(share * points),
        "agreement": value,
        "kappa": (value - 0.12) / 0.88,
        "jaccard": value / (2 - value),
    }


def _group_row(group_a: str, group_b: str, kind: str, value: float, seeds: int) -> dict[str, Any]:
    value -= 0.2 * (kind == "uniform")
    pairs = seeds * (seeds - 1) // 2 if group_a == group_b else seeds**2
    return {
        "group_a": group_a,
        "group_b": group_b,
        "kind": kind,
        "agreement": value,
        "low": value - 0.016,
        "high": value + 0.014,
        "kappa": (value - 0.12) / 0.88,
        "jaccard": value / (2 - value),
        "pairs": pairs,
        "planes": PLANES_A_KIND,
    }


def _similarity_row(
    a: Trial, b: Trial, groups: Mapping[str, float], rng: np.random.Generator
) -> dict[str, Any]:
    alike = float(np.clip(_alike(a.label, b.label, groups) + rng.normal(0, 0.05), 0, 1))
    return {
        "trial_a": a.config.trial_id,
        "trial_b": b.config.trial_id,
        "images": 360,
        "disagreement": 0.1 * (1 - alike),
        "expected_agreement": 0.93 + 0.02 * rng.random(),
        "error_overlap": 0.5 * alike,
        "js_divergence": 0.2 * (1 - alike),
    }


def _distillation_rows(groups: Mapping[str, float], seeds: int) -> list[dict[str, Any]]:
    rows = []
    for label, value in groups.items():
        student, _, taught = label.partition("/")
        loss, _, teacher = taught.partition(" from ")
        if teacher:
            row = distillation_row(teacher, student, loss.split()[0], value, value - 0.05)
            rows.append({**row, "students": seeds})
    return rows


def distillation_row(
    teacher: str, student: str, loss: str, distilled: float, labels: float, width: float = 0.02
) -> dict[str, Any]:
    """A row of ``distillation`` with intervals that reach so far to both sides."""
    values = {"distilled": distilled, "from_labels": labels, "difference": distilled - labels}
    row: dict[str, Any] = {"teacher": teacher, "student": student, "loss": loss}
    row["temperature"] = 4.0
    for name, value in values.items():
        row |= {name: value, f"{name}_low": value - width, f"{name}_high": value + width}
    return {**row, "students": 3, "planes": PLANES_A_KIND}


def _fragment_row(
    trial_id: str, kind: str, plane_id: int, agreement: float, rng: np.random.Generator
) -> dict[str, Any]:
    present = int(rng.integers(3, 6))
    components = present + int(rng.poisson(8 * (1.02 - agreement)))
    about = {"trial_id": trial_id, "kind": kind, "plane_id": plane_id}
    return {**about, "components": components, "classes_present": present}


def _write_invocation(study: Study, trials: int) -> None:
    record = {
        "command": "python sweeps/arch_repro.py --storage runs --name synthetic",
        "started": "2025-01-02T03:04:05+00:00",
        "seconds": 187.4,
        "hardware": {"cpu": "an invented CPU", "cores": 2, "gpus": [], "memory_gb": 24.0},
        "trials_run": trials,
    }
    study.write_bytes("invocations/0001.json", json.dumps(record).encode())
