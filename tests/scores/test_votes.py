"""What models call each image, counted against plain Python."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from dbray.scores.similarity import disagreement
from dbray.scores.votes import votes


@pytest.fixture(scope="module")
def predicted():
    rng = np.random.default_rng(0)
    return rng.integers(0, rng.integers(1, 300, 40), (7, 40)).astype(np.uint16)


def test_votes_are_those_of_a_count_image_by_image(predicted):
    found = votes(predicted)
    for image, named in enumerate(predicted.T):
        expected = sorted(Counter(named.tolist()).items(), key=lambda pair: (-pair[1], pair[0]))
        part = slice(found.starts[image], found.starts[image + 1])
        assert list(zip(found.classes[part], found.counts[part], strict=True)) == expected


def test_disagreement_is_that_of_pairs_one_by_one(predicted):
    found = votes(predicted).disagreement
    for image, named in enumerate(predicted.T):
        pairs = [a != b for a, b in combinations(named, 2)]
        assert found[image] == pytest.approx(np.mean(pairs))
    churn = disagreement(predicted, predicted)[np.triu_indices(len(predicted), 1)]
    assert found.mean() == pytest.approx(churn.mean())


def test_disagreement_estimates_the_probability_without_bias():
    chances = np.array([0.6, 0.3, 0.1])
    drawn = np.random.default_rng(1).choice(3, (3, 20_000), p=chances).astype(np.uint8)
    expected = 1 - np.square(chances).sum()
    assert votes(drawn).disagreement.mean() == pytest.approx(expected, abs=0.01)
