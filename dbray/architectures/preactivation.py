"""Pre-activation residual networks: WideResNet and the double-descent family ResNet18(k)."""

import torch
from torch import Tensor, nn

from dbray.architectures.initial import by_fan_out
from dbray.config import SizeName


class PreactivationBlock(nn.Module):
    """Norm, ReLU and convolution twice, added to a shortcut (He et al. 2016, figure 4e)."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.shortcut = (
            nn.Conv2d(channels, out, 1, stride=stride, bias=False)
            if stride != 1 or channels != out
            else None
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, out, H / stride, W / stride)."""
        active = torch.relu(self.norm1(inputs))
        passed = inputs if self.shortcut is None else self.shortcut(active)
        out: Tensor = passed + self.conv2(torch.relu(self.norm2(self.conv1(active))))
        return out


def wideresnet(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: int,
    size: SizeName,
    published: bool,
) -> nn.Module:
    """WideResNet-28-k in the paper (k = ``width``, usually 10); small: WideResNet-10-k, k = 2.

    As published, its convolutions start by Kaiming's rule for what leaves them.

    References
    ----------
    Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016.
    """
    factor = width or (10 if size == "paper" else 2)
    widths = [16 * factor, 32 * factor, 64 * factor]
    model = _network(input_shape, classes, 16, widths, blocks=4 if size == "paper" else 1)
    if published:
        by_fan_out(model)
    return model


def resnet18k(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: int,
    size: SizeName,
    published: bool,
) -> nn.Module:
    """ResNet18(k), k = ``width``: four stages of k, 2k, 4k, 8k channels (64 in the paper, else 4).

    As published, nothing stands between the last block and the pooling.

    References
    ----------
    Nakkiran et al., Deep Double Descent, ICLR 2020, appendix B.
    """
    k = width or (64 if size == "paper" else 4)
    widths = [k, 2 * k, 4 * k, 8 * k]
    return _network(input_shape, classes, k, widths, blocks=2, last_norm=not published)


def _network(
    input_shape: tuple[int, int, int],
    classes: int,
    stem: int,
    widths: list[int],
    blocks: int,
    *,
    last_norm: bool = True,
) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(input_shape[0], stem, 3, padding=1, bias=False)]
    channels = stem
    for stage, out in enumerate(widths):
        for block in range(blocks):
            layers.append(PreactivationBlock(channels, out, stride=2 if stage and not block else 1))
            channels = out
    if last_norm:
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, classes),
    )
