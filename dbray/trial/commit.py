"""A trained model answers all that is asked of it, and its trial is committed."""

import time
from typing import Any

import torch
from torch import nn

from dbray.config import AnyConfig
from dbray.datasets import Dataset
from dbray.store import Study
from dbray.trial.files import answer_files, test_predictions_bytes, weights_bytes
from dbray.trial.plan import TEST_PREDICTIONS, PlanePlan

WEIGHTS = "model.safetensors"


def commit_trial(
    study: Study,
    config: AnyConfig,
    model: nn.Module,
    metrics: dict[str, Any],
    files: dict[str, bytes],
    dataset: Dataset,
    plan: PlanePlan,
    device: torch.device,
) -> dict[str, Any]:
    """Let a trained model answer all that the plan asks, and commit."""
    trained = time.perf_counter()
    ids, pictures = plan.score_planes, plan.pictures
    answers = answer_files(model, config.trial_id, dataset, plan, ids, pictures, device)
    answers[TEST_PREDICTIONS] = test_predictions_bytes(model, dataset, device)
    metrics |= {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "label_seconds": time.perf_counter() - trained,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }
    stands = study.commit(
        config,
        {**files, WEIGHTS: weights_bytes(model), **answers},
        metrics=metrics,
        planes=plan.counts,
        pictures=pictures,
        picture_resolution=plan.picture_resolution,
        line_images=plan.line_images,
        planes_of=plan.planes_of,
    )
    return {**metrics, "reproduced": stands}
