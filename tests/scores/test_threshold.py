"""The threshold finder and the refinement on curves whose threshold is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dbray.scores.threshold import FITTED, Threshold, find_threshold, refine_widths

WIDTHS = [4, 8, 16, 32, 64]
ASCENDING = st.sets(st.integers(1, 500), min_size=2, max_size=12).map(sorted)


def step(at, widths=WIDTHS, seeds=3):
    """Errors (W, S) of 20 % below a width and none from there on, the same for all seeds."""
    return np.repeat(np.where(np.array(widths) < at, 0.2, 0.0)[:, None], seeds, axis=1)


@given(ASCENDING, st.data(), st.integers(1, 5))
def test_a_step_is_found_without_any_doubt(widths, data, seeds):
    at = data.draw(st.sampled_from(widths))
    assert find_threshold(widths, step(at, widths, seeds)) == Threshold(at, at, at)


def test_labels_that_no_width_fits():
    assert find_threshold(WIDTHS, step(1000)) == Threshold(None, None, None)


def test_the_level_is_not_reached_by_an_error_of_just_the_level():
    errors = step(8)
    errors[1] = FITTED
    assert find_threshold(WIDTHS, errors).width == 16
    assert find_threshold(WIDTHS, errors, level=0.02).width == 8


def test_seeds_that_differ_widen_the_interval():
    errors = step(16, seeds=4)
    errors[1] = [0.0, 0.0, 0.03, 0.03]  # fitted by half of the seeds
    assert find_threshold(WIDTHS, errors) == Threshold(16, 8, 16)
    errors[2] = [0.0, 0.0, 0.0, 0.02]  # under the level on average, and not surely
    assert find_threshold(WIDTHS, errors) == Threshold(16, 8, 32)


def test_the_interval_is_students_over_seeds():
    rng = np.random.default_rng(1)
    errors = np.clip(rng.normal([[0.2], [0.02], [0.012], [0.008], [0.001]], 0.004, (5, 6)), 0, 1)
    half = stats.t.ppf(0.975, 5) * errors.std(axis=1, ddof=1) / 6**0.5
    means = errors.mean(axis=1)
    found = find_threshold(WIDTHS, errors)
    assert found.low == next(w for w, e in zip(WIDTHS, means - half, strict=True) if e < FITTED)
    assert found.high == next(w for w, e in zip(WIDTHS, means + half, strict=True) if e < FITTED)


def test_a_single_seed_has_no_interval():
    assert find_threshold(WIDTHS, step(16, seeds=1)) == Threshold(16, 16, 16)


@given(st.permutations(range(4)), st.integers(0, 1000))
def test_the_order_of_seeds_does_not_move_the_threshold(order, seed):
    rng = np.random.default_rng(seed)
    errors = np.clip(step(16, seeds=4) + rng.normal(0, 0.02, (5, 4)), 0, 1)
    assert find_threshold(WIDTHS, errors[:, order]).width == find_threshold(WIDTHS, errors).width


@given(st.integers(0, 1000))
def test_the_interval_holds_the_estimate(seed):
    rng = np.random.default_rng(seed)
    errors = np.clip(rng.normal(0.02, 0.02, (5, 5)), 0, 1)
    found = find_threshold(WIDTHS, errors)
    low, width, high = (1e9 if w is None else w for w in (found.low, found.width, found.high))
    assert low <= width <= high


def test_the_first_width_counts_where_the_error_comes_back():
    errors = step(8)
    errors[3] = 0.1
    assert find_threshold(WIDTHS, errors).width == 8


def test_a_width_with_fewer_seeds_is_judged_by_those_it_has():
    errors = [*step(16)]
    errors[2] = errors[2][:1]
    assert find_threshold(WIDTHS, errors) == Threshold(16, 16, 16)


@pytest.mark.parametrize(
    ("widths", "errors"),
    [([8, 4], np.zeros((2, 1))), ([4, 4], np.zeros((2, 1))), ([4], [np.empty(0)])],
)
def test_widths_out_of_order_or_without_a_result(widths, errors):
    with pytest.raises(ValueError, match="ascend"):
        find_threshold(widths, errors)


@given(ASCENDING, st.integers(0, 6), st.sampled_from([1, 1, 8]), st.data())
def test_new_widths_lie_around_the_threshold(widths, count, multiple, data):
    place = data.draw(st.integers(0, len(widths) - 1))
    low, high = widths[max(0, place - 1)], widths[min(len(widths) - 1, place + 1)]
    threshold = Threshold(widths[place], low, high)
    added = refine_widths(widths, threshold, count, step=multiple)
    assert len(added) <= count
    assert len(set(added)) == len(added)
    assert not set(added) & set(widths)
    assert all(width % multiple == 0 for width in added)
    edges = [widths[max(0, place - 2)], widths[min(len(widths) - 1, place + 2)]]
    assert all(edges[0] < width < edges[1] for width in added)


def test_the_widest_gap_is_halved_first():
    assert refine_widths(WIDTHS, Threshold(16, 16, 16), 3) == [23, 11, 13]
    assert refine_widths(WIDTHS, Threshold(16, 16, 16), 2, step=8) == [24]


def test_wider_ones_are_tried_where_none_fits():
    assert refine_widths(WIDTHS, Threshold(None, None, None), 2) == [128, 256]


def test_a_threshold_beyond_for_some_seeds_is_refined_up_to_the_widest():
    assert set(refine_widths(WIDTHS, Threshold(64, 32, None), 2)) <= set(range(17, 64))
