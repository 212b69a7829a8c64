"""Intervals over planes and trials: held against a slow way, and they keep what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dbray.scores.jackknife import (
    MOST_SEEDS,
    SHARE,
    Parts,
    across_pairs,
    combined,
    crossed,
    estimate,
    estimates_across,
    holm,
    over_pairs,
    over_trials,
    seeds_to_decide,
)

POINTS = 100


def mean(values):
    return sum(values) / len(values)


def slowly(by_plane, groups):
    """Interval of a score (a function of the left-out trial) by METHOD 9, a sum at a time.

    ``groups`` maps a group's name to the score without each of its trials.
    """
    planes = len(by_plane)
    score = mean(by_plane)
    v_planes = sum((x - score) ** 2 for x in by_plane) / (planes - 1) / planes
    variances = [(v_planes, planes - 1)]
    for without in groups.values():
        count = len(without)
        spread = sum((x - mean(without)) ** 2 for x in without)
        variances.append(((count - 1) / count * spread, count - 1))
    variance = sum(v for v, _ in variances)
    freedom = variance**2 / sum(v**2 / df for v, df in variances)
    half = stats.t.ppf(0.975, freedom) * variance**0.5
    p = 2 * stats.t.sf(abs(score) / variance**0.5, freedom)
    return score, score - half, score + half, p


def drawn(seed, planes=11, sizes=(4, 3)):
    """Points on which every two of some trials agree, (P, M, M), and the trials of two groups."""
    rng = np.random.default_rng(seed)
    count = sum(sizes)
    points = rng.integers(20, 90, (planes, count, count))
    return points, (list(range(sizes[0])), list(range(sizes[0], count)))


def within_pairs(group, without=None):
    return [(a, b) for a in group for b in group if a < b and without not in (a, b)]


def across(one, two, without=None):
    return [(a, b) for a in one for b in two if without not in (a, b)]


def share(points, plane, pairs):
    return mean([points[plane, a, b] / POINTS for a, b in pairs])


def whole(points, pairs):
    return mean([share(points, plane, pairs) for plane in range(len(points))])


def parts_within(points, group, name):
    sums = np.triu(points[:, group][:, :, group], 1)
    pairs = len(group) * (len(group) - 1) / 2
    by_plane = sums.sum(axis=(1, 2)) / (pairs * POINTS)
    return over_pairs(by_plane, sums.sum(axis=0), len(points) * POINTS, name)


def parts_across(points, one, two):
    sums = points[:, one][:, :, two]
    by_plane = sums.mean(axis=(1, 2)) / POINTS
    return across_pairs(by_plane, sums.sum(axis=0), len(points) * POINTS, ("a", "b"))


def told(found):
    return found.value, found.low, found.high, found.p


@pytest.mark.parametrize("seed", range(3))
def test_agreement_within_a_group_is_that_of_the_formulas(seed):
    points, (one, _) = drawn(seed)
    by_plane = [share(points, plane, within_pairs(one)) for plane in range(len(points))]
    without = [whole(points, within_pairs(one, i)) for i in one]
    found = estimate(parts_within(points, one, "a"))
    assert told(found) == pytest.approx(slowly(by_plane, {"a": without}), rel=1e-9)
    assert not found.planes_only


@pytest.mark.parametrize("seed", range(3))
def test_agreement_between_groups_is_that_of_the_formulas(seed):
    points, (one, two) = drawn(seed)
    by_plane = [share(points, plane, across(one, two)) for plane in range(len(points))]
    groups = {
        name: [whole(points, across(one, two, i)) for i in group]
        for name, group in (("a", one), ("b", two))
    }
    found = estimate(parts_across(points, one, two))
    assert told(found) == pytest.approx(slowly(by_plane, groups), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_trial_that_serves_two_scores_is_left_out_of_both_at_once(seed):
    """Mean of both groups' agreement within, less that between them."""
    points, (one, two) = drawn(seed)

    def contrast(plane=None, without=None):
        pairs = (within_pairs(one, without), within_pairs(two, without), across(one, two, without))
        of = (lambda p: whole(points, p)) if plane is None else (lambda p: share(points, plane, p))
        return (of(pairs[0]) + of(pairs[1])) / 2 - of(pairs[2])

    by_plane = [contrast(plane) for plane in range(len(points))]
    groups = {"a": [contrast(None, i) for i in one], "b": [contrast(None, i) for i in two]}
    found = combined(
        [
            (0.5, parts_within(points, one, "a")),
            (0.5, parts_within(points, two, "b")),
            (-1.0, parts_across(points, one, two)),
        ]
    )
    assert told(estimate(found)) == pytest.approx(slowly(by_plane, groups), rel=1e-9)


def test_a_value_of_every_trial_on_every_plane():
    values = np.random.default_rng(0).normal(5, 1, (4, 9))
    without = [mean([v for j, row in enumerate(values) for v in row if j != i]) for i in range(4)]
    expected = slowly(values.mean(axis=0), {"a": without})
    assert told(estimate(crossed(values, "a"))) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=8, unique=True))
def test_one_value_a_trial_has_students_interval(thousandths):
    values = np.array(thousandths) / 1000
    found = estimate(over_trials(values, "a"))
    interval = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(interval, rel=1e-6, abs=1e-9)


def test_accuracies_that_are_equal_by_rounding_still_have_a_width():
    """Three seeds of 340 right answers in 360 are not three times the same accuracy."""
    equal = over_trials(np.full(3, 340 / 360), "a", images=360)
    error = (1 / 360) / 12**0.5 / 3**0.5
    found = estimate(equal)
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 2) * error)
    # Nor is a difference of two such groups certain.
    other = over_trials(np.full(3, 341 / 360), "b", images=360)
    difference = combined([(1.0, other), (-1.0, equal)])
    found = estimate(difference)
    assert found.standard_error == pytest.approx(error * 2**0.5)
    assert 0.01 < found.p < 0.02
    assert seeds_to_decide(difference) == 3


def test_a_trial_without_part_in_a_score_does_not_count_as_one():
    by_plane = np.array([0.2, 0.4, 0.6])
    apart = Parts(0.4, by_plane, {"a": np.array([0.3, np.nan, 0.5])})
    alone = Parts(0.4, by_plane, {"a": np.array([0.3, 0.5])})
    assert estimate(apart) == estimate(alone)


def test_an_interval_is_cut_to_what_a_score_can_be():
    rng = np.random.default_rng(0)
    by_plane = rng.uniform(0, 1, 3)
    parts = Parts(by_plane.mean(), by_plane, {"a": rng.uniform(0, 1, 3)})
    found = estimate(parts, bounds=(0.0, 1.0))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_single_pair_has_an_interval_over_planes_alone_and_says_so():
    by_plane = np.array([0.4, 0.5, 0.9, 0.6])
    pair = over_pairs(by_plane, np.array([[0, 240], [0, 0]]), 400, "a")
    found = estimate(pair)
    half = stats.t.ppf(0.975, 3) * by_plane.std(ddof=1) / 2
    assert (found.low, found.high) == pytest.approx((0.6 - half, 0.6 + half))
    assert found.planes_only
    other = Parts(0.5, by_plane, {"b": np.array([0.5, 0.4, 0.6])})
    assert estimate(combined([(1.0, pair), (-1.0, other)])).planes_only


def test_a_score_that_never_varies_is_certain():
    found = estimate(Parts(1.0, np.ones(5), {"a": np.ones(3)}))
    assert (found.low, found.high, found.standard_error) == (1, 1, 0)
    assert estimate(Parts(0.0, np.zeros(5), {"a": np.zeros(3)})).p == 1
    assert found.p == 0


def test_one_plane_and_one_pair_have_no_interval():
    found = estimate(Parts(0.5, np.array([0.5]), {"a": np.empty(0)}), bounds=(0.0, 1.0))
    assert (np.isnan(found.low), np.isnan(found.high), found.p) == (True, True, 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction(p_values):
    corrected = holm(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    so_far = 0.0
    for step, i in enumerate(order):
        so_far = max(so_far, min(1.0, (len(p_values) - step) * p_values[i]))
        assert corrected[i] == pytest.approx(so_far)


@pytest.mark.parametrize("effect", [0.2, 0.05, 0.02, -0.05])
def test_the_seeds_that_would_decide_are_those_whose_interval_leaves_zero_out(effect):
    """A group whose every trial deviates by one of two amounts stays as it is when it grows."""
    by_plane = effect + 0.01 * np.tile([-1.0, 1.0], 10)

    def of(seeds):
        values = effect + 0.06 * np.tile([-1.0, 1.0], seeds)[:seeds]
        values += effect - values.mean()
        # as many trials with the variance of 4: the jackknife's n - 1 is in it
        values = effect + (values - effect) * 0.06 / values.std(ddof=1) if seeds > 1 else values
        left = (values.sum() - values) / (seeds - 1)
        return Parts(effect, by_plane, {"a": left})

    def tells(seeds):
        found = estimate(of(seeds))
        return not found.low <= 0 <= found.high

    expected = next((seeds for seeds in range(3, MOST_SEEDS + 1) if tells(seeds)), None)
    assert seeds_to_decide(of(4)) == expected


def test_what_has_no_size_or_too_few_trials_is_decided_by_no_number():
    planes, three = np.array([0.1, -0.1, 0.0]), np.array([0.1, 0.0, -0.1])
    assert seeds_to_decide(Parts(0.0, planes, {"a": three})) is None
    assert seeds_to_decide(Parts(0.5, planes + 0.5, {"a": np.empty(0)})) is None


@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_intervals_cover_what_they_promise(spread):
    """Three noisy seeds on 30 planes that differ in how hard they are; 95 % promised."""
    rng = np.random.default_rng(3)
    hits, repetitions = 0, 600
    for _ in range(repetitions):
        seeds = rng.normal(0, spread, 3)
        planes = rng.normal(0, 0.1, 30)
        noise = rng.normal(0, 0.03, (30, 3, 3))
        shares = 0.7 + planes[:, None, None] + seeds[:, None] + seeds + noise
        points = np.rint(np.triu(shares, 1) * 10_000).astype(np.int64)
        by_plane = points.sum(axis=(1, 2)) / 30_000
        found = estimate(over_pairs(by_plane, points.sum(axis=0), 300_000, "a"))
        hits += found.low <= 0.7 <= found.high
    assert 0.91 <= hits / repetitions <= 0.99


@pytest.mark.parametrize("planes", [1, 2, 10, 131])
@pytest.mark.parametrize("seeds", [(1, 1), (1, 3), (5, 5), (9, 2), (17, 33)])
def test_many_pairs_of_groups_at_once_give_the_same_bits_as_one_by_one(planes, seeds):
    rng = np.random.default_rng(planes)
    by_plane = rng.random((planes, 7)).T  # planes first in memory, as scores come
    sums = rng.integers(0, planes * POINTS, (7, *seeds))
    sums[0] = planes * POINTS  # nothing varies
    by_plane[0] = 1
    alone = [
        estimate(across_pairs(shares, of_pair, planes * POINTS, ("a", "b")), bounds=SHARE)
        for shares, of_pair in zip(by_plane, sums, strict=True)
    ]
    found = estimates_across(by_plane, sums, planes * POINTS, bounds=SHARE)
    assert list(map(repr, found)) == list(map(repr, alone))  # a NaN equals itself
