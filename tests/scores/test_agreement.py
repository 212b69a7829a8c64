"""Agreement: exact counts against brute force, and what a score must obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dbray.scores.agreement import cohens_kappa, count_agreements, mean_jaccard

CLASSES = 5


def label_maps(models):
    shape = st.tuples(st.just(models), st.integers(1, 4), st.integers(1, 150))
    return shape.flatmap(lambda s: arrays(np.uint8, s, elements=st.integers(0, CLASSES - 1)))


@given(label_maps(4))
def test_counts_equal_brute_force(labels):
    counts = count_agreements(labels, None, CLASSES)
    for a in range(4):
        for b in range(4):
            equal = (labels[a] == labels[b]) & (a < b)
            assert (counts.agreements[:, a, b] == equal.sum(axis=1)).all()
            overlap = [(equal & (labels[a] == c)).sum() for c in range(CLASSES)]
            assert counts.overlaps[a, b].tolist() == overlap
    for histogram in (counts.histogram_a, counts.histogram_b):
        expected = [np.bincount(rows.ravel(), minlength=CLASSES) for rows in labels]
        assert (histogram == expected).all()


@given(label_maps(5))
def test_two_sides_equal_the_block_of_one(labels):
    together = count_agreements(labels, None, CLASSES)
    apart = count_agreements(labels[:2], labels[2:], CLASSES)
    assert (apart.agreements == together.agreements[:, :2, 2:]).all()
    assert (apart.overlaps == together.overlaps[:2, 2:]).all()
    assert (apart.histogram_a == together.histogram_a[:2]).all()
    assert (apart.histogram_b == together.histogram_a[2:]).all()


@settings(max_examples=30)
@given(label_maps(3), st.randoms(use_true_random=False))
def test_order_of_planes_and_names_of_classes_do_not_matter(labels, random):
    counts = count_agreements(labels, None, CLASSES)
    order = list(range(labels.shape[1]))
    random.shuffle(order)
    names = list(range(CLASSES))
    random.shuffle(names)
    renamed = np.array(names, np.uint8)[labels][:, order]
    again = count_agreements(renamed, None, CLASSES)
    assert (again.agreements == counts.agreements[order]).all()
    assert (again.overlaps[..., names] == counts.overlaps).all()


@given(label_maps(2))
def test_scores_are_symmetric_and_one_on_itself(labels):
    twice = np.concatenate([labels, labels[:1]])  # model 2 is model 0
    ab, ba = count_agreements(labels, None, CLASSES), count_agreements(labels[::-1], None, CLASSES)
    assert ab.agreements[:, 0, 1].tolist() == ba.agreements[:, 0, 1].tolist()
    counts = count_agreements(twice, None, CLASSES)
    assert (counts.agreements[:, 0, 2] == labels.shape[2]).all()
    histogram = counts.histogram_a[:1]
    points = np.array([labels[0].size])
    assert cohens_kappa(points, histogram, histogram) == 1
    assert mean_jaccard(counts.overlaps[0, 2][None], histogram, histogram) == 1


def test_sixteen_bit_labels():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 1000, (3, 2, 300)).astype(np.uint16)
    labels[1, :, :100] = labels[0, :, :100]
    counts = count_agreements(labels, None, 1000)
    assert (counts.agreements[:, 0, 1] == (labels[0] == labels[1]).sum(axis=1)).all()


def test_kappa_worked_by_hand():
    # Cohen's own kind of example: 20 + 15 of 50 agree; marginals 25/25 and 30/20.
    kappa = cohens_kappa(np.array([35]), np.array([[25, 25]]), np.array([[30, 20]]))
    assert kappa == pytest.approx((0.7 - 0.5) / 0.5)


def test_jaccard_worked_by_hand():
    overlaps = np.array([[2, 0, 0]])
    value = mean_jaccard(overlaps, np.array([[2, 2, 0]]), np.array([[4, 0, 0]]))
    assert value == pytest.approx((2 / 4 + 0) / 2)  # the class that nobody predicts is left out


def test_kappa_of_two_constant_models_is_one():
    constant = np.array([[7, 0]])
    assert cohens_kappa(np.array([7]), constant, constant) == 1
