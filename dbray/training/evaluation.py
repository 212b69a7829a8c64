"""Accuracy of a model on images in a device's memory."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dbray.datasets import Dataset

EVALUATION_BATCH = 512


@torch.inference_mode()
def evaluate(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Share of inputs (n, C, H, W) whose arg-max logit is their label; evaluation mode stays on."""
    model.eval()
    hits = torch.zeros((), dtype=torch.int64, device=labels.device)
    for part, truth in zip(
        torch.split(inputs, EVALUATION_BATCH), torch.split(labels, EVALUATION_BATCH), strict=True
    ):
        hits += (model(part).argmax(dim=1) == truth).sum()
    return int(hits) / len(labels)


def evaluate_on(model: nn.Module, dataset: Dataset, device: torch.device) -> float:
    """Accuracy of a model on ``device`` on all test images."""
    return evaluate(model, *on_device(dataset, dataset.test_images, dataset.test_labels, device))


def on_device(
    dataset: Dataset, images: NDArray[np.uint8], labels: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Images (n, C, H, W), normalised, and their labels (n,) in a device's memory."""
    inputs = torch.from_numpy(dataset.normalise(images)).to(device)
    return inputs, torch.tensor(labels, device=device)
