"""Error against disagreement: pair by pair, and the claim that both are about equal."""

from itertools import combinations

import numpy as np
import pytest

from dbray.claims import verdict
from dbray.claims.contrasts import Asked
from dbray.claims.randomness import error_keys, randomness_claims
from dbray.jobs.contrasts import Contrasts
from dbray.scores import errors
from dbray.scores.errors import errors_of_pairs, line
from dbray.scores.randomness import BASES

MODELS, IMAGES, CLASSES = 5, 1500, 4
PAIRS = np.array(list(combinations(range(MODELS), 2)))
TOUCHED = np.array([[model in pair for model in range(MODELS)] for pair in PAIRS])


def sampled(chances, rng):
    """A class for each row of chances."""
    return (rng.random((len(chances), 1)) > chances.cumsum(axis=1)).sum(axis=1)


def answers(rng, labelled, sharpness=1.0):
    """Models that draw their answers from each image's chances, and labels drawn otherwise."""
    chances = rng.dirichlet(np.full(CLASSES, 0.3), IMAGES)
    sharp = chances**sharpness / (chances**sharpness).sum(axis=1, keepdims=True)
    predicted = np.stack([sampled(sharp, rng) for _ in range(MODELS)]).astype(np.uint8)
    return predicted, labelled(chances, rng)


def said(predicted, labels):
    """The verdict on R3."""
    trials = {"resnet": [None] * MODELS}
    claims = randomness_claims(Asked(trials, ("test",), group_by=("architecture", "varied")))
    (claim,) = [claim for claim in claims if claim.name == "R3"]
    contrasts = Contrasts(claims, {BASES: MODELS})
    both = errors_of_pairs(predicted, labels, PAIRS).parts(TOUCHED)
    for key, parts in zip(error_keys("resnet"), both, strict=True):
        contrasts.take(key, parts)
    return verdict(claim, contrasts.results()).outcome


def outcomes(labelled, sharpness=1.0, times=40):
    rng = np.random.default_rng(0)
    return [said(*answers(rng, labelled, sharpness)) for _ in range(times)]


def of_the_chances(chances, rng):
    return sampled(chances, rng)


def most_likely(chances, _):
    return chances.argmax(axis=1)


def test_pairs_are_compared_one_by_one(monkeypatch):
    rng = np.random.default_rng(0)
    predicted, labels = answers(rng, of_the_chances)
    whole = errors_of_pairs(predicted, labels, PAIRS)
    for place, (a, b) in enumerate(PAIRS):
        wrong = [(predicted[model] != labels).mean() for model in (a, b)]
        assert whole.error[place] == pytest.approx(np.mean(wrong))
        assert whole.apart[place] == pytest.approx((predicted[a] != predicted[b]).mean())
    assert whole.error_on[7] == pytest.approx((predicted[:, 7] != labels[7]).mean())
    assert whole.apart_on.mean() == pytest.approx(whole.apart.mean())
    monkeypatch.setattr(errors, "AT_ONCE", 64)
    pieces = errors_of_pairs(predicted, labels, PAIRS)
    assert (pieces.apart_on == whole.apart_on).all()
    assert (pieces.apart == whole.apart).all()


def test_models_that_are_as_sure_as_they_are_right_disagree_as_often_as_they_err():
    found = outcomes(of_the_chances)
    assert found.count("holds") >= 36


def test_models_that_waver_around_what_is_right_disagree_more_often():
    assert set(outcomes(most_likely, sharpness=2)) == {"does not hold"}


def test_models_that_are_too_sure_disagree_less_often():
    assert set(outcomes(of_the_chances, sharpness=5)) == {"does not hold"}


def test_at_the_margin_the_claim_is_rarely_said_to_hold():
    """Labels that make disagreement 1.25 times the error, on average."""

    def at_the_margin(chances, rng):
        apart = 1 - np.square(chances).sum(axis=1)
        sure = 1 - chances.max(axis=1)
        # Of a share of the images the label is the likeliest class, else it is drawn.
        share = (apart.mean() - apart.mean() / 1.25) / (apart.mean() - sure.mean())
        settled = rng.random(len(chances)) < share
        return np.where(settled, chances.argmax(axis=1), sampled(chances, rng))

    assert outcomes(at_the_margin, times=100).count("holds") <= 8


def test_a_line_through_the_pairs_has_slope_and_intercept_with_intervals():
    error = np.linspace(0.1, 0.3, len(PAIRS))
    slope, intercept = line(error, 0.02 + 0.8 * error, TOUCHED)
    assert slope.value == pytest.approx(0.8)
    assert intercept.value == pytest.approx(0.02)
    assert slope.without[BASES] == pytest.approx(np.full(MODELS, 0.8))
    assert line(np.full(len(PAIRS), 0.1), error, TOUCHED) is None
    few = line(error[:2], error[:2], np.eye(2, dtype=bool))  # one pair is left: no line
    assert not len(few[0].without[BASES])
