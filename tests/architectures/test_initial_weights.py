"""Initial weights: drawn by the paper's rules, or as dbray's first studies had them."""

import pytest
import torch
from torch import nn

from dbray.architectures import ARCHITECTURES, build_model

DIFFERED = [name for name, entry in ARCHITECTURES.items() if entry.differed]


def build(name, size="paper", **options):
    return build_model(name, input_shape=(3, 32, 32), classes=10, size=size, seed=0, **options)


def linears(model):
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear)]


def convolutions(model):
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]


def assert_torch_default(layer):
    """Uniform within one over the root of what comes in, weights and offsets."""
    bound = layer.weight[0].numel() ** -0.5
    for values in (layer.weight, layer.bias):
        if values is not None:
            assert values.abs().max() <= bound
            few = 6 / values.numel() ** 0.5  # what chance does to a standard deviation
            assert values.std().item() == pytest.approx(bound / 3**0.5, rel=max(0.1, few))


@pytest.mark.parametrize("size", ["small", "paper"])
@pytest.mark.parametrize("name", ["vit", "mixer", "densenet"])
def test_layers_start_as_torch_has_them(name, size):
    model = build(name, size)
    layers = [*linears(model), *convolutions(model)]
    assert len(layers) > 5
    for layer in layers:
        assert_torch_default(layer)
    for layer in model.modules():
        if isinstance(layer, nn.LayerNorm):
            assert layer.eps == 1e-5


@pytest.mark.parametrize("size", ["small", "paper"])
def test_places_and_class_token_start_normal(size):
    model = build("vit", size)
    places = model.pos_embed.ravel()
    assert places.std().item() == pytest.approx(1, abs=3 / places.numel() ** 0.5)
    token = model.cls_token.ravel()
    assert token.std().item() == pytest.approx(1, abs=3 / token.numel() ** 0.5)
    assert all(block.attn.qkv.bias is None for block in model.blocks)


def test_dropout_is_where_the_paper_has_it():
    model = build("vit")
    rates = [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)]
    assert [rate for rate in rates if rate] == [0.1] * (1 + 6 * 3)  # places; out, in and back
    assert all(block.attn.attn_drop.p == 0 for block in model.blocks)


@pytest.mark.parametrize("size", ["small", "paper"])
def test_a_wide_resnets_convolutions_start_by_what_leaves_them(size):
    model = build("wideresnet", size, width=2)
    for layer in convolutions(model):
        fan_out = layer.out_channels * layer.kernel_size[0] ** 2
        few = 4 / layer.weight.numel() ** 0.5
        assert layer.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=few)
    (head,) = linears(model)
    assert not head.bias.any()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_only_what_is_said_to_differ_does(name):
    now, before = (build(name, "small", published=published) for published in (True, False))
    same = now.state_dict().keys() == before.state_dict().keys() and all(
        torch.equal(a, b) for a, b in zip(now.parameters(), before.parameters(), strict=True)
    )
    assert same == (name not in DIFFERED)


def test_networks_of_the_first_studies_are_what_they_were():
    counts = {"vit": 9_532_938, "mixer": 25_649_418, "densenet": 6_956_298}
    for name, count in counts.items():
        with torch.device("meta"):
            model = build(name, published=False)
        assert sum(parameter.numel() for parameter in model.parameters()) == count
    last = build("resnet18k", "small", published=False)
    assert [type(layer) for layer in last[-5:-2]] == [nn.BatchNorm2d, nn.ReLU, nn.AdaptiveAvgPool2d]
    assert not build("mixer", "small", published=False).head.weight.any()
    norms = [n for n in build("vit", "small", published=False).modules() if hasattr(n, "eps")]
    assert {norm.eps for norm in norms} == {1e-6}
