"""Label noise: how many labels change, which, to what; and its place in configs and groups."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from dbray.config import (
    NoiseConfig,
    TrialConfig,
    canonical_json,
    group_label,
    stored_config,
)
from dbray.datasets import noisy_labels
from dbray.errors import UserError
from dbray.store.shapes import parse_config

PLAIN = TrialConfig("digits", "f" * 64, "mlp", width=24)
GROUP_BY = ["architecture", "noise", "stop_epoch"]

KINDS = st.sampled_from(["symmetric", "asymmetric"])
SHARES = st.floats(0, 1) | st.sampled_from([0.05, 0.1, 0.2, 0.29, 0.3, 0.5, 0.7])
NOISES = st.builds(NoiseConfig, SHARES, KINDS, st.integers(0, 1000))
# Classes of very different sizes, and some without an image.
LABELS = st.integers(2, 12).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.integers(0, classes - 1), min_size=1, max_size=150).map(np.array),
    )
)


@given(LABELS, NOISES)
def test_exactly_the_share_of_the_labels_changes(labelled, noise):
    classes, labels = labelled
    before = labels.copy()
    noisy = noisy_labels(labels, classes, noise)
    assert (noisy != labels).sum() == round(noise.share * len(labels))
    assert noisy.dtype == labels.dtype
    assert noisy.min() >= 0
    assert noisy.max() < classes
    np.testing.assert_array_equal(labels, before)  # the data set keeps its labels


@given(LABELS, NOISES)
def test_every_class_loses_its_share_to_within_one_image(labelled, noise):
    classes, labels = labelled
    wrong = noisy_labels(labels, classes, noise) != labels
    for of_class in range(classes):
        mine = labels == of_class
        assert abs(wrong[mine].sum() - noise.share * mine.sum()) < 1 + 1e-9


@given(LABELS, NOISES)
def test_a_seed_gives_the_same_labels_every_time(labelled, noise):
    classes, labels = labelled
    np.testing.assert_array_equal(
        noisy_labels(labels, classes, noise), noisy_labels(labels, classes, noise)
    )


@given(KINDS, st.integers(0, 1000), st.integers(0, 1000))
def test_another_seed_changes_other_images(kind, seed, other):
    labels = np.arange(500) % 10
    one, two = (noisy_labels(labels, 10, NoiseConfig(0.3, kind, s)) for s in (seed, other))
    assert (seed == other) == bool((one == two).all())


@given(LABELS, NOISES, SHARES)
def test_more_noise_keeps_the_labels_that_less_has_changed(labelled, noise, share):
    """But for one image a class, by which the rounding may differ."""
    classes, labels = labelled
    less, more = sorted((noise.share, share))
    small, large = (
        noisy_labels(labels, classes, replace(noise, share=share)) for share in (less, more)
    )
    lost = (small != labels) & (large != small)
    assert np.bincount(labels[lost], minlength=classes).max() <= 1


@given(LABELS, st.floats(0, 1), st.integers(0, 1000))
def test_asymmetric_noise_goes_to_the_next_class(labelled, share, seed):
    classes, labels = labelled
    noisy = noisy_labels(labels, classes, NoiseConfig(share, "asymmetric", seed))
    wrong = noisy != labels
    np.testing.assert_array_equal(noisy[wrong], (labels[wrong] + 1) % classes)


def test_symmetric_noise_is_uniform_over_the_other_classes():
    classes = 10
    labels = np.arange(200_000) % classes
    noisy = noisy_labels(labels, classes, NoiseConfig(0.5))
    wrong = noisy != labels
    for of_class in range(classes):
        counts = np.bincount(noisy[wrong & (labels == of_class)], minlength=classes)
        assert counts[of_class] == 0
        assert chisquare(np.delete(counts, of_class)).pvalue > 1e-3


def test_both_kinds_change_the_same_images():
    labels = np.arange(300) % 7
    symmetric, asymmetric = (
        noisy_labels(labels, 7, NoiseConfig(0.4, kind, 5)) for kind in ("symmetric", "asymmetric")
    )
    np.testing.assert_array_equal(symmetric != labels, asymmetric != labels)
    assert (symmetric != asymmetric).any()


def test_images_are_drawn_from_all_of_a_class():
    """Not its first ones: a data set may be sorted."""
    labels = np.zeros(1000, int)
    places = np.flatnonzero(noisy_labels(labels, 2, NoiseConfig(0.2)))
    assert abs(places.mean() - 500) < 70


def test_without_noise_the_labels_are_as_they_are():
    labels = np.arange(10)
    assert noisy_labels(labels, 10, None) is labels


def test_a_single_class_cannot_be_mislabelled():
    with pytest.raises(UserError, match="two classes"):
        noisy_labels(np.zeros(5, int), 1, NoiseConfig(0.2))


def test_configs_without_noise_keep_their_ids():
    assert not {"noise", "stop_epoch"} & set(stored_config(PLAIN))
    # Frozen, as the id of a resnet is in test_store.
    assert PLAIN.trial_id == "3b07b195c15a"
    ids = {
        replace(PLAIN, noise=NoiseConfig(0.2)).trial_id,
        replace(PLAIN, noise=NoiseConfig(0.2, seed=1)).trial_id,
        replace(PLAIN, noise=NoiseConfig(0.2, "asymmetric")).trial_id,
        replace(PLAIN, noise=NoiseConfig(0.3)).trial_id,
        replace(PLAIN, stop_epoch=5).trial_id,
        PLAIN.trial_id,
    }
    assert len(ids) == 6


@given(NOISES | st.none(), st.integers(1, 500) | st.none())
def test_noise_and_a_stop_survive_json(noise, stop_epoch):
    config = replace(PLAIN, noise=noise, stop_epoch=stop_epoch)
    back = parse_config(canonical_json(stored_config(config)).encode())
    assert back == config
    assert back.trial_id == config.trial_id


@pytest.mark.parametrize(
    ("noise", "stop", "label"),
    [
        (None, None, "mlp@24/no noise"),
        (None, 30, "mlp@24/no noise/epoch 30"),
        (NoiseConfig(0.2), None, "mlp@24/20 % noise"),
        (NoiseConfig(0.2, seed=3), 100, "mlp@24/20 % noise/epoch 100"),
        (NoiseConfig(0.07, "asymmetric"), 100, "mlp@24/7 % asymmetric noise/epoch 100"),
        (NoiseConfig(0.125), None, "mlp@24/12.5 % noise"),
    ],
)
def test_groups_of_a_noise_and_a_stop(noise, stop, label):
    assert group_label(replace(PLAIN, noise=noise, stop_epoch=stop), GROUP_BY) == label


def test_a_trial_says_its_noise_and_draws_of_one_noise_are_told_apart():
    drawn = replace(PLAIN, noise=NoiseConfig(0.2, seed=2), weights_seed=1, data_seed=1)
    assert drawn.name == "mlp@24 (20 % noise)"
    assert drawn.member == "seed 1, noise 2"


def test_a_trial_ends_where_it_is_told_or_with_its_training():
    assert PLAIN.last_epoch == PLAIN.training.epochs
    assert replace(PLAIN, stop_epoch=7).last_epoch == 7
