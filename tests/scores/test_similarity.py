"""Similarity of predictions and rank correlation: against brute force, and what each must obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.stats import spearmanr

from dbray.scores import rank_correlation as ranks
from dbray.scores import similarity
from dbray.scores.rank_correlation import rank_correlation
from dbray.scores.similarity import (
    disagreement,
    error_overlap,
    expected_agreement,
    js_divergence,
)

CLASSES = 4
seeds = st.integers(0, 2**32 - 1)


@st.composite
def predictions(draw, models=3):
    """Predicted classes of a few models, and the labels as one row more."""
    images = draw(st.integers(1, 40))
    return draw(arrays(np.uint8, (models + 1, images), elements=st.integers(0, CLASSES - 1)))


@st.composite
def probabilities(draw, models=3):
    """Rows that sum to 1 up to rounding, with zeros among them, in either precision."""
    shape = (models, draw(st.integers(1, 8)), draw(st.integers(1, 5)))
    weights = draw(arrays(np.int64, shape, elements=st.integers(0, 50))).astype(np.float64)
    weights[..., 0] += weights.sum(axis=-1) == 0
    dtype = draw(st.sampled_from([np.float32, np.float16]))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(dtype)


@given(predictions())
def test_disagreement_and_overlap_equal_brute_force(rows):
    predicted, labels = rows[:-1], rows[-1].astype(np.int64)
    churn, overlap = disagreement(predicted, predicted), error_overlap(predicted, predicted, labels)
    wrong = [set(np.flatnonzero(row != labels)) for row in predicted]
    for a in range(3):
        for b in range(3):
            assert churn[a, b] == (predicted[a] != predicted[b]).mean()
            union = wrong[a] | wrong[b]
            expected = len(wrong[a] & wrong[b]) / len(union) if union else 1
            assert overlap[a, b] == expected


@given(predictions(), seeds)
def test_predictions_symmetry_diagonal_range_and_order(rows, seed):
    order = np.random.default_rng(seed).permutation(rows.shape[1])
    shuffled = rows[:, order]
    for score, diagonal in (
        (lambda r: disagreement(r[:-1], r[:-1]), 0),
        (lambda r: error_overlap(r[:-1], r[:-1], r[-1]), 1),
    ):
        result = score(rows)
        assert result.dtype == np.float64
        assert (result == result.T).all()
        assert (np.diag(result) == diagonal).all()
        assert ((result >= 0) & (result <= 1)).all()
        assert (score(shuffled) == result).all()


@given(predictions())
def test_two_blocks_equal_the_corner_of_one(rows):
    predicted, labels = rows[:-1].astype(np.uint16), rows[-1]
    a, b = predicted[:1], predicted[1:]
    assert (disagreement(a, b) == disagreement(predicted, predicted)[:1, 1:]).all()
    whole = error_overlap(predicted, predicted, labels)
    assert (error_overlap(a, b, labels) == whole[:1, 1:]).all()


@settings(deadline=None)  # the first call compiles
@given(probabilities())
def test_divergence_equals_scipy(given_rows):
    result = js_divergence(given_rows, given_rows)
    wide = given_rows.astype(np.float64)
    for a in range(3):
        for b in range(3):
            # Scipy's root of a rounded difference can be NaN for equal rows.
            distance = jensenshannon(wide[a], wide[b], axis=1, base=2)
            assert result[a, b] == pytest.approx(np.nan_to_num(distance**2).mean(), abs=1e-12)


@settings(deadline=None)
@given(probabilities(), seeds)
def test_divergence_symmetry_diagonal_range_and_order(given_rows, seed):
    result = js_divergence(given_rows, given_rows)
    assert result.dtype == np.float64
    assert (result == result.T).all()
    assert (np.diag(result) == 0).all()
    assert ((result >= 0) & (result <= 1)).all()
    copy = given_rows.copy()  # two blocks, no longer known to be the same
    assert (js_divergence(given_rows, copy) == result).all()
    assert (js_divergence(given_rows[:1], copy[1:]) == result[:1, 1:]).all()
    order = np.random.default_rng(seed).permutation(given_rows.shape[1])
    shuffled = given_rows[:, order]
    assert js_divergence(shuffled, shuffled) == pytest.approx(result, abs=1e-12)


def test_divergence_worked_by_hand():
    rows = np.array([[[1, 0], [1, 0]], [[0, 1], [1, 0]], [[0.5, 0.5], [1, 0]]], np.float32)
    result = js_divergence(rows, rows)
    assert result[0, 1] == 0.5  # opposite on one image of two
    # H(3/4, 1/4) - H(1/2, 1/2) / 2, on one image of two
    assert result[0, 2] == pytest.approx((2 - 0.75 * np.log2(3) - 0.5) / 2)


def test_half_precision_is_renormalised():
    rng = np.random.default_rng(0)
    exact = rng.dirichlet(np.ones(100), (2, 5))
    half = exact.astype(np.float16)
    scaled = (exact * 0.5).astype(np.float16)
    assert js_divergence(half, half)[0, 1] == pytest.approx(
        js_divergence(exact.astype(np.float32), exact.astype(np.float32))[0, 1], rel=2e-3
    )
    assert js_divergence(half, scaled)[0, 0] < 1e-6


@pytest.mark.parametrize("working_bytes", [1, 700])
def test_chunks_change_nothing(monkeypatch, working_bytes):
    rng = np.random.default_rng(1)
    predicted = rng.integers(0, 3, (5, 33)).astype(np.uint8)
    labels = rng.integers(0, 3, 33)
    rows = rng.dirichlet(np.ones(3), (5, 33)).astype(np.float16)

    def scores():
        return [
            disagreement(predicted, predicted[:2]),
            error_overlap(predicted, predicted[:2], labels),
            js_divergence(rows, rows),
            js_divergence(rows, rows[:2]),
        ]

    whole = scores()
    monkeypatch.setattr(similarity, "WORKING_BYTES", working_bytes)
    for chunked, at_once in zip(scores(), whole, strict=True):
        assert (chunked == at_once).all()


def test_error_overlap_worked_by_hand():
    labels = np.zeros(4, np.int64)
    predicted = np.array([[0, 1, 1, 0], [0, 2, 0, 1], [0, 0, 0, 0]], np.uint8)
    overlap = error_overlap(predicted, predicted, labels)
    assert overlap.tolist() == [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]]


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 1000))
def test_expected_agreement_is_a_symmetric_share(a, b, classes):
    a, b = np.array([[a]]), np.array([[b]])
    value = expected_agreement(a, b, classes)
    assert 0 <= value <= 1 + 1e-15
    assert value == pytest.approx(expected_agreement(b, a, classes))


def test_expected_agreement_worked_by_hand():
    accuracy = np.array([0.5, 1.0])
    assert expected_agreement(accuracy[:, None], accuracy[None], 2).tolist() == [
        [0.5, 0.5],
        [0.5, 1],
    ]
    assert expected_agreement(accuracy[:, None], accuracy[None], 1).tolist() == [[1, 1], [1, 1]]


def test_expected_agreement_equals_simulation():
    rng = np.random.default_rng(2)
    images, classes = 200_000, 5
    accuracies = np.array([0.7, 0.4])
    wrong = rng.integers(1, classes, (2, images))
    predicted = np.where(rng.random((2, images)) < accuracies[:, None], 0, wrong).astype(np.uint8)
    expected = expected_agreement(accuracies[:1], accuracies[1:], classes)
    assert 1 - disagreement(predicted, predicted)[0, 1] == pytest.approx(expected[0], abs=0.005)


def pairs_of(models):
    return np.triu_indices(models, 1)


@st.composite
def measures(draw):
    """Two measures with ties over the pairs of a few models."""
    models = draw(st.integers(3, 6))
    count = models * (models - 1) // 2
    levels = arrays(np.float64, count, elements=st.integers(0, 4).map(float))
    return draw(levels), draw(levels), *pairs_of(models)


@settings(deadline=None)
@given(measures())
def test_rank_correlation_equals_scipy(given_measures):
    values, other, a, b = given_measures
    result = rank_correlation(values, other, a, b)
    if len(set(values)) == 1 or len(set(other)) == 1:
        assert np.isnan([result.value, result.low, result.high]).all()
        return
    assert result.value == pytest.approx(spearmanr(values, other).statistic, abs=1e-12)
    assert -1 <= result.low <= result.high <= 1 or (np.isnan(result.low) and np.isnan(result.high))


@settings(deadline=None)
@given(measures())
def test_the_interval_is_the_jackknifes_over_models(given_measures):
    values, other, a, b = given_measures
    result = rank_correlation(values, other, a, b)
    models = b.max() + 1
    without = []
    for model in range(models):
        kept = (a != model) & (b != model)
        x, y = values[kept], other[kept]
        without.append(spearmanr(x, y).statistic if len(set(x)) > 1 and len(set(y)) > 1 else np.nan)
    if np.isnan([result.value, *without]).any():
        assert np.isnan([result.low, result.high]).all()
        return
    error = ((models - 1) / models * np.square(without - np.mean(without)).sum()) ** 0.5
    half = stats.t.ppf(0.975, models - 1) * error
    assert result.low == pytest.approx(max(-1, result.value - half), abs=1e-9)
    assert result.high == pytest.approx(min(1, result.value + half), abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(measures(), seeds)
def test_rank_correlation_ignores_order_scale_and_the_names_of_sides(given_measures, seed):
    values, other, a, b = given_measures
    order = np.random.default_rng(seed).permutation(len(values))
    result = rank_correlation(values, other, a, b)
    again = rank_correlation(other[order], np.exp(values[order]), b[order], a[order])
    np.testing.assert_allclose(
        [again.value, again.low, again.high], [result.value, result.low, result.high], atol=1e-12
    )


def test_rank_correlation_of_a_measure_with_itself_and_its_negative():
    a, b = pairs_of(8)
    values = np.random.default_rng(3).random(len(a))
    same = rank_correlation(values, values, a, b)
    assert [same.value, same.low, same.high] == pytest.approx([1, 1, 1])
    opposite = rank_correlation(values, -values, a, b)
    assert [opposite.value, opposite.low, opposite.high] == pytest.approx([-1, -1, -1])


def test_rank_correlation_is_nan_where_it_is_not_defined():
    two = np.array([0.0, 1.0])
    three = np.array([0.0, 1.0, 2.0])
    a, b = pairs_of(3)
    for result in (
        rank_correlation(two, two, a[:2], b[:2]),
        rank_correlation(three, np.ones(3), a, b),
        rank_correlation(three, np.array([0, 1, np.nan]), a, b),
    ):
        assert np.isnan([result.value, result.low, result.high]).all()


def test_models_are_left_out_not_pairs():
    # Each model's own effect moves all its pairs, which an interval over pairs would not see.
    rng = np.random.default_rng(4)
    a, b = pairs_of(21)
    effects, others = rng.normal(size=(2, 21))
    values, other = effects[a] + effects[b], others[a] + others[b]
    result = rank_correlation(values, other, a, b)
    pairwise = [
        spearmanr(values[k], other[k]).statistic for k in rng.integers(0, len(a), (200, len(a)))
    ]
    narrow = np.diff(np.quantile(pairwise, [0.025, 0.975]))[0]
    assert result.low < result.value < result.high
    assert result.high - result.low > 1.5 * narrow
    named = rank_correlation(values, other, np.char.mod("%02d", a), np.char.mod("%02d", b))
    assert named == result


def test_models_left_out_in_parts_change_nothing(monkeypatch):
    a, b = pairs_of(6)
    values, other = np.random.default_rng(5).random((2, len(a)))
    whole = rank_correlation(values, other, a, b)
    monkeypatch.setattr(ranks, "WORKING_BYTES", 1)
    parts = rank_correlation(values, other, a, b)
    assert [parts.low, parts.high] == pytest.approx([whole.low, whole.high])


def test_the_entropys_logarithm_is_as_exact_as_float64_is():
    rng = np.random.default_rng(0)
    shares = np.concatenate(
        [[1.0, 0.5, 2**-0.5], rng.random(2000), 10 ** rng.uniform(-300, 0, 2000)]
    )
    found = np.array([similarity._entropy_term(share) for share in shares])
    np.testing.assert_allclose(found, -shares * np.log2(shares), rtol=1e-14)
    assert similarity._entropy_term(0.0) == 0
    assert abs(similarity._entropy_term(5e-324)) < 1e-300
