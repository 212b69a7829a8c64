"""A small study with invented but plausible results, written through the real store.

Nothing is trained: label maps are Voronoi-like regions whose borders move with the seed, by an
amount that belongs to the architecture; the score tables follow from the same amounts.
"""

import io
from collections.abc import Mapping, Sequence
from itertools import combinations, combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from dbray.config import TrainingConfig, TrialConfig
from dbray.store import Study, create_or_extend
from dbray.store.schemas import (
    AGREEMENT,
    AGREEMENT_BY_GROUP,
    ANCHORS,
    FRAGMENTATION,
    HISTORY,
    PLANES,
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
DIGITS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
PLANE_IDS = (0, 1, 1_000_000)
FAILURE = "loss is not finite in epoch 3"


def write_synthetic_study(
    storage: Path,
    name: str = "synthetic",
    *,
    architectures: Mapping[str, float] = ARCHITECTURES,
    seeds: Sequence[int] = (0, 1, 2),
    class_names: Sequence[str] = DIGITS,
    epochs: int = 12,
    resolution: int = 100,
    failures: Sequence[str] = ("vit",),
    title: str = "Architectures and seeds",
) -> Study:
    """Write the study and give it back."""
    described = _described(class_names, resolution, title)
    study = create_or_extend(str(storage), name, described)
    rng = np.random.default_rng(7)
    _write_planes(study, rng, len(class_names))
    trials = [(a, s, _config(a, s, epochs)) for a in architectures for s in seeds]
    for architecture, seed, config in trials:
        agreement = architectures[architecture]
        _write_trial(study, config, agreement, rng, (len(class_names), resolution, seed))
    for architecture in failures:
        study.record_failure(_config(architecture, 99, epochs), FAILURE)
    _write_scores(study, trials, architectures, rng)
    _write_invocation(study, len(trials))
    return study


def _described(class_names: Sequence[str], resolution: int, title: str) -> dict[str, Any]:
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
            "counts": {"test": 60, "train": 60},
        },
        "pictures": {"plane_ids": list(PLANE_IDS), "resolution": resolution, "extent": 0.5},
        "group_by": ["architecture"],
        "versions": {"dbray": "0.1.0", "torch": "2.14.0", "ray": "2.60.0"},
    }


def _config(architecture: str, seed: int, epochs: int) -> TrialConfig:
    name, _, width = architecture.partition("@")
    rate = 0.002 if name in {"vit", "mixer"} else 0.01
    return TrialConfig(
        dataset="digits",
        dataset_fingerprint="5f" * 32,
        architecture=name,
        width=int(width or 0),
        training=TrainingConfig(epochs=epochs, learning_rate=rate, optimizer="adamw"),
        weights_seed=seed,
        data_seed=seed,
    )


def _coordinates(plane_id: int) -> np.ndarray:
    rng = np.random.default_rng([3, plane_id])
    base = 10 + 4 * rng.random()
    apex = (base * rng.uniform(0.3, 0.7), base * rng.uniform(0.75, 0.95))
    return np.array([[0, 0], [base, 0], apex], np.float32)


def _anchor_classes(plane_id: int, classes: int) -> list[int]:
    return np.random.default_rng([5, plane_id]).choice(classes, 3, replace=classes < 3).tolist()


def _write_planes(study: Study, rng: np.random.Generator, classes: int) -> None:
    rows, anchors = [], []
    for plane_id in PLANE_IDS:
        rows.append(
            {
                "plane_id": plane_id,
                "kind": "test" if plane_id < 1_000_000 else "train",
                "image_ids": rng.choice(360, 3, replace=False).tolist(),
                "anchor_classes": _anchor_classes(plane_id, classes),
                "coordinates": _coordinates(plane_id).ravel().tolist(),
                "seed": 0,
            }
        )
        for position in range(3):
            png = io.BytesIO()
            pixels = (255 * rng.random((8, 8)) ** 2).astype(np.uint8)
            Image.fromarray(pixels).save(png, "PNG")
            row = {"plane_id": plane_id, "position": position, "png": png.getvalue()}
            anchors.append(row)
    study.write_bytes("planes.parquet", parquet_bytes(pa.Table.from_pylist(rows, schema=PLANES)))
    study.write_bytes(
        "anchors.parquet", parquet_bytes(pa.Table.from_pylist(anchors, schema=ANCHORS))
    )


def _label_map(
    plane_id: int, agreement: float, rng: np.random.Generator, classes: int, resolution: int
) -> np.ndarray:
    """Nearest of some sites, seen through a smooth warp; the anchors keep their classes."""
    anchors = _coordinates(plane_id)
    low, high = anchors.min(axis=0), anchors.max(axis=0)
    low, high = low - 0.5 * (high - low), high + 0.5 * (high - low)
    shared = np.random.default_rng([11, plane_id])
    others = shared.uniform(low, high, (7, 2))
    of_class = shared.integers(classes, size=7)
    sites = np.concatenate([anchors, others + (1 - agreement) * rng.normal(0, 9, (7, 2))])
    labels = np.concatenate([_anchor_classes(plane_id, classes), of_class])
    axes = [np.linspace(low[i], high[i], resolution) for i in (0, 1)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    for _ in range(4):
        wave, phase = rng.normal(0, 0.5, (2, 2)), rng.uniform(0, 6.28, 2)
        points = points + (1 - agreement) * 2.2 * np.sin(points @ wave + phase)
    distance = np.linalg.norm(points[:, :, None] - sites, axis=-1)
    distance[:, :, 3:] *= 1.15
    dtype = np.uint8 if classes <= 256 else np.uint16
    return labels[distance.argmin(axis=-1)].astype(dtype)


def _write_trial(
    study: Study,
    config: TrialConfig,
    agreement: float,
    rng: np.random.Generator,
    shape: tuple[int, int, int],
) -> None:
    classes, resolution, _ = shape
    maps = [_label_map(p, agreement, rng, classes, resolution) for p in PLANE_IDS]
    pictures = label_maps_table(config.trial_id, PLANE_IDS, maps, classes=classes, extent=0.5)
    history = _history(config.training.epochs, agreement, rng)
    files = {
        "history.parquet": parquet_bytes(pa.Table.from_pylist(history, schema=HISTORY)),
        "pictures.parquet": parquet_bytes(pictures),
    }
    last = history[-1]
    metrics = {
        "test_accuracy": last["test_accuracy"],
        "train_accuracy": last["train_accuracy"],
        "train_loss": last["train_loss"],
        "parameters": 20_000 + 1000 * len(config.architecture),
        "train_seconds": last["seconds"],
        "label_seconds": 1.5,
        "device": "cpu",
    }
    study.commit(config, files, metrics=metrics, planes={"test": 2, "train": 1}, pictures=PLANE_IDS)


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


def _alike(a: str, b: str, architectures: Mapping[str, float]) -> float:
    if a == b:
        return architectures[a]
    base = min(architectures[a], architectures[b])
    return base - (0.04 if {a, b} <= CONVOLUTIONAL else 0.12)


def _write_scores(
    study: Study,
    trials: Sequence[tuple[str, int, TrialConfig]],
    architectures: Mapping[str, float],
    rng: np.random.Generator,
) -> None:
    pairs = []
    for (arch_a, _, a), (arch_b, _, b) in combinations(trials, 2):
        points = 60 * 2500
        share = np.clip(_alike(arch_a, arch_b, architectures) + rng.normal(0, 0.012), 0, 1)
        trial_a, trial_b = sorted((a.trial_id, b.trial_id))
        agreements = int(share * points)
        value = agreements / points
        counts = {"planes": 60, "points": points, "agreements": agreements, "agreement": value}
        corrected = {"kappa": (value - 0.12) / 0.88, "jaccard": value / (2 - value)}
        pairs.append(
            {"trial_a": trial_a, "trial_b": trial_b, "kind": "test", **counts, **corrected}
        )
    seeds = len(trials) // len(architectures)
    groups = [
        _group_row(a, b, _alike(a, b, architectures), seeds)
        for a, b in combinations_with_replacement(architectures, 2)
        if a != b or seeds > 1
    ]
    fragments = [
        _fragment_row(config.trial_id, kind, plane, architectures[arch], rng)
        for arch, _, config in trials
        for kind, first in (("test", 0), ("train", 1_000_000))
        for plane in range(first, first + 60)
    ]
    for name, rows, schema in (
        ("agreement", pairs, AGREEMENT),
        ("agreement_by_group", groups, AGREEMENT_BY_GROUP),
        ("fragmentation", fragments, FRAGMENTATION),
    ):
        study.write_bytes(
            f"scores/{name}.parquet", parquet_bytes(pa.Table.from_pylist(rows, schema=schema))
        )


def _group_row(group_a: str, group_b: str, value: float, seeds: int) -> dict[str, Any]:
    pairs = seeds * (seeds - 1) // 2 if group_a == group_b else seeds**2
    return {
        "group_a": group_a,
        "group_b": group_b,
        "kind": "test",
        "agreement": value,
        "low": value - 0.016,
        "high": value + 0.014,
        "kappa": (value - 0.12) / 0.88,
        "jaccard": value / (2 - value),
        "pairs": pairs,
        "planes": 60,
    }


def _fragment_row(
    trial_id: str, kind: str, plane_id: int, agreement: float, rng: np.random.Generator
) -> dict[str, Any]:
    present = int(rng.integers(3, 6))
    components = present + int(rng.poisson(8 * (1.02 - agreement)))
    about = {"trial_id": trial_id, "kind": kind, "plane_id": plane_id}
    return {**about, "components": components, "classes_present": present}


def _write_invocation(study: Study, trials: int) -> None:
    import json

    record = {
        "command": "python sweeps/arch_repro.py --storage runs --name synthetic",
        "started": "2025-01-02T03:04:05+00:00",
        "seconds": 187.4,
        "hardware": {"cpu": "an invented CPU", "cores": 2, "gpus": [], "memory_gb": 24.0},
        "trials_run": trials,
    }
    study.write_bytes("invocations/0001.json", json.dumps(record).encode())
