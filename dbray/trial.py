"""One trial: train or load a model, label the planes, write, commit. No Ray: a plain call."""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import nn

from dbray.anchors import PlaneSource, frames_of
from dbray.architectures import build_model
from dbray.config import AnyConfig, CheckpointConfig, TrialConfig
from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.labelling import label_planes, predict
from dbray.objective import Teacher
from dbray.pictures import shade_planes
from dbray.plane_kinds import plane_ids_of
from dbray.store import CommittedTrial, Study
from dbray.store.schemas import HISTORY, label_maps_table, parquet_bytes, predictions_table
from dbray.training import EpochRecord, evaluate_on, train

WEIGHTS = "model.safetensors"
TEST_PREDICTIONS = "test_predictions.parquet"
PROBABILITIES = 2**22  # at most this many are kept of a trial's answers on the test images


@dataclass(frozen=True)
class PlanePlan:
    """Which planes every model of a study labels."""

    source: PlaneSource = field(default_factory=PlaneSource)
    counts: Mapping[str, int] = field(default_factory=lambda: {"test": 50, "train": 50})
    resolution: int = 50  # R of the score planes
    extent: float = 0.1  # share by which a score plane reaches past its anchors
    pictures: tuple[int, ...] = ()  # ids of the planes that also get pictures
    picture_resolution: int = 100
    picture_extent: float = 0.5

    @property
    def score_planes(self) -> list[int]:
        """Ids of all planes that are scored."""
        return plane_ids(self.counts)


@dataclass(frozen=True)
class Execution:
    """Where and how a trial runs; none of it is part of its identity."""

    device: str = "cpu"
    threads: int = 1
    deterministic: bool = False


def plane_ids(counts: Mapping[str, int]) -> list[int]:
    """Ids of so many planes of each kind."""
    return [i for kind, count in counts.items() for i in plane_ids_of(kind, count)]


def run_trial(
    study: Study,
    config: AnyConfig,
    dataset: Dataset,
    plan: PlanePlan,
    execution: Execution,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> dict[str, Any]:
    """Train one model, or load its weights, label the plan's planes with it, commit the result.

    Returns
    -------
    The committed metrics.

    Raises
    ------
    TrialFailedError
        If the loss or an output is not finite. Nothing is committed.
    UserError
        If the weights or the teacher that it needs are not in the study.
    """
    torch.set_num_threads(execution.threads)
    device = torch.device(execution.device)
    model = build(config, dataset)
    if isinstance(config, CheckpointConfig):
        _load_brought(study, config, model)
        model.to(device).eval()
        metrics: dict[str, Any] = {"test_accuracy": evaluate_on(model, dataset, device)}
        files: dict[str, bytes] = {WEIGHTS: _weights_bytes(model)}
    else:
        model.to(device)
        metrics, files = _train(study, config, model, dataset, execution, on_epoch)
    trained = time.perf_counter()
    files |= _label(model, config.trial_id, dataset, plan, plan.score_planes, plan.pictures, device)
    files[TEST_PREDICTIONS] = _test_predictions(model, dataset, device)
    metrics |= {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "label_seconds": time.perf_counter() - trained,
        "device": _device_name(device),
    }
    stands = study.commit(
        config,
        files,
        metrics=metrics,
        planes=plan.counts,
        pictures=plan.pictures,
        picture_resolution=plan.picture_resolution,
    )
    return {**metrics, "reproduced": stands}


def extend_trial(
    study: Study, trial: CommittedTrial, dataset: Dataset, plan: PlanePlan, execution: Execution
) -> dict[str, Any]:
    """Label the planes that a committed trial has not labelled yet, with its stored weights.

    What it had is kept as it is; the new label maps go to files of their own. Pictures of another
    resolution are replaced.
    """
    torch.set_num_threads(execution.threads)
    device = torch.device(execution.device)
    model = load_model(study, trial, dataset).to(device).eval()
    known = set(plane_ids(trial.planes))
    ids = [i for i in plan.score_planes if i not in known]
    same = trial.picture_resolution == plan.picture_resolution
    kept = trial.pictures if same else ()
    pictures = tuple(i for i in plan.pictures if i not in kept)
    new = _label(model, trial.trial_id, dataset, plan, ids, pictures, device)
    part = _next_part(trial.files)
    files = {name.replace(".parquet", f"-{part}.parquet"): data for name, data in new.items()}
    if TEST_PREDICTIONS not in trial.files:
        files[TEST_PREDICTIONS] = _test_predictions(model, dataset, device)
    counts = {
        kind: max(trial.planes.get(kind, 0), plan.counts.get(kind, 0))
        for kind in trial.planes.keys() | plan.counts.keys()
    }
    study.commit(
        trial.config,
        files,
        metrics=trial.metrics,
        planes=counts,
        pictures=(*kept, *pictures),
        picture_resolution=plan.picture_resolution,
        extending=trial if same else trial.without("pictures"),
    )
    return trial.metrics


def covers(trial: CommittedTrial, plan: PlanePlan) -> bool:
    """Whether a committed trial has labelled all that the plan asks for."""
    return (
        all(trial.planes.get(kind, 0) >= count for kind, count in plan.counts.items())
        and set(plan.pictures) <= set(trial.pictures)
        and (not plan.pictures or trial.picture_resolution == plan.picture_resolution)
        and TEST_PREDICTIONS in trial.files
    )


def _next_part(names: Iterable[str]) -> int:
    """Number that no file of label maps has yet: a committed file is never written again."""
    numbers = [re.fullmatch(r"(?:predictions|pictures)(?:-(\d+))?\.parquet", n) for n in names]
    return 1 + max((int(found[1] or 1) for found in numbers if found), default=0)


def build(config: AnyConfig, dataset: Dataset) -> nn.Module:
    """The config's model with its initial weights."""
    return build_model(
        config.architecture,
        input_shape=dataset.input_shape,
        classes=dataset.classes,
        width=config.width,
        size=config.size,
        seed=config.weights_seed if isinstance(config, TrialConfig) else 0,
    )


def load_model(study: Study, trial: CommittedTrial, dataset: Dataset) -> nn.Module:
    """A committed trial's model on the CPU."""
    model = build(trial.config, dataset)
    model.load_state_dict(load_safetensors(study.read_file(trial, WEIGHTS)))
    return model.eval()


def _train(
    study: Study,
    config: TrialConfig,
    model: nn.Module,
    dataset: Dataset,
    execution: Execution,
    on_epoch: Callable[[EpochRecord], None] | None,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Metrics and files of the training."""
    device = torch.device(execution.device)
    started = time.perf_counter()
    teacher = None
    if config.distillation:
        taught_by = load_model(study, study.trial(config.distillation.teacher), dataset)
        teacher = Teacher(taught_by.to(device), config.distillation)
    history = train(
        model,
        dataset,
        config.training,
        data_seed=config.data_seed,
        device=device,
        teacher=teacher,
        deterministic=execution.deterministic,
        on_epoch=on_epoch,
    )
    metrics = {
        "train_loss": history[-1].train_loss,
        "train_accuracy": history[-1].train_accuracy,
        "test_accuracy": history[-1].test_accuracy,
        "train_seconds": time.perf_counter() - started,
    }
    rows = pa.Table.from_pylist([asdict(record) for record in history], schema=HISTORY)
    return metrics, {"history.parquet": parquet_bytes(rows), WEIGHTS: _weights_bytes(model)}


def _load_brought(study: Study, config: CheckpointConfig, model: nn.Module) -> None:
    """Load the weights that the command which asked for this trial has put into the study."""
    data = study.folder.read(f"trials/{config.trial_id}/{WEIGHTS}")
    if hashlib.sha256(data).hexdigest() != config.weights_sha256:
        raise UserError(
            f"model {config.model}: its weights in the study are not those it came with"
        )
    model.load_state_dict(load_safetensors(data))


def _weights_bytes(model: nn.Module) -> bytes:
    weights = {
        name: tensor.contiguous().cpu().clone() for name, tensor in model.state_dict().items()
    }
    return save_safetensors(weights)


def _test_predictions(model: nn.Module, dataset: Dataset, device: torch.device) -> bytes:
    """Answers on the test images, or on evenly spaced ones where there are very many classes."""
    images = len(dataset.test_labels)
    count = min(images, max(1, PROBABILITIES // dataset.classes))
    ids = np.linspace(0, images - 1, count).round().astype(np.int64)
    probabilities = predict(model, dataset.normalise(dataset.test_images[ids]), device)
    return parquet_bytes(predictions_table(ids, dataset.test_labels[ids], probabilities))


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
    shape, classes = dataset.input_shape, dataset.classes
    files = {}
    if score_ids:
        frames = frames_of(dataset, score_ids, plan.source)
        maps = label_planes(
            model,
            frames,
            shape,
            classes=classes,
            resolution=plan.resolution,
            extent=plan.extent,
            device=device,
        )
        table = label_maps_table(trial_id, score_ids, maps, classes=classes, extent=plan.extent)
        files["predictions.parquet"] = parquet_bytes(table)
    if picture_ids:
        frames = frames_of(dataset, picture_ids, plan.source)
        shaded = list(
            shade_planes(
                model,
                frames,
                shape,
                classes=classes,
                resolution=plan.picture_resolution,
                extent=plan.picture_extent,
                device=device,
            )
        )
        table = label_maps_table(
            trial_id,
            picture_ids,
            [labels for labels, _ in shaded],
            classes=classes,
            extent=plan.picture_extent,
            confidences=[confidence for _, confidence in shaded],
        )
        files["pictures.parquet"] = parquet_bytes(table)
    return files


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
