"""The barrier between networks, and matching: a network permuted at random is found again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dbray.architectures import build_model
from dbray.config import TrainingConfig
from dbray.training.training import train
from dbray.trial.barrier import ESTIMATED_ON, POINTS, barrier, barriers
from dbray.trial.matching import hidden_units, matched, permuted

CPU = torch.device("cpu")


def network(digits, architecture, seed=0):
    return build_model(
        architecture, input_shape=digits.input_shape, classes=10, seed=seed, published=True
    )


@pytest.fixture(scope="module", params=["mlp", "resnet", "vgg", "resnet18k", "fcnet"])
def trained(request, digits):
    model = network(digits, request.param)
    config = TrainingConfig(
        epochs=4, batch_size=64, optimizer="adam", learning_rate=3e-3, crop_padding=0, flip=False
    )
    train(model, digits, config, data_seed=0, device=CPU)
    return model.eval()


def test_a_permuted_network_is_the_same_function_and_is_found_again(trained, digits):
    state = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    units = hidden_units(trained)
    drawn = torch.Generator().manual_seed(0)
    sizes = [len(state[axes[0][0]]) for axes in units]
    orders = [torch.randperm(size, generator=drawn) for size in sizes]
    other = permuted(state, units, orders)
    images = torch.from_numpy(digits.normalise(digits.test_images[:50]))
    answers = trained(images)
    trained.load_state_dict(other)
    assert torch.allclose(trained(images), answers, atol=1e-4)
    trained.load_state_dict(state)
    assert barrier(trained, state, other, digits) > 0.01
    back = matched(state, other, units)
    assert barrier(trained, state, back, digits) == 0
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_every_unit_of_a_layer_is_in_the_permutations(digits):
    for architecture in ("mlp", "fcnet", "vgg", "resnet", "resnet18k", "wideresnet"):
        model = network(digits, architecture)
        parts = {name for axes in hidden_units(model) for name, axis in axes if axis == 0}
        state = {n for n in model.state_dict() if not n.endswith("num_batches_tracked")}
        classes = [n for n in state if len(model.state_dict()[n]) == 10]
        assert parts == state - set(classes)


def test_a_network_has_no_barrier_to_itself_and_one_to_another_training(trained, digits):
    state = trained.state_dict()
    assert barrier(trained, state, state, digits) == 0
    assert barriers(trained, trained, digits) == {"barrier": 0, "barrier_matched": 0}


def test_statistics_are_estimated_on_some_images_of_a_large_data_set(digits):
    """Spread over it: where images lie in the order of their classes, all classes are there."""
    many = replace(
        digits,
        train_images=np.tile(digits.train_images, (8, 1, 1, 1)),
        train_labels=np.tile(digits.train_labels, 8),
    )
    model = network(digits, "resnet")
    seen = []
    model.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert barrier(model, state, state, many) == 0
    points = sum(seen) / POINTS - len(digits.test_labels)
    assert 3_000 < points <= ESTIMATED_ON < len(many.train_labels)


def test_networks_of_other_kinds_are_not_matched(digits):
    model = network(digits, "vit")
    assert hidden_units(model) is None
    assert set(barriers(model, model, digits)) == {"barrier"}
