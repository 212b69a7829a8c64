"""Architectures: any input, weights by seed alone, users' own models."""

import pytest
import torch
from torch import nn

from dbray.architectures import ARCHITECTURES, build_model, validate_architecture
from dbray.errors import UserError


def linear(*, input_shape, classes):
    channels, height, width = input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, classes))


def wide(*, input_shape, classes, width):
    return nn.Sequential(linear(input_shape=input_shape, classes=width), nn.Linear(width, classes))


def not_a_model(*, input_shape, classes):
    return "linear"


def wrong_classes(*, input_shape, classes):
    return linear(input_shape=input_shape, classes=classes + 1)


def fails(*, input_shape, classes):
    raise ZeroDivisionError


def fails_on_a_batch(*, input_shape, classes):
    class Broken(nn.Module):
        def forward(self, images):
            raise ValueError("first line\nsecond line")

    return Broken()


def lazy(*, input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(classes))


def build(name, shape=(1, 8, 8), seed=0, **options):
    return build_model(name, input_shape=shape, classes=10, seed=seed, **options)


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 48, 64)])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_small_models_take_any_input(name, shape):
    model = build(name, shape)
    logits = model(torch.randn(3, *shape))
    assert logits.shape == (3, 10)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_weights_are_a_function_of_the_seed(name):
    state = torch.random.get_rng_state()
    first, same, other = build(name), build(name), build(name, seed=1)
    assert (torch.random.get_rng_state() == state).all()
    pairs = list(zip(first.parameters(), same.parameters(), strict=True))
    assert all((a == b).all() for a, b in pairs)
    assert any((a != b).any() for a, b in zip(first.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_two_passes_in_evaluation_are_equal(name):
    model = build(name, (3, 32, 32), size="paper", width=8).eval()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(model(images), model(images))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_training_reaches_every_parameter(name):
    model = build(name, (1, 8, 8)).train()
    images = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    nn.functional.cross_entropy(model(images), torch.arange(64) % 10).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "size", "side"), [("vgg", "paper", 8), ("vgg", "small", 4), ("densenet", "small", 2)]
)
def test_images_that_are_too_small_are_refused_when_the_model_is_built(name, size, side):
    with pytest.raises(UserError, match="pixels are too few"):
        build(name, (1, side, side), size=size)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_negative_width(name):
    with pytest.raises(UserError, match="width -4"):
        build(name, width=-4)


def test_own_module_that_fails_on_import(tmp_path, monkeypatch):
    (tmp_path / "dbray_test_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="ZeroDivisionError"):
        build("dbray_test_broken:make")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_wider_is_larger(name):
    assert parameters(build(name, width=16)) < parameters(build(name, width=32))


def test_own_architecture():
    assert parameters(build(f"{__name__}:linear")) == 650
    assert parameters(build(f"{__name__}:wide", width=3)) == 65 * 3 + 40


def test_own_architecture_with_lazy_layers_is_seeded_and_can_be_trained():
    path, images = f"{__name__}:lazy", torch.ones(4, 1, 8, 8)
    first, same, other = build(path), build(path), build(path, seed=1)
    assert torch.equal(first(images), same(images))
    assert not torch.equal(first(images), other(images))
    first(images).sum().backward()
    assert all(p.grad is not None for p in first.parameters())


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no_such_module:make", "cannot be imported"),
        (f"{__name__}:absent", "has no absent"),
        (f"{__name__}:not_a_model", "returned str"),
        (f"{__name__}:wrong_classes", r"shape \(2, 11\)"),
        (f"{__name__}:fails", "ZeroDivisionError"),
        (f"{__name__}:fails_on_a_batch", "first line second line"),
    ],
)
def test_own_architecture_that_does_not_work(path, said):
    with pytest.raises(UserError, match=said):
        build(path)


@pytest.mark.parametrize("name", ["lenet", "module:", ":make", ""])
def test_unknown_architecture_lists_the_choices(name):
    with pytest.raises(UserError, match="fcnet, mlp, vit"):
        validate_architecture(name)


def test_patches_that_do_not_fit():
    with pytest.raises(UserError, match="patches of 2x2"):
        build("vit", (1, 9, 9))
    with pytest.raises(UserError, match="4 heads"):
        build("vit", width=30)
