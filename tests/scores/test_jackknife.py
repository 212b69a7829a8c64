"""Intervals over planes and trials: held against a slow way, and they keep what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dbray.scores.jackknife import estimate, holm


def slowly(shares):
    """Mean over planes and pairs (P, S, S) with its interval, a sum at a time."""
    planes, count, _ = shares.shape
    pairs = [(a, b) for a in range(count) for b in range(a)]

    def mean(chosen):
        return sum(shares[p, a, b] for p in range(planes) for a, b in chosen) / (
            planes * len(chosen)
        )

    score = mean(pairs)
    by_plane = [sum(shares[p, a, b] for a, b in pairs) / len(pairs) for p in range(planes)]
    v_planes = sum((x - score) ** 2 for x in by_plane) / (planes - 1) / planes
    without = [mean([pair for pair in pairs if i not in pair]) for i in range(count)]
    middle = sum(without) / count
    v_seeds = (count - 1) / count * sum((x - middle) ** 2 for x in without)
    variance = v_planes + v_seeds
    freedom = variance**2 / (v_planes**2 / (planes - 1) + v_seeds**2 / (count - 1))
    half = stats.t.ppf(0.975, freedom) * variance**0.5
    return score, score - half, score + half


def parts(shares):
    count = shares.shape[1]
    pairs = np.tril(np.ones((count, count), bool), -1)
    means = shares.mean(axis=0)
    without = []
    for i in range(count):
        kept = pairs.copy()
        kept[i], kept[:, i] = False, False
        without.append(means[kept].mean())
    return means[pairs].mean(), shares[:, pairs].mean(axis=1), np.array(without)


@pytest.mark.parametrize("count", [3, 4, 7])
def test_the_interval_is_that_of_the_formulas(count):
    rng = np.random.default_rng(count)
    shares = rng.uniform(0.2, 0.9, (11, count, count))
    value, by_plane, without = parts(shares)
    found = estimate(value, by_plane, [without])
    assert (found.value, found.low, found.high) == pytest.approx(slowly(shares), rel=1e-12)
    assert not found.planes_only


def test_an_interval_is_cut_to_what_a_score_can_be():
    rng = np.random.default_rng(0)
    by_plane = rng.uniform(0, 1, 3)
    found = estimate(by_plane.mean(), by_plane, [rng.uniform(0, 1, 3)], bounds=(0.0, 1.0))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_single_pair_has_an_interval_over_planes_alone_and_says_so():
    by_plane = np.array([0.4, 0.5, 0.9, 0.6])
    found = estimate(by_plane.mean(), by_plane, [np.array([])])
    half = stats.t.ppf(0.975, 3) * by_plane.std(ddof=1) / 2
    assert (found.low, found.high) == pytest.approx(
        (by_plane.mean() - half, by_plane.mean() + half)
    )
    assert found.planes_only


def test_a_score_that_never_varies_is_certain():
    found = estimate(1.0, np.ones(5), [np.ones(3)])
    assert (found.low, found.high, found.standard_error) == (1, 1, 0)
    assert estimate(0.0, np.zeros(5), [np.zeros(3)]).p == 1
    assert found.p == 0


def test_one_plane_and_one_pair_tell_nothing():
    found = estimate(0.5, np.array([0.5]), [np.array([])], bounds=(0.0, 1.0))
    assert (found.low, found.high, found.p) == (0, 1, 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction(p_values):
    corrected = holm(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    so_far = 0.0
    for step, i in enumerate(order):
        so_far = max(so_far, min(1.0, (len(p_values) - step) * p_values[i]))
        assert corrected[i] == pytest.approx(so_far)


@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_intervals_cover_what_they_promise(spread):
    """Three noisy seeds on 30 planes that differ in how hard they are; 95 % promised."""
    rng = np.random.default_rng(3)
    hits, repetitions = 0, 600
    for _ in range(repetitions):
        seeds = rng.normal(0, spread, 3)
        planes = rng.normal(0, 0.1, 30)
        noise = rng.normal(0, 0.03, (30, 3, 3))
        value, by_plane, without = parts(
            0.7 + planes[:, None, None] + seeds[:, None] + seeds + noise
        )
        found = estimate(value, by_plane, [without])
        hits += found.low <= 0.7 <= found.high
    assert 0.91 <= hits / repetitions <= 0.99
