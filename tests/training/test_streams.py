"""Streams of randomness: one seed's change leaves what the others draw alone, to the bit."""

import numpy as np
import pytest
import torch

from dbray.architectures import build_model
from dbray.config import TrainingConfig
from dbray.training import Training
from dbray.training.streams import drawn_sample, stream_seeds

CONFIG = TrainingConfig(epochs=1, batch_size=500, crop_padding=1)


def training(digits, data_seed, **options):
    model = build_model("mlp", input_shape=(1, 8, 8), classes=10, seed=0)
    return Training(
        model, digits, CONFIG, data_seed=data_seed, device=torch.device("cpu"), **options
    )


def drawn(found):
    """What comes of each generator next."""
    return (
        torch.randperm(50, generator=found.shuffler),
        torch.rand(50, generator=found.augmenter),
        found.random[0],
    )


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_seed_leaves_the_others_streams_alone(digits, place):
    changed = tuple(int(other == place) for other in range(3))
    before, after = (drawn(training(digits, seeds)) for seeds in ((0, 0, 0), changed))
    same = [a.equal(b) for a, b in zip(before, after, strict=True)]
    assert same == [other != place for other in range(3)]


def test_one_seed_is_as_three_equal_ones(digits):
    assert stream_seeds(7) == stream_seeds((7, 7, 7))
    assert len(set(stream_seeds(7))) == 3
    before, after = drawn(training(digits, 7)), drawn(training(digits, (7, 7, 7)))
    assert all(a.equal(b) for a, b in zip(before, after, strict=True))


def test_a_sample_is_drawn_with_replacement(digits):
    found = training(digits, 0, sample_seed=3)
    places = drawn_sample(len(digits.train_labels), 3)
    assert found.labels.tolist() == digits.train_labels[places].tolist()
    assert len(places) == len(digits.train_labels)
    assert 0.6 < len(np.unique(places)) / len(places) < 0.66  # 1 - 1/e of them
    assert drawn_sample(100, 3).tolist() != drawn_sample(100, 4).tolist()
    # What is drawn while training does not change with it.
    assert all(a.equal(b) for a, b in zip(drawn(found), drawn(training(digits, 0)), strict=True))
