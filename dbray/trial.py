"""One trial: train, label the planes, write, commit. No Ray: a plain call on one machine."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import nn

from dbray.architectures import build_model
from dbray.config import TrialConfig, trial_config_from_dict
from dbray.datasets import Dataset
from dbray.labelling import label_planes
from dbray.planes import anchor_inputs, draw_planes, plane_frame, plane_ids_of
from dbray.store import CommittedTrial, Study
from dbray.store.schemas import HISTORY, label_maps_table, parquet_bytes
from dbray.training import EpochRecord, train


@dataclass(frozen=True)
class PlanePlan:
    """Which planes every model of a study labels."""

    seed: int = 0  # of the planes
    counts: Mapping[str, int] = field(default_factory=lambda: {"test": 50, "train": 50})
    resolution: int = 50  # R of the score planes
    extent: float = 0.1  # share by which a score plane reaches past its anchors
    pictures: tuple[int, ...] = ()  # ids of the planes that also get pictures
    picture_resolution: int = 100
    picture_extent: float = 0.5


@dataclass(frozen=True)
class Execution:
    """Where and how a trial runs; none of it is part of its identity."""

    device: str = "cpu"
    threads: int = 1
    deterministic: bool = False


def run_trial(
    study: Study,
    config: TrialConfig,
    dataset: Dataset,
    plan: PlanePlan,
    execution: Execution,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> dict[str, Any]:
    """Train one model, label the plan's planes with it and commit the result.

    Returns
    -------
    The committed metrics.

    Raises
    ------
    TrialFailedError
        If the loss or an output is not finite. Nothing is committed.
    """
    torch.set_num_threads(execution.threads)
    device = torch.device(execution.device)
    model = _build(config, dataset).to(device)
    started = time.perf_counter()
    history = train(
        model,
        dataset,
        config.training,
        data_seed=config.data_seed,
        device=device,
        deterministic=execution.deterministic,
        on_epoch=on_epoch,
    )
    trained = time.perf_counter()
    files = _label(model, config.trial_id, dataset, plan, _all_planes(plan), plan.pictures, device)
    metrics = {
        "train_loss": history[-1].train_loss,
        "train_accuracy": history[-1].train_accuracy,
        "test_accuracy": history[-1].test_accuracy,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "train_seconds": trained - started,
        "label_seconds": time.perf_counter() - trained,
        "device": _device_name(device),
    }
    rows = pa.Table.from_pylist([asdict(record) for record in history], schema=HISTORY)
    weights = {name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}
    files |= {
        "history.parquet": parquet_bytes(rows),
        "model.safetensors": save_safetensors(weights),
    }
    stands = study.commit(
        config, files, metrics=metrics, planes=plan.counts, pictures=plan.pictures
    )
    return {**metrics, "reproduced": stands}


def extend_trial(
    study: Study, trial: CommittedTrial, dataset: Dataset, plan: PlanePlan, execution: Execution
) -> dict[str, Any]:
    """Label the planes that a committed trial has not labelled yet, with its stored weights.

    What it had is kept as it is; the new label maps go to files of their own.
    """
    torch.set_num_threads(execution.threads)
    device = torch.device(execution.device)
    config = trial_config_from_dict(trial.config)
    model = _build(config, dataset)
    model.load_state_dict(load_safetensors(study.read_file(trial, "model.safetensors")))
    model.to(device).eval()
    ids = [i for i in _all_planes(plan) if i not in set(_planes_of(trial.planes))]
    pictures = tuple(i for i in plan.pictures if i not in trial.pictures)
    files = _label(model, trial.trial_id, dataset, plan, ids, pictures, device)
    part = 1 + sum(name.startswith("predictions") for name in trial.files)
    renamed = {name.replace(".parquet", f"-{part}.parquet"): data for name, data in files.items()}
    counts = {
        kind: max(trial.planes.get(kind, 0), plan.counts.get(kind, 0))
        for kind in trial.planes.keys() | plan.counts.keys()
    }
    study.commit(
        config,
        renamed,
        metrics=trial.metrics,
        planes=counts,
        pictures=(*trial.pictures, *pictures),
        extending=trial,
    )
    return trial.metrics


def covers(trial: CommittedTrial, plan: PlanePlan) -> bool:
    """Whether a committed trial has labelled all that the plan asks for."""
    counted = all(trial.planes.get(kind, 0) >= count for kind, count in plan.counts.items())
    return counted and set(plan.pictures) <= set(trial.pictures)


def _build(config: TrialConfig, dataset: Dataset) -> nn.Module:
    return build_model(
        config.architecture,
        input_shape=dataset.input_shape,
        classes=dataset.classes,
        width=config.width,
        size=config.size,
        seed=config.weights_seed,
    )


def _all_planes(plan: PlanePlan) -> list[int]:
    return _planes_of(plan.counts)


def _planes_of(counts: Mapping[Any, int]) -> list[int]:
    return [i for kind, count in counts.items() for i in plane_ids_of(kind, count)]


def _label(
    model: nn.Module,
    trial_id: str,
    dataset: Dataset,
    plan: PlanePlan,
    score_ids: Sequence[int],
    picture_ids: Sequence[int],
    device: torch.device,
) -> dict[str, bytes]:
    """Files with the label maps of these planes; no file for no planes."""
    wanted = {
        "predictions.parquet": (score_ids, plan.resolution, plan.extent),
        "pictures.parquet": (picture_ids, plan.picture_resolution, plan.picture_extent),
    }
    files = {}
    for name, (ids, resolution, extent) in wanted.items():
        if not ids:
            continue
        planes = draw_planes(dataset, ids, plan.seed)
        frames = [plane_frame(anchor_inputs(dataset, planes, i)) for i in range(len(ids))]
        maps = label_planes(
            model,
            frames,
            dataset.input_shape,
            classes=dataset.classes,
            resolution=resolution,
            extent=extent,
            device=device,
        )
        table = label_maps_table(trial_id, list(ids), maps, classes=dataset.classes, extent=extent)
        files[name] = parquet_bytes(table)
    return files


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
