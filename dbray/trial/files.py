"""The files of a trial, made of a model: label maps, pictures, lines, answers, weights."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import save as save_safetensors
from torch import nn

from dbray.datasets import Dataset
from dbray.labelling import draw_lines, kinds_of_lines, label_planes, predict, shade_planes, walk
from dbray.planes import frames_of
from dbray.store import CommittedTrial
from dbray.store.schemas import (
    HISTORY,
    label_maps_table,
    lines_table,
    parquet_bytes,
    predictions_table,
)
from dbray.training import EpochRecord
from dbray.trial.plan import TEST_PREDICTIONS, PlanePlan

PROBABILITIES = 2**22  # at most this many are kept of a trial's answers on the test images


def weights_bytes(model: nn.Module) -> bytes:
    """``model.safetensors``."""
    weights = {
        name: tensor.contiguous().cpu().clone() for name, tensor in model.state_dict().items()
    }
    return save_safetensors(weights)


def history_bytes(history: Sequence[EpochRecord]) -> bytes:
    """``history.parquet``."""
    rows = pa.Table.from_pylist([asdict(record) for record in history], schema=HISTORY)
    return parquet_bytes(rows)


def test_predictions_bytes(model: nn.Module, dataset: Dataset, device: torch.device) -> bytes:
    """Answers on the test images, or on evenly spaced ones where there are very many classes."""
    images = len(dataset.test_labels)
    count = min(images, max(1, PROBABILITIES // dataset.classes))
    ids = np.linspace(0, images - 1, count).round().astype(np.int64)
    probabilities = predict(model, dataset.normalise(dataset.test_images[ids]), device)
    return parquet_bytes(predictions_table(ids, dataset.test_labels[ids], probabilities))


def predictions_bytes(
    model: nn.Module,
    trial_id: str,
    dataset: Dataset,
    plan: PlanePlan,
    plane_ids: Sequence[int],
    device: torch.device,
) -> bytes:
    """``predictions.parquet``: label maps of planes that are scored."""
    maps = label_planes(
        model,
        frames_of(dataset, plane_ids, plan.source),
        dataset.input_shape,
        classes=dataset.classes,
        resolution=plan.resolution,
        extent=plan.extent,
        device=device,
    )
    table = label_maps_table(trial_id, plane_ids, maps, classes=dataset.classes, extent=plan.extent)
    return parquet_bytes(table)


def pictures_bytes(
    model: nn.Module,
    trial_id: str,
    dataset: Dataset,
    plan: PlanePlan,
    plane_ids: Sequence[int],
    device: torch.device,
) -> bytes:
    """``pictures.parquet``: label maps and confidences of planes that are looked at."""
    shaded = list(
        shade_planes(
            model,
            frames_of(dataset, plane_ids, plan.source),
            dataset.input_shape,
            classes=dataset.classes,
            resolution=plan.picture_resolution,
            extent=plan.picture_extent,
            device=device,
        )
    )
    table = label_maps_table(
        trial_id,
        plane_ids,
        [labels for labels, _ in shaded],
        classes=dataset.classes,
        extent=plan.picture_extent,
        confidences=[confidence for _, confidence in shaded],
    )
    return parquet_bytes(table)


def lines_bytes(
    model: nn.Module, trial_id: str, dataset: Dataset, plan: PlanePlan, device: torch.device
) -> bytes:
    """``lines.parquet``: margins and class skips on lines between images."""
    tables = []
    for kind in kinds_of_lines(plan.source):
        lines = draw_lines(dataset, kind, plan.line_images, plan.source)
        walks = walk(model, *lines.ends(dataset), device)
        columns = {
            "image_id": lines.image_ids,
            "toward_id": lines.toward_ids,
            "length": walks.length,
            "margin": walks.margin,
            "censored": walks.censored,
            "skips": walks.skips,
        }
        tables.append(lines_table(trial_id, kind, columns))
    return parquet_bytes(pa.concat_tables(tables))


def answer_files(
    model: nn.Module,
    trial_id: str,
    dataset: Dataset,
    plan: PlanePlan,
    score_ids: Sequence[int],
    picture_ids: Sequence[int],
    device: torch.device,
) -> dict[str, bytes]:
    """Files about planes and lines; no file for none of them."""
    files = {}
    asked = (model, trial_id, dataset, plan)
    if score_ids:
        files["predictions.parquet"] = predictions_bytes(*asked, score_ids, device)
    if picture_ids:
        files["pictures.parquet"] = pictures_bytes(*asked, picture_ids, device)
    if plan.line_images:
        files["lines.parquet"] = lines_bytes(*asked, device)
    return files


def missing_answers(
    trial: CommittedTrial, model: nn.Module, dataset: Dataset, device: torch.device
) -> dict[str, bytes]:
    """The answers on test images, for a trial that was made before they were kept."""
    if TEST_PREDICTIONS in trial.files:
        return {}
    return {TEST_PREDICTIONS: test_predictions_bytes(model, dataset, device)}
