"""Accuracy and churn of ensembles against every ensemble made by hand."""

from itertools import combinations

import numpy as np
import pytest

from dbray.scores.ensembles import MOST_DRAWS, EnsembleCounts, disjoint_pairs, ensembles_of
from dbray.scores.jackknife import estimate

IMAGES, CLASSES = 30, 4


def answers(models, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, IMAGES)
    logits = rng.normal(0, 1, (models, IMAGES, CLASSES)) + 1.0 * np.eye(CLASSES)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return probabilities.astype(np.float32), labels


def counted(probabilities, labels, size, cuts=(7, 8)):
    found = EnsembleCounts(len(probabilities), size)
    for part in np.split(np.arange(IMAGES), cuts):
        found.add(probabilities[:, part], labels[part])
    return found


def by_hand(probabilities, labels, size, without=()):
    """Mean accuracy and churn, image by image, of all that can be made without some models."""
    there = [m for m in range(len(probabilities)) if m not in without]
    answer = {
        members: probabilities[list(members)].mean(axis=0).argmax(axis=-1)
        for members in combinations(there, size)
    }
    right = [answer[members] == labels for members in answer]
    apart = [answer[a] != answer[b] for a, b in combinations(answer, 2) if not set(a) & set(b)]
    return [np.mean(each, axis=0) if each else None for each in (right, apart)]


@pytest.mark.parametrize(("models", "size"), [(2, 1), (5, 1), (5, 2), (6, 2), (4, 4)])
def test_scores_are_those_of_every_ensemble_made_by_hand(models, size):
    probabilities, labels = answers(models)
    found = counted(probabilities, labels, size)
    right, apart = by_hand(probabilities, labels, size)
    accuracy, churn = found.accuracy("g"), found.churn("g")
    assert accuracy.value == pytest.approx(right.mean())
    assert accuracy.by_plane == pytest.approx(right)
    assert (churn is None) == (apart is None)
    rest = [by_hand(probabilities, labels, size, [m]) for m in range(models)]
    parts = [(accuracy, 0), *([(churn, 1)] if churn else [])]
    for each, place in parts:
        known = [values[place] for values in rest]
        if any(values is None for values in known):
            assert len(each.without["g"]) == 0
            assert estimate(each).planes_only
        else:
            assert each.without["g"] == pytest.approx([values.mean() for values in known])
    if churn:
        assert churn.by_plane == pytest.approx(apart)


def test_many_models_are_drawn_from_the_same_ways_again():
    few, many = ensembles_of(9, 4), ensembles_of(30, 4)
    assert len(few) == 126
    assert len(many) == MOST_DRAWS
    assert many == ensembles_of(30, 4)
    pairs = disjoint_pairs(30, 4)
    assert len(pairs) == MOST_DRAWS
    assert all(len({*a, *b}) == 8 for a, b in pairs)
    assert len(disjoint_pairs(8, 4)) == 35
    assert disjoint_pairs(7, 4) == []


def test_drawn_ensembles_score_near_all_of_them():
    probabilities, labels = answers(14)
    found = counted(probabilities, labels, 4)  # 1001 ensembles
    right, _ = by_hand(probabilities, labels, 4)
    assert found.accuracy("g").value == pytest.approx(right.mean(), abs=0.01)


def test_intervals_of_churn_hold_what_new_models_and_images_give():
    """Of 95 % intervals, at least 90 % in 200 simulations of models that differ in skill."""

    def models(rng, count, images):
        labels = rng.integers(0, CLASSES, images)
        hard = rng.normal(0, 0.5, (1, images, 1))
        skill = 1 + rng.normal(0, 0.3, (count, 1, 1)) + hard
        logits = rng.normal(0, 1, (count, images, CLASSES)) + skill * np.eye(CLASSES)[labels]
        return np.exp(logits).astype(np.float32), labels

    def churn(rng, count, images):
        found = EnsembleCounts(count, 2)
        found.add(*models(rng, count, images))
        return found.churn("g")

    truth = np.mean([churn(np.random.default_rng([9, i]), 4, 2000).value for i in range(100)])
    held = 0
    for salt in range(200):
        found = estimate(churn(np.random.default_rng([8, salt]), 6, 60))
        held += found.low <= truth <= found.high
    assert held >= 180
