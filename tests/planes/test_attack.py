"""Adversarial anchors: the attack in closed form on linear models."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.planes.attack import FIRST, PUBLISHED, STEPS, adversarial_anchors, targeted_pgd

BOTH = pytest.mark.parametrize("attack", [PUBLISHED, FIRST], ids=["published", "first"])
CPU = torch.device("cpu")


def linear(dataset, seed=0):
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(int(np.prod(dataset.input_shape)), dataset.classes)
    layer.weight.data = torch.randn(layer.weight.shape, generator=generator)
    return nn.Sequential(nn.Flatten(), layer).eval()


def pushed_to_the_first_class(model, pixels, attack, start=None):
    mean, std = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    start = torch.zeros_like(pixels) if start is None else start
    return targeted_pgd(model, pixels, torch.tensor([0]), mean, std, attack, start)


@BOTH
def test_two_classes_of_a_linear_model_lead_to_a_corner_of_the_ball(attack):
    # The gradient's sign never changes, so every pixel ends a radius away along it.
    weight = torch.tensor([[1.0, -2, 3, -4], [0, 0, 0, 0]])
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False)).eval()
    model[1].weight.data = weight
    pixels = torch.full((1, 1, 2, 2), 0.5)
    corner = 0.5 + attack.radius * torch.tensor([1.0, -1, 1, -1]).reshape(1, 1, 2, 2)
    torch.testing.assert_close(pushed_to_the_first_class(model, pixels, attack), corner)
    far = torch.full_like(pixels, -attack.radius)
    torch.testing.assert_close(pushed_to_the_first_class(model, pixels, attack, far), corner)


@BOTH
def test_pixels_stay_pixels(attack):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False)).eval()
    model[1].weight.data = torch.tensor([[1.0, 1, -1, -1], [0, 0, 0, 0]])
    pixels = torch.tensor([1.0, 0.97, 0.0, 0.02]).reshape(1, 1, 2, 2)
    pushed = pushed_to_the_first_class(model, pixels, attack)
    torch.testing.assert_close(pushed.ravel(), torch.tensor([1.0, 1, 0, 0]))


def test_the_published_attack_is_of_eight_steps_of_a_pixel_from_a_random_start():
    assert (255 * PUBLISHED.radius, 255 * PUBLISHED.step) == (8, 2)
    assert PUBLISHED.random_start


def test_a_random_start_is_anywhere_in_the_ball(digits):
    short = replace(PUBLISHED, step=1 / 255 / STEPS)  # at most one value of a pixel away from it
    away = [
        (anchors.images[1:].astype(float) - anchors.images[0]).ravel()
        for anchors in (
            adversarial_anchors(linear(digits), digits, n, 0, CPU, short) for n in range(9)
        )
    ]
    inside = np.concatenate(away)  # where the image leaves room
    assert inside.max() == -inside.min() == 8
    assert 3.5 < inside[inside != 0].std() < 5.5  # 16 / sqrt(12), were there room everywhere


@BOTH
def test_anchors_lie_around_one_image_towards_two_other_classes(digits, attack):
    model = linear(digits)
    for number in range(5):
        anchors = adversarial_anchors(model, digits, number, 0, CPU, attack)
        (image_id,) = set(anchors.image_ids)
        image = digits.test_images[image_id]
        np.testing.assert_array_equal(anchors.images[0], image)
        assert set(anchors.classes) == {int(digits.test_labels[image_id])}
        away = np.abs(anchors.images.astype(int) - image)
        assert 0 < away.max() <= round(255 * attack.radius)
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
