"""Convolutional networks from torchvision's parts, with a stem for small images."""

from torch import nn

from dbray.architectures.compiler import compiler_when_called
from dbray.architectures.initial import by_torch_defaults
from dbray.config import SizeName
from dbray.errors import UserError

with compiler_when_called():
    from torchvision.models.densenet import DenseNet
    from torchvision.models.resnet import BasicBlock
    from torchvision.models.vgg import cfgs, make_layers

SMALL_VGG: list[str | int] = [16, "M", 32, "M", 64, 64, "M"]


def vgg(
    *, input_shape: tuple[int, int, int], classes: int, width: int, size: SizeName
) -> nn.Module:
    """VGG with batch norm and one linear layer after the last pooling: VGG-19 in the paper.

    ``width`` sets the channels of the first layer (64 in VGG-19, 16 if small).
    """
    layout = cfgs["E"] if size == "paper" else SMALL_VGG
    _check_halvings("vgg", input_shape, size, layout.count("M"))
    first = int(layout[0])
    scaled = [
        step if isinstance(step, str) else step * (width or first) // first for step in layout
    ]
    features = make_layers(scaled, batch_norm=True)
    features[0] = nn.Conv2d(input_shape[0], int(scaled[0]), kernel_size=3, padding=1)
    channels = max(step for step in scaled if isinstance(step, int))
    return nn.Sequential(
        features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )


def resnet(
    *, input_shape: tuple[int, int, int], classes: int, width: int, size: SizeName
) -> nn.Module:
    """Residual network with a 3 x 3 stem and no max-pooling: ResNet-18 in the paper.

    ``width`` sets the channels of the first stage (64 in ResNet-18, 8 if small).
    """
    stages, blocks = (4, 2) if size == "paper" else (3, 1)
    first = width or (64 if size == "paper" else 8)
    layers: list[nn.Module] = [
        nn.Conv2d(input_shape[0], first, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
    ]
    channels = first
    for stage in range(stages):
        out = first * 2**stage
        for block in range(blocks):
            layers.append(_residual_block(channels, out, stride=2 if stage and not block else 1))
            channels = out
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )


def densenet(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: int,
    size: SizeName,
    published: bool,
) -> nn.Module:
    """Densely connected network with a 3 x 3 stem: DenseNet-121 in the paper.

    ``width`` is the growth rate (32 in DenseNet-121, 8 if small).
    """
    growth = width or (32 if size == "paper" else 8)
    blocks = (6, 12, 24, 16) if size == "paper" else (2, 2, 2)
    _check_halvings("densenet", input_shape, size, len(blocks) - 1)
    model: nn.Module = DenseNet(
        growth_rate=growth,
        block_config=blocks,
        num_init_features=2 * growth,
        num_classes=classes,
    )
    features = model.get_submodule("features")
    features.conv0 = nn.Conv2d(input_shape[0], 2 * growth, kernel_size=3, padding=1, bias=False)
    for name in ("norm0", "relu0", "pool0"):  # parts of the stem for large images
        delattr(features, name)
    if published:  # else by torchvision's rule
        by_torch_defaults(model)
    return model


def _check_halvings(
    name: str, input_shape: tuple[int, int, int], size: SizeName, halvings: int
) -> None:
    if min(input_shape[1:]) < 2**halvings:
        raise UserError(
            f"architecture {name} of size {size} halves images {halvings} times; "
            f"{input_shape[1]}x{input_shape[2]} pixels are too few, "
            f"{2**halvings}x{2**halvings} are needed: take larger images or leave it out"
        )


def _residual_block(channels: int, out: int, stride: int) -> nn.Module:
    shortcut = None
    if stride != 1 or channels != out:
        shortcut = nn.Sequential(
            nn.Conv2d(channels, out, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(out)
        )
    block: nn.Module = BasicBlock(channels, out, stride, shortcut)
    return block
