"""Anchors of adversarial planes: a test image and two perturbations of it against one model."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dbray.datasets.dataset import Dataset
from dbray.errors import UserError
from dbray.planes.anchors import MAX_DRAWS, Anchors, anchors_frame
from dbray.planes.kinds import plane_ids_of

STEPS = 20


@dataclass(frozen=True)
class Attack:
    """How far an attack goes, where a pixel runs from 0 to 1."""

    radius: float  # largest change of a pixel
    step: float
    random_start: bool  # anywhere in the ball, rather than at the image


PUBLISHED = Attack(radius=8 / 255, step=2 / 255, random_start=True)
FIRST = Attack(radius=0.1, step=0.0125, random_start=False)  # of studies that were begun before


def adversarial_anchors(
    model: nn.Module,
    dataset: Dataset,
    number: int,
    plane_seed: int,
    device: torch.device,
    attack: Attack = PUBLISHED,
) -> Anchors:
    """Anchors of one adversarial plane: an image, then it pushed towards two other classes.

    Parameters
    ----------
    model
        Under attack; in evaluation mode, on ``device``.
    number
        Of the plane, from 0; with ``plane_seed`` it decides the image, the classes and the start.

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
        begin = torch.zeros_like(pixels)
        if attack.random_start:
            drawn = rng.uniform(-attack.radius, attack.radius, pixels.shape)
            begin = torch.from_numpy(drawn).to(pixels)
        pushed = targeted_pgd(
            model,
            pixels,
            torch.as_tensor(targets, device=device),
            torch.tensor(dataset.mean, device=device).view(-1, 1, 1),
            torch.tensor(dataset.std, device=device).view(-1, 1, 1),
            attack,
            begin,
        )
        made, begun = _as_images(pushed), _as_images(pixels + begin)
        if any(map(np.array_equal, made, begun)):
            continue  # no gradient to follow: the model is certain beyond its arithmetic
        anchors = Anchors((image_id,) * 3, (label,) * 3, np.stack([image, *made]))
        try:
            anchors_frame(dataset, anchors)
        except ValueError:
            continue
        return anchors
    raise UserError("no test image that the attacked model's gradient changes in two directions")


def targeted_pgd(
    model: nn.Module,
    pixels: Tensor,
    targets: Tensor,
    mean: Tensor,
    std: Tensor,
    attack: Attack,
    start: Tensor,
) -> Tensor:
    """Images within the attack's radius that a model takes for the targets, if there are such.

    Parameters
    ----------
    pixels
        float32 from 0 to 1, shape (B, C, H, W).
    targets
        int64, shape (B,): the class to reach.
    mean, std
        Of the model's input normalisation, shape (C, 1, 1).
    start
        The first change of the pixels, of their shape.

    References
    ----------
    Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018.
    """
    change = start
    for _ in range(STEPS):
        change.requires_grad_()
        loss = nn.functional.cross_entropy(model((pixels + change - mean) / std), targets)
        (gradient,) = torch.autograd.grad(loss, change)
        with torch.no_grad():
            change = change - attack.step * gradient.sign()
            change = change.clamp(-attack.radius, attack.radius)
            change = (pixels + change).clamp(0, 1) - pixels
    return pixels + change


def _as_images(pixels: Tensor) -> NDArray[np.uint8]:
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
