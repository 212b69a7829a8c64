"""Recipes: as published at paper size, quick and accurate on a laptop."""

from dataclasses import replace

import pytest
import torch

from dbray.architectures import ARCHITECTURES, build_model
from dbray.config import TrainingConfig
from dbray.training import DISTILLATION, optimizer_recipe, randomness_recipe, recipe
from dbray.training.training import train


@pytest.mark.parametrize("name", ["fcnet", "vgg"])
def test_a_small_network_is_accurate_after_its_recipe(digits, name):
    torch.set_num_threads(1)
    model = build_model(name, input_shape=(1, 8, 8), classes=10, seed=0)
    config = recipe(name, "small", "digits", 8)
    history = train(model, digits, config, data_seed=0, device=torch.device("cpu"))
    assert history[-1].test_accuracy > 0.95


@pytest.mark.parametrize("name", ["fcnet", "vgg", "resnet", "densenet", "wideresnet", "resnet18k"])
def test_the_papers_recipe(name):
    assert recipe(name, "paper", "cifar10", 32) == TrainingConfig(
        epochs=100,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        schedule="step",
        crop_padding=4,
        flip=True,
    )


@pytest.mark.parametrize("name", ["vit", "mixer"])
def test_transformer_and_mixer_take_the_rate_of_the_optimizer_study(name):
    config = recipe(name, "paper", "cifar10", 32)
    assert (config.optimizer, config.learning_rate) == ("adam", 1e-3)
    assert config.schedule == "constant"


@pytest.mark.parametrize(
    ("name", "adam", "sgd"),
    [("resnet", 1e-3, 0.05), ("vgg", 2e-3, 5e-3), ("vit", 1e-3, 0.02), ("mixer", 1e-3, 0.02)],
)
def test_the_papers_optimizer_study(name, adam, sgd):
    by = {o: optimizer_recipe(name, o, "paper", "cifar10", 32) for o in ("adam", "sgd", "sam")}
    assert {(c.epochs, c.batch_size, c.crop_padding, c.flip) for c in by.values()} == {
        (200, 64, 4, True)
    }
    assert {name: config.learning_rate for name, config in by.items()} == {
        "adam": adam,
        "sgd": sgd,
        "sam": sgd,
    }
    assert {name: config.schedule for name, config in by.items()} == {
        "adam": "constant",
        "sgd": "step",
        "sam": "step",
    }
    assert by["sam"].sam_radius == 0.05


def test_the_papers_students_learn_logits_and_its_soft_outputs_are_at_thirty():
    assert DISTILLATION == {"small": ("kl", 4), "paper": ("mse", 30)}


@pytest.mark.parametrize("size", ["small", "paper"])
@pytest.mark.parametrize("name", [*ARCHITECTURES, "my_package.my_module:make_model"])
def test_every_architecture_has_a_recipe_that_fits_the_images(name, size):
    small, large = recipe(name, size, "digits", 8), recipe(name, size, "cifar10", 32)
    assert (small.crop_padding, large.crop_padding) == (1, 4)
    assert not small.flip
    assert large.flip


@pytest.mark.parametrize("dataset", ["digits", "mnist", "svhn"])
def test_digits_are_never_mirrored(dataset):
    assert not recipe("resnet", "small", dataset, 32).flip


def test_a_users_own_architecture_gets_the_common_recipe():
    own = recipe("my_package.my_module:make_model", "small", "digits", 8)
    assert own == recipe("resnet", "small", "digits", 8)


def test_small_transformers_train_for_half_as_long_where_sources_of_randomness_are_studied():
    usual, short = (of("vit", "small", "digits", 8) for of in (recipe, randomness_recipe))
    assert short == replace(usual, epochs=30)
    assert usual.epochs == 60
    for others in (("vit", "paper", "cifar10", 32), ("vit", "small", "scenes", 10)):
        assert randomness_recipe(*others) == recipe(*others)
    assert randomness_recipe("resnet", "small", "digits", 8) == recipe(
        "resnet", "small", "digits", 8
    )
