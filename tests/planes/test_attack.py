"""Adversarial anchors: the attack in closed form on linear models."""

import numpy as np
import pytest
import torch
from torch import nn

from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.planes.attack import RADIUS, adversarial_anchors, targeted_pgd

CPU = torch.device("cpu")


def linear(dataset, seed=0):
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(int(np.prod(dataset.input_shape)), dataset.classes)
    layer.weight.data = torch.randn(layer.weight.shape, generator=generator)
    return nn.Sequential(nn.Flatten(), layer).eval()


def test_two_classes_of_a_linear_model_lead_to_a_corner_of_the_ball():
    # The gradient's sign never changes, so every pixel ends RADIUS away along it.
    weight = torch.tensor([[1.0, -2, 3, -4], [0, 0, 0, 0]])
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False)).eval()
    model[1].weight.data = weight
    pixels = torch.full((1, 1, 2, 2), 0.5)
    mean, std = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    pushed = targeted_pgd(model, pixels, torch.tensor([0]), mean, std)
    corner = 0.5 + RADIUS * torch.tensor([1.0, -1, 1, -1]).reshape(1, 1, 2, 2)
    torch.testing.assert_close(pushed, corner)


def test_pixels_stay_pixels():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False)).eval()
    model[1].weight.data = torch.tensor([[1.0, 1, -1, -1], [0, 0, 0, 0]])
    pixels = torch.tensor([1.0, 0.97, 0.0, 0.02]).reshape(1, 1, 2, 2)
    pushed = targeted_pgd(
        model, pixels, torch.tensor([0]), torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    )
    torch.testing.assert_close(pushed.ravel(), torch.tensor([1.0, 1, 0, 0]))


def test_anchors_lie_around_one_image_towards_two_other_classes(digits):
    model = linear(digits)
    for number in range(5):
        anchors = adversarial_anchors(model, digits, number, 0, CPU)
        (image_id,) = set(anchors.image_ids)
        image = digits.test_images[image_id]
        np.testing.assert_array_equal(anchors.images[0], image)
        assert set(anchors.classes) == {int(digits.test_labels[image_id])}
        away = np.abs(anchors.images.astype(int) - image)
        assert 0 < away.max() <= round(255 * RADIUS) + 1
        with torch.no_grad():
            logits = model(torch.from_numpy(digits.normalise(anchors.images))).log_softmax(dim=1)
        gains = (logits[1:] - logits[0]).numpy()
        gains[:, anchors.classes[0]] = -np.inf
        assert (gains.max(axis=1) > 0).all()
        assert len(set(gains.argmax(axis=1))) == 2


def test_an_attack_can_be_repeated_and_differs_from_plane_to_plane(digits):
    model = linear(digits)
    one, same, other = (adversarial_anchors(model, digits, n, 0, CPU) for n in (0, 0, 1))
    np.testing.assert_array_equal(one.images, same.images)
    assert (one.images != other.images).any()


def test_two_classes_are_too_few():
    images = np.zeros((4, 1, 2, 2), np.uint8)
    labels = np.array([0, 1, 0, 1])
    data = Dataset("two", images, labels, images, labels, ("a", "b"), (0.0,), (1.0,))
    with pytest.raises(UserError, match="three classes"):
        adversarial_anchors(linear(data), data, 0, 0, CPU)


def test_a_model_without_gradient_is_refused(digits):
    model = linear(digits)
    model[1].weight.data.zero_()
    small = Dataset(
        "few",
        digits.train_images,
        digits.train_labels,
        digits.test_images[:5],
        digits.test_labels[:5],
        digits.class_names,
        digits.mean,
        digits.std,
    )
    with pytest.raises(UserError, match="gradient"):
        adversarial_anchors(model, small, 0, 0, CPU)
