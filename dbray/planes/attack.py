"""Anchors of adversarial planes: a test image and two perturbations of it against one model."""

import numpy as np
import torch
from torch import Tensor, nn

from dbray.datasets.dataset import Dataset
from dbray.errors import UserError
from dbray.planes.anchors import MAX_DRAWS, Anchors, anchors_frame
from dbray.planes.kinds import plane_ids_of

RADIUS = 0.1  # largest change of a pixel, where a pixel runs from 0 to 1
STEPS = 20
STEP = 2.5 * RADIUS / STEPS  # so that the steps can reach every point of the ball and come back


def adversarial_anchors(
    model: nn.Module, dataset: Dataset, number: int, plane_seed: int, device: torch.device
) -> Anchors:
    """Anchors of one adversarial plane: an image, then it pushed towards two other classes.

    Parameters
    ----------
    model
        Under attack; in evaluation mode, on ``device``.
    number
        Of the plane, from 0; with ``plane_seed`` it decides the image and the classes.

    Raises
    ------
    UserError
        If there are fewer than three classes, or no image can be perturbed into a plane.
    """
    if dataset.classes < 3:
        raise UserError(f"data set {dataset.name}: adversarial planes need three classes")
    rng = np.random.default_rng([plane_seed, plane_ids_of("adversarial", number + 1)[-1]])
    for _ in range(MAX_DRAWS):
        image_id = int(rng.integers(len(dataset.test_images)))
        image, label = dataset.test_images[image_id], int(dataset.test_labels[image_id])
        others = np.delete(np.arange(dataset.classes), label)
        targets = rng.choice(others, size=2, replace=False)
        pixels = torch.from_numpy(np.stack([image, image])).to(device) / 255
        pushed = targeted_pgd(
            model,
            pixels,
            torch.as_tensor(targets, device=device),
            torch.tensor(dataset.mean, device=device).view(-1, 1, 1),
            torch.tensor(dataset.std, device=device).view(-1, 1, 1),
        )
        images = np.stack([image, *(pushed * 255).round().to(torch.uint8).cpu().numpy()])
        anchors = Anchors((image_id,) * 3, (label,) * 3, images)
        try:
            anchors_frame(dataset, anchors)
        except ValueError:
            continue  # no gradient to follow: the model is certain beyond its arithmetic
        return anchors
    raise UserError("no test image that the attacked model's gradient changes in two directions")


def targeted_pgd(
    model: nn.Module, pixels: Tensor, targets: Tensor, mean: Tensor, std: Tensor
) -> Tensor:
    """Images within ``RADIUS`` that a model takes for the targets, if there are such.

    Parameters
    ----------
    pixels
        float32 from 0 to 1, shape (B, C, H, W).
    targets
        int64, shape (B,): the class to reach.
    mean, std
        Of the model's input normalisation, shape (C, 1, 1).

    References
    ----------
    Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018.
    """
    change = torch.zeros_like(pixels)
    for _ in range(STEPS):
        change.requires_grad_()
        loss = nn.functional.cross_entropy(model((pixels + change - mean) / std), targets)
        (gradient,) = torch.autograd.grad(loss, change)
        with torch.no_grad():
            change = (change - STEP * gradient.sign()).clamp(-RADIUS, RADIUS)
            change = (pixels + change).clamp(0, 1) - pixels
    return pixels + change
