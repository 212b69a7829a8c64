"""Networks on patches of the image: the vision transformer and MLP-Mixer, both from timm."""

from timm.models.mlp_mixer import MlpMixer
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from dbray.config import SizeName
from dbray.errors import UserError


def vit(
    *, input_shape: tuple[int, int, int], classes: int, width: int, size: SizeName
) -> nn.Module:
    """Vision transformer: width 512, depth 6, 8 heads, MLP width 512, dropout 0.1 in the paper.

    Small: width 32, depth 3, 4 heads, MLP width 64, and no dropout, as it trains for few epochs.
    """
    paper = size == "paper"
    embedding = width or (512 if paper else 32)
    heads = 8 if paper else 4
    if embedding % heads:
        raise UserError(f"architecture vit: width {embedding} is no multiple of its {heads} heads")
    model: nn.Module = VisionTransformer(
        img_size=input_shape[1:],
        in_chans=input_shape[0],
        num_classes=classes,
        patch_size=_patch_size(input_shape),
        embed_dim=embedding,
        depth=6 if paper else 3,
        num_heads=heads,
        mlp_ratio=1.0 if paper else 2.0,
        pos_drop_rate=0.1 if paper else 0.0,
        proj_drop_rate=0.1 if paper else 0.0,
    )
    return model


def mixer(
    *, input_shape: tuple[int, int, int], classes: int, width: int, size: SizeName
) -> nn.Module:
    """MLP-Mixer: width 512 and depth 12 in the paper; small: width 32 and depth 3."""
    paper = size == "paper"
    model: nn.Module = MlpMixer(
        img_size=input_shape[1:],
        in_chans=input_shape[0],
        num_classes=classes,
        patch_size=_patch_size(input_shape),
        embed_dim=width or (512 if paper else 32),
        num_blocks=12 if paper else 3,
    )
    return model


def _patch_size(input_shape: tuple[int, int, int]) -> int:
    """Four pixels as in the paper, two on images below 16 pixels, more on large ones.

    An image is cut into at most 16 x 16 patches.
    """
    side = min(input_shape[1:])
    patch = 2 if side < 16 else max(4, side // 16)
    if any(length % patch for length in input_shape[1:]):
        raise UserError(
            f"images of {input_shape[1]}x{input_shape[2]} pixels cannot be cut into patches of "
            f"{patch}x{patch}; resize them to a multiple of {patch}, or leave out vit and mixer"
        )
    return patch
