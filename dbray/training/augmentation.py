"""Random crops, flips and mixtures of whole batches, where the images are."""

from collections.abc import Callable

import torch
from torch import Tensor

Augment = Callable[[Tensor], Tensor]
Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def make_augmentation(
    crop_padding: int, *, flip: bool, padding_value: Tensor, generator: torch.Generator
) -> Augment:
    """Augmentation of normalised batches, (B, C, H, W) to the same shape.

    Each image is shifted by up to ``crop_padding`` pixels along each side, as a random crop from
    its padded self, and mirrored with probability one half.

    Parameters
    ----------
    padding_value
        shape (C,): what the padding holds. A black pixel, normalised: the reference code pads
        before it normalises.
    generator
        On the images' device; all randomness comes from it.
    """

    def augment(images: Tensor) -> Tensor:
        if crop_padding:
            images = _random_crop(images, crop_padding, padding_value, generator)
        return _random_flip(images, generator) if flip else images

    return augment


def make_mix(mixup: float, cutmix: float, classes: int) -> Mix:
    """MixUp and CutMix of batches: (images, labels) to (images, targets).

    With both, each batch gets one of them, by a fair coin. They draw from torch's global
    generator. Labels (B,) become class probabilities (B, C); with neither, nothing changes.

    Parameters
    ----------
    mixup, cutmix
        Parameter of the Beta distribution that the mixing share is drawn from; 0 turns it off.

    References
    ----------
    Zhang et al., mixup, ICLR 2018; Yun et al., CutMix, ICCV 2019.
    """
    if not (mixup or cutmix):
        return lambda images, labels: (images, labels)
    from torchvision.transforms import v2

    kinds = [(v2.MixUp, mixup), (v2.CutMix, cutmix)]
    chosen = [kind(alpha=float(alpha), num_classes=classes) for kind, alpha in kinds if alpha]
    mix: Mix = v2.RandomChoice(chosen)
    return mix


def _random_crop(
    images: Tensor, padding: int, padding_value: Tensor, generator: torch.Generator
) -> Tensor:
    batch, channels, height, width = images.shape
    padded = padding_value.view(1, -1, 1, 1).expand(
        batch, channels, height + 2 * padding, width + 2 * padding
    )
    padded = padded.clone()
    padded[..., padding : padding + height, padding : padding + width] = images
    corners = torch.randint(
        2 * padding + 1, (2, batch, 1), generator=generator, device=images.device
    )
    rows = corners[0] + torch.arange(height, device=images.device)  # (B, H)
    columns = corners[1] + torch.arange(width, device=images.device)  # (B, W)
    which = torch.arange(batch, device=images.device)[:, None, None]
    cropped = padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]]
    return cropped.permute(0, 3, 1, 2).contiguous()


def _random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    mirrored = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)
