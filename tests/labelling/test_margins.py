"""Walks along straight lines: margins against closed forms, class skips against brute force."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from dbray.config import NoiseConfig
from dbray.datasets import noisy_labels
from dbray.errors import TrialFailedError, UserError
from dbray.labelling import DIRECTIONS, HALVINGS, STEPS, draw_lines, kinds_of_lines, margins, walk
from dbray.planes import PlaneSource, image_pool

CPU = torch.device("cpu")
NOISE = NoiseConfig(0.2, seed=3)
PLAIN, NOISY = PlaneSource(seed=0), PlaneSource(seed=0, noise=NOISE)
SHAPE = (1, 2, 2)


def linear(weights, bias):
    """Logits of flattened images, ``weights`` (C, D) and ``bias`` (C,)."""
    layer = nn.Linear(weights.shape[1], len(weights))
    layer.weight.data, layer.bias.data = torch.tensor(weights), torch.tensor(bias)
    return nn.Sequential(nn.Flatten(), layer).eval()


def walks_of(seed, count=7, classes=4, model=None):
    rng = np.random.default_rng(seed)
    starts, ends = rng.normal(size=(2, count, *SHAPE)).astype(np.float32)
    weights = rng.normal(size=(classes, 4)).astype(np.float32)
    bias = rng.normal(size=classes).astype(np.float32)
    return weights, bias, starts, ends, walk(model or linear(weights, bias), starts, ends, CPU)


@given(st.integers(0, 10_000))
def test_a_linear_models_margin_is_where_its_logits_cross(seed):
    """Along a line each logit is linear: the first change is the nearest crossing with the top."""
    weights, bias, starts, ends, found = walks_of(seed, count=1)
    a, b = (side.reshape(-1).astype(float) for side in (starts, ends))
    at_start, slope = weights @ a + bias, weights @ (b - a)
    top = int(at_start.argmax())
    others = np.arange(len(bias)) != top
    with np.errstate(divide="ignore"):
        crossings = (at_start[top] - at_start[others]) / (slope[others] - slope[top])
    ahead = crossings[(crossings > 0) & (crossings < 1)]
    first = ahead.min(initial=1.0)
    assume(abs(crossings - 1).min() > 1e-3)  # at the very end rounding decides
    length = np.linalg.norm(b - a)
    assert found.length[0] == pytest.approx(length)
    assert found.censored[0] == (len(ahead) == 0)
    # Linear regions are convex: whatever is left is not entered again, so that no step hides it.
    assert found.margin[0] / length == pytest.approx(first, abs=2e-5)


class Stripes(nn.Module):
    """Class 1 where the first pixel is in one of the stripes, else class 0."""

    def __init__(self, edges):
        super().__init__()
        self.edges = torch.tensor(edges, dtype=torch.float32)

    def forward(self, inputs):
        place = inputs.flatten(1)[:, :1]
        inside = (place > self.edges).sum(dim=1) % 2
        return nn.functional.one_hot(inside, 2).float()


@given(st.sets(st.integers(1, 999), max_size=12))
def test_skips_and_the_first_change_of_known_stripes(thousandths):
    edges = sorted(t / 1000 for t in thousandths) or [2.0]
    start, end = np.zeros((1, *SHAPE), np.float32), np.zeros((1, *SHAPE), np.float32)
    end[0, 0, 0, 0] = 1
    found = walk(Stripes(edges), start, end, CPU)
    grid = np.linspace(0, 1, STEPS + 1)
    inside = (grid[:, None] > edges).sum(axis=1) % 2
    assert found.skips[0] == (inside[1:] != inside[:-1]).sum()
    assert found.censored[0] == (not inside.any())
    if inside.any():
        # The step in which it first differs holds an odd number of edges; one of them is found.
        within = int(inside.argmax())
        near = [e for e in edges if grid[within - 1] <= e <= grid[within]]
        assert min(abs(found.margin[0] - e) for e in near) <= 2**-HALVINGS
    else:
        assert found.margin[0] == found.length[0] == 1


@pytest.mark.parametrize("at_once", [1, STEPS + 1, 3 * (STEPS + 1), 10_000])
def test_batches_do_not_matter(monkeypatch, at_once):
    before = walks_of(3)[-1]
    monkeypatch.setattr(margins, "batch_size", lambda *_: at_once)
    after = walks_of(3)[-1]
    for name in ("length", "margin", "censored", "skips"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), atol=1e-5)


def test_a_model_without_an_answer_is_refused():
    class Silent(nn.Module):
        def forward(self, inputs):
            return torch.full((len(inputs), 3), torch.nan)

    with pytest.raises(TrialFailedError, match="not finite"):
        walks_of(0, model=Silent())


@pytest.mark.parametrize("kind", kinds_of_lines(NOISY))
def test_lines_go_from_images_of_their_kind_to_other_right_classes(digits, kind):
    lines = draw_lines(digits, kind, 12, NOISY)
    labels = digits.test_labels if kind == "test" else digits.train_labels
    assert len(lines.image_ids) == len(lines.toward_ids) == 12 * DIRECTIONS
    assert set(lines.image_ids.tolist()) <= set(image_pool(digits, kind, NOISE).tolist())
    assert (labels[lines.image_ids] != labels[lines.toward_ids]).all()
    by_image = lines.toward_ids.reshape(-1, DIRECTIONS)
    assert all(len(set(row)) == DIRECTIONS for row in by_image.tolist())
    starts, ends = lines.ends(digits)
    assert starts.shape == ends.shape == (12 * DIRECTIONS, *digits.input_shape)


def test_lines_are_of_right_and_of_wrong_labels(digits):
    wrong = noisy_labels(digits.train_labels, 10, NOISE) != digits.train_labels
    for kind, expected in (("train_mislabelled", True), ("train_correct", False)):
        assert (wrong[draw_lines(digits, kind, 20, NOISY).image_ids] == expected).all()
    assert kinds_of_lines(PLAIN) == ("test", "train")
    with pytest.raises(UserError):
        draw_lines(digits, "train_mislabelled", 3, PLAIN)


@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 5))
def test_more_lines_leave_the_first_as_they_are(digits, few, more, seed):
    source = replace(NOISY, seed=seed)
    first = draw_lines(digits, "test", few, source)
    all_ = draw_lines(digits, "test", few + more, source)
    np.testing.assert_array_equal(all_.image_ids[: len(first.image_ids)], first.image_ids)
    np.testing.assert_array_equal(all_.toward_ids[: len(first.toward_ids)], first.toward_ids)


def test_there_are_no_more_lines_than_images(digits):
    lines = draw_lines(digits, "test", 10**6, PLAIN)
    assert sorted(set(lines.image_ids.tolist())) == list(range(len(digits.test_labels)))
