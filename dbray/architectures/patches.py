"""Networks on patches of the image: the vision transformer and MLP-Mixer, both from timm.

As published they start from PyTorch's default weights, and their layer norms have its epsilon.
"""

from functools import partial

from timm.models.mlp_mixer import MlpMixer
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from dbray.architectures.initial import by_torch_defaults
from dbray.config import SizeName
from dbray.errors import UserError


def vit(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: int,
    size: SizeName,
    published: bool,
) -> nn.Module:
    """Vision transformer: width 512, depth 6, 8 heads, MLP width 512, dropout 0.1 in the paper.

    Small: width 32, depth 3, 4 heads, MLP width 64, and no dropout, as it trains for few epochs.
    As published, queries, keys and values have no bias; positions and class token start normal.
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
        norm_layer=_layer_norm(published=published),
        embed_dim=embedding,
        depth=6 if paper else 3,
        num_heads=heads,
        qkv_bias=not published,
        mlp_ratio=1.0 if paper else 2.0,
        pos_drop_rate=0.1 if paper else 0.0,
        proj_drop_rate=0.1 if paper else 0.0,
    )
    if published:
        by_torch_defaults(model)
        nn.init.normal_(model.get_parameter("pos_embed"))
        nn.init.normal_(model.get_parameter("cls_token"))
    return model


def mixer(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: int,
    size: SizeName,
    published: bool,
) -> nn.Module:
    """MLP-Mixer: width 512 and depth 12 in the paper; small: width 32 and depth 3."""
    paper = size == "paper"
    model: nn.Module = MlpMixer(
        img_size=input_shape[1:],
        in_chans=input_shape[0],
        num_classes=classes,
        patch_size=_patch_size(input_shape),
        norm_layer=_layer_norm(published=published),
        embed_dim=width or (512 if paper else 32),
        num_blocks=12 if paper else 3,
    )
    if published:
        by_torch_defaults(model)
    return model


def _layer_norm(*, published: bool) -> "partial[nn.LayerNorm]":
    return partial(nn.LayerNorm, eps=1e-5 if published else 1e-6)


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
