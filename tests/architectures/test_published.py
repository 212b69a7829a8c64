"""The paper's networks, written down a second time: equal outputs for equal weights.

Each network here is a function of images and of weights, which are drawn as they are first asked
for. They come in the order of dbray's state dicts, so that they can be handed over; what differs in
form (a convolution that is a linear layer here, the order of a dense block's channels) is mapped.
"""

import math

import pytest
import torch
from published import PAPER_PARAMETERS
from torch.nn import functional as F  # noqa: N812 - as all the world has it

from dbray.architectures import build_model

STATISTICS = ("mean", "var")
SHAPE = (3, 32, 32)


class Weights(dict):
    """Weights by name, in the order in which a network has asked for them."""

    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def draw(self, name, shape, scale=1.0, shift=0.0):
        if name not in self:
            drawn = torch.randn(shape, generator=self.generator, dtype=torch.float64)
            self[name] = drawn * scale + shift
        return self[name]

    def conv(self, name, x, out, size=3, stride=1, bias=False):
        fan_in = x.shape[1] * size**2
        kernel = self.draw(f"{name} kernel", (out, x.shape[1], size, size), fan_in**-0.5)
        offset = self.draw(f"{name} bias", out) if bias else None
        return F.conv2d(x, kernel, offset, stride=stride, padding=size // 2)

    def linear(self, name, x, out, bias=True):
        weight = self.draw(f"{name} weight", (out, x.shape[-1]), x.shape[-1] ** -0.5)
        return F.linear(x, weight, self.draw(f"{name} bias", out) if bias else None)

    def batch_norm(self, name, x):
        weight, bias = self._scale_and_shift(name, x.shape[1])
        mean = self.draw(f"{name} mean", x.shape[1])
        var = self.draw(f"{name} var", x.shape[1], 0.1).abs_().add_(0.5)
        return F.batch_norm(x, mean, var, weight, bias)

    def layer_norm(self, name, x):
        weight, bias = self._scale_and_shift(name, x.shape[-1])
        deviation = x.var(dim=-1, unbiased=False, keepdim=True).add(1e-5).sqrt()
        return (x - x.mean(dim=-1, keepdim=True)) / deviation * weight + bias

    def _scale_and_shift(self, name, width):
        return self.draw(f"{name} weight", width, 0.1, 1.0), self.draw(f"{name} bias", width, 0.1)


def fcnet(w, x):
    x = x.flatten(1)
    for layer, units in enumerate((1024, 512, 256, 64)):
        x = w.linear(f"hidden {layer}", x, units).relu()
    return w.linear("head", x, 10)


def patches(w, x):
    """Each patch of 4 x 4 pixels as one row: pixel by pixel, the three colours of each together."""
    rows = [
        x[:, :, top : top + 4, left : left + 4].permute(0, 2, 3, 1).flatten(1)
        for top in range(0, 32, 4)
        for left in range(0, 32, 4)
    ]
    return w.linear("patches", torch.stack(rows, dim=1), 512)


def vit(w, x):
    token, places = w.draw("token", (1, 1, 512)), w.draw("places", (1, 65, 512))
    x = torch.cat([token.expand(len(x), -1, -1), patches(w, x)], dim=1) + places
    for block in range(6):
        normed = w.layer_norm(f"{block} first norm", x)
        qkv = w.linear(f"{block} qkv", normed, 3 * 512, bias=False).view(len(x), 65, 3, 8, 64)
        query, key, value = (qkv[:, :, part].transpose(1, 2) for part in range(3))
        weights = (query @ key.transpose(2, 3) / 8).softmax(dim=3)
        x = x + w.linear(f"{block} out", (weights @ value).transpose(1, 2).flatten(2), 512)
        hidden = w.linear(f"{block} in", w.layer_norm(f"{block} second norm", x), 512)
        x = x + w.linear(f"{block} back", gelu(hidden), 512)
    return w.linear("head", w.layer_norm("norm", x)[:, 0], 10)


def mixer(w, x):
    x = patches(w, x)
    for block in range(12):
        tokens = w.layer_norm(f"{block} first norm", x).transpose(1, 2)
        hidden = gelu(w.linear(f"{block} tokens in", tokens, 256))
        x = x + w.linear(f"{block} tokens back", hidden, 64).transpose(1, 2)
        hidden = w.linear(f"{block} in", w.layer_norm(f"{block} second norm", x), 2048)
        x = x + w.linear(f"{block} back", gelu(hidden), 512)
    return w.linear("head", w.layer_norm("norm", x).mean(dim=1), 10)


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def vgg(w, x):
    for stage, (width, depth) in enumerate([(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)]):
        for layer in range(depth):
            name = f"{stage} {layer}"
            x = w.batch_norm(f"{name} norm", w.conv(name, x, width, bias=True)).relu()
        x = F.max_pool2d(x, 2)
    return w.linear("head", x.flatten(1), 10)


def resnet(w, x):
    x = w.batch_norm("stem norm", w.conv("stem", x, 64)).relu()
    for number, (width, stride) in enumerate(stages(64)):
        out = w.batch_norm(f"{number} norm 1", w.conv(f"{number} 1", x, width, stride=stride))
        out = w.batch_norm(f"{number} norm 2", w.conv(f"{number} 2", out.relu(), width))
        if out.shape != x.shape:
            x = w.conv(f"{number} past", x, width, size=1, stride=stride)
            x = w.batch_norm(f"{number} norm past", x)
        x = (x + out).relu()
    return w.linear("head", x.mean(dim=(2, 3)), 10)


def stages(width, factors=(1, 2, 4, 8), depth=2):
    """Width and stride of every block: the first of each later stage halves the image."""
    for stage, factor in enumerate(factors):
        for block in range(depth):
            yield width * factor, 2 if stage and not block else 1


def preactivation(w, x, blocks):
    for number, (width, stride) in enumerate(blocks):
        active = w.batch_norm(f"{number} norm 1", x).relu()
        out = w.conv(f"{number} 1", active, width, stride=stride)
        out = w.conv(f"{number} 2", w.batch_norm(f"{number} norm 2", out).relu(), width)
        if out.shape != x.shape:
            x = w.conv(f"{number} past", active, width, size=1, stride=stride)
        x = x + out
    return x


def wideresnet(w, x, factor):
    x = preactivation(w, w.conv("stem", x, 16), stages(16 * factor, (1, 2, 4), depth=4))
    return w.linear("head", w.batch_norm("norm", x).relu().mean(dim=(2, 3)), 10)


def resnet18k(w, x, k):
    x = preactivation(w, w.conv("stem", x, k), stages(k))
    return w.linear("head", x.mean(dim=(2, 3)), 10)


GROWTH, DENSE = 32, (6, 12, 24, 16)


def densenet(w, x):
    """New channels stand before those that were there."""
    x = w.conv("stem", x, 2 * GROWTH)
    for block, depth in enumerate(DENSE):
        for layer in range(depth):
            name = f"{block} {layer}"
            new = w.conv(f"{name} in", w.batch_norm(f"{name} norm", x).relu(), 4 * GROWTH, size=1)
            new = w.conv(f"{name} out", w.batch_norm(f"{name} inner", new).relu(), GROWTH)
            x = torch.cat([new, x], dim=1)
        x = w.batch_norm(f"{block} end norm", x).relu()
        if block < 3:
            x = F.avg_pool2d(w.conv(f"{block} end", x, x.shape[1] // 2, size=1), 2)
    return w.linear("head", x.mean(dim=(2, 3)), 10)


def as_newest_last(weights):
    """A dense network's weights for one whose new channels stand after those that were there."""
    found, channels = dict(weights), 2 * GROWTH
    for block, depth in enumerate(DENSE):
        for layer in range(depth + 1):
            before = torch.arange(channels) + layer * GROWTH
            new = [torch.arange(GROWTH) + (layer - n) * GROWTH for n in range(1, layer + 1)]
            order = torch.cat([before, *new])
            name = f"{block} {layer}" if layer < depth else f"{block} end"
            after = "head weight" if name == "3 end" else f"{name} in kernel"
            after = f"{name} kernel" if name in ("0 end", "1 end", "2 end") else after
            for part in ("weight", "bias", "mean", "var"):
                found[f"{name} norm {part}"] = weights[f"{name} norm {part}"][order]
            found[after] = weights[after][:, order]
        channels = (channels + depth * GROWTH) // 2
    return found


def as_convolution(weights):
    """A network's weights with its patches taken by a convolution; the class token before all."""
    found = dict(weights)
    rows = found["patches weight"]
    found["patches weight"] = rows.view(512, 4, 4, 3).permute(0, 3, 1, 2)
    return found


NETWORKS = {  # name and width: the network, and its weights as dbray's has them
    ("fcnet", 0): (fcnet, dict),
    ("vit", 0): (vit, as_convolution),
    ("mixer", 0): (mixer, as_convolution),
    ("vgg", 0): (vgg, dict),
    ("resnet", 0): (resnet, dict),
    ("densenet", 0): (densenet, as_newest_last),
    ("wideresnet", 2): (lambda w, x: wideresnet(w, x, 2), dict),
    ("resnet18k", 6): (lambda w, x: resnet18k(w, x, 6), dict),
}


def build(name, size="paper", shape=SHAPE, **options):
    return build_model(name, input_shape=shape, classes=10, size=size, seed=0, **options)


@pytest.mark.parametrize(("name", "width"), NETWORKS)
def test_a_network_is_the_published_one_weight_by_weight(name, width):
    network, as_ours = NETWORKS[name, width]
    images = torch.randn(2, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = Weights()
    with torch.no_grad():
        expected = network(weights, images)
        model = build(name, width=width).double().eval()
        names = [n for n in model.state_dict() if not n.endswith("num_batches_tracked")]
        mapped = dict(zip(names, as_ours(weights).values(), strict=True))
        model.load_state_dict(mapped, strict=False)  # but for the counters of batches
        torch.testing.assert_close(model(images), expected, rtol=1e-9, atol=1e-9)
    assert expected.std() > 0.1
    trained = [t for n, t in weights.items() if not n.endswith(STATISTICS)]
    count = sum(tensor.numel() for tensor in trained)
    assert count == PAPER_PARAMETERS.get((name, width), count)
    assert count == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "width", "count"),
    [
        *((name, width, count) for (name, width), count in PAPER_PARAMETERS.items()),
        ("wideresnet", 20, 145_815_514),
        ("wideresnet", 30, 328_009_434),
        ("resnet18k", 1, 2_947),
        ("resnet18k", 10, 274_540),
    ],
)
def test_published_numbers_of_parameters(name, width, count):
    with torch.device("meta"):
        model = build(name, width=width)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
