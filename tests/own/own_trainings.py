"""Trainings as users write them, well and badly; imported by name."""

import os
import random
import sys

import numpy as np
import torch
from torch import nn

MAKER = {}


def make(input_shape, classes, hidden=8):
    pixels = int(np.prod(input_shape))
    return nn.Sequential(
        nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, classes)
    )


def good(seeds, dataset, report, hidden=8):
    torch.manual_seed(seeds.weights)
    model = make(dataset.input_shape, dataset.classes, hidden)
    for epoch in range(2):
        report(epoch + 1, 1.0 / (epoch + 1), 0.5)
    return model


def one_seed(seed):
    torch.manual_seed(seed)
    return make((1, 8, 8), 10)


def with_factory(seed, hidden=8):
    torch.manual_seed(seed)
    return make((1, 8, 8), 10, hidden), make


def with_a_nameless_factory(seed):
    return make((1, 8, 8), 10), lambda input_shape, classes: make(input_shape, classes)


def ordered(seeds):
    """Draws twice from each of the generators that scripts share."""
    seeds.seed_everything()
    model = make((1, 8, 8), 10)
    drawn = torch.tensor([torch.rand(1).item(), np.random.rand(), random.random()])  # noqa: NPY002
    with torch.no_grad():
        model[1].bias[:3] = drawn
    return model


def raises(seed):
    print("about to fail")
    raise ZeroDivisionError("no such thing")


def exits(seed):
    sys.exit("enough")


def returns_weights(seed):
    return make((1, 8, 8), 10).state_dict()


def wrong_classes(seed):
    return make((1, 8, 8), 7)


def not_finite(seed):
    model = make((1, 8, 8), 10)
    model[1].weight.data.fill_(float("nan"))
    return model


def random_answers(seed):
    return nn.Sequential(make((1, 8, 8), 10), AlwaysDropout())


class AlwaysDropout(nn.Module):
    def forward(self, inputs):
        return nn.functional.dropout(inputs, 0.5, training=True)


def untidy(seed, folder):
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    os.chdir(folder)
    os.system("sleep 600 &")
    print("left behind")
    os.system("echo from a shell")
    return make((1, 8, 8), 10).float()


def probabilities(seed):
    torch.manual_seed(seed)
    return nn.Sequential(make((1, 8, 8), 10), nn.Softmax(dim=1))


def takes_nothing():
    return make((1, 8, 8), 10)


def needs_more(seed, momentum):
    return make((1, 8, 8), 10)
