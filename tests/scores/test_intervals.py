"""Bootstrap intervals: exact however the work is cut, and right where the answer is known."""

import numpy as np
import pytest

from dbray.scores.intervals import (
    ReplicateSums,
    pair_weights,
    percentile_interval,
    plane_weights,
    replicate_sums,
    trial_weights,
)

PLANES, POINTS = 40, 100
IDS = ["00a1", "00b2", "00c3", "00d4"]


@pytest.fixture
def agreements():
    rng = np.random.default_rng(0)
    upper = np.triu(np.ones((4, 4), np.int32), 1)
    return rng.integers(40, 90, (PLANES, 4, 4)).astype(np.int32) * upper


@pytest.fixture
def weights():
    return plane_weights(np.arange(PLANES, dtype=np.int32))


def test_parts_over_planes_add_up_bit_for_bit(agreements, weights):
    v = trial_weights(IDS)
    whole = replicate_sums(agreements, weights, v, v).weighted
    parts = [
        replicate_sums(agreements[a:b], weights[:, a:b], v, v).weighted
        for a, b in [(0, 7), (7, 8), (8, PLANES)]
    ]
    assert (sum(parts) == whole).all()


def test_a_replicate_equals_its_definition(agreements, weights):
    v = trial_weights(IDS)
    sums = replicate_sums(agreements, weights, v, v)
    for b in (0, 17):
        total, pairs = 0.0, 0.0
        for i in range(4):
            for j in range(i + 1, 4):
                total += v[b, i] * v[b, j] * (weights[b] * agreements[:, i, j]).sum()
                pairs += v[b, i] * v[b, j]
        assert sums.weighted[b] == total
        assert sums.pair_weights[b] == pairs


def test_every_replicate_draws_as_many_planes_and_trials_as_there_are(weights):
    assert (weights.sum(axis=1) == PLANES).all()
    assert (trial_weights(IDS).sum(axis=1) == len(IDS)).all()


def test_draws_are_the_same_every_time_and_differ_between_groups(weights):
    assert (weights == plane_weights(np.arange(PLANES, dtype=np.int32))).all()
    assert (trial_weights(IDS) != trial_weights(["00a1", "00b2", "00c3", "00ff"])).any()


def test_interval_of_a_constant_score_is_that_score(weights):
    v = trial_weights(IDS)
    constant = np.full((PLANES, 4, 4), 60, np.int32) * np.triu(np.ones((4, 4), np.int32), 1)
    low, high = percentile_interval(replicate_sums(constant, weights, v, v), PLANES * POINTS)
    assert (low, high) == (0.6, 0.6)


def test_interval_of_one_pair_has_the_width_of_a_mean_over_planes(weights):
    rng = np.random.default_rng(1)
    values = rng.integers(0, POINTS + 1, PLANES).astype(np.int32)
    v = trial_weights(IDS[:1])
    w = trial_weights(IDS[1:2])
    low, high = percentile_interval(
        replicate_sums(values[:, None, None], weights, v, w), PLANES * POINTS
    )
    standard_error = values.std() / POINTS / np.sqrt(PLANES)
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)
    assert low < values.mean() / POINTS < high


def test_replicates_without_a_pair_are_left_out():
    v = np.array([[2.0, 0.0], [1.0, 1.0]])
    assert pair_weights(v, v).tolist() == [0.0, 1.0]
    sums = ReplicateSums(np.array([0.0, 30.0]), pair_weights(v, v))
    assert percentile_interval(sums, 60) == (0.5, 0.5)
