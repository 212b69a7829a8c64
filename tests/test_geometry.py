"""A golden check of the geometry: plane, grid and scores worked out on paper for linear models."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dbray.labelling import label_planes
from dbray.planes import plane_frame, plane_grid
from dbray.scores.agreement import count_agreements
from dbray.scores.fragmentation import count_regions

SHAPE = (1, 2, 2)  # inputs have D = 4 numbers
# A plane that stands askew in space: x2 - x1 = 5 (3, 4, 0, 0)/5, and x3 - x1 has 2 along it and
# 4 across it, along (0, 0, 0, 1).
X1, X2, X3 = [1.0, -1, 2, 0], [4.0, 3, 2, 0], [2.2, 0.6, 2, 4]
E1, E2 = np.array([0.6, 0.8, 0, 0]), np.array([0.0, 0, 0, 1])
ANCHORS = np.array([X1, X2, X3])
# Their bounding box is [0, 5] x [0, 4]; a tenth of each side more, and it is this:
LOW, HIGH = np.array([-0.5, -0.4]), np.array([5.5, 4.4])


def linear(weight, bias):
    """Logits that are affine in the input: rows of ``weight`` are (w1, w2, w3, w4)."""
    layer = nn.Linear(4, len(bias))
    layer.weight.data = torch.tensor(weight, dtype=torch.float32)
    layer.bias.data = torch.tensor(bias, dtype=torch.float32)
    return nn.Sequential(nn.Flatten(), layer).eval()


def in_plane(rows):
    """A model whose logit c at (alpha, beta) is p alpha + q beta + r for the row (p, q, r) of c."""
    origin = np.array(X1)
    weight = [p * E1 + q * E2 for p, q, _ in rows]
    bias = [r - (p * E1 + q * E2) @ origin for p, q, r in rows]
    return linear(np.array(weight), bias)


def label_map(model, resolution, extent=0.1, classes=4, anchors=ANCHORS, shape=SHAPE):
    (labels,) = label_planes(
        model,
        [plane_frame(anchors)],
        shape,
        classes=classes,
        resolution=resolution,
        extent=extent,
        device=torch.device("cpu"),
    )
    return labels


def coordinates(resolution):
    """(alpha, beta) of every grid point, from the rectangle's corners alone."""
    steps = np.arange(resolution) / (resolution - 1)
    alpha, beta = (LOW[i] + steps * (HIGH[i] - LOW[i]) for i in (0, 1))
    return alpha[:, None], beta[None, :]


def test_frame_and_grid_on_paper():
    frame = plane_frame(ANCHORS)
    np.testing.assert_allclose(frame.axes, [E1, E2], atol=1e-12)
    np.testing.assert_allclose(frame.anchors, [[0, 0], [5, 0], [2, 4]], atol=1e-12)
    grid = plane_grid(frame, 7, 0.1)
    np.testing.assert_allclose(grid[0, 0], LOW)
    np.testing.assert_allclose(grid[-1, 0], [5.5, -0.4])
    np.testing.assert_allclose(grid[0, -1], [-0.5, 4.4])
    np.testing.assert_allclose(np.diff(grid[:, 0, 0]), 1.0)  # 6 units in 6 steps
    np.testing.assert_allclose(np.diff(grid[0, :, 1]), 0.8)


@pytest.mark.parametrize("resolution", [5, 50, 51])
def test_half_planes_of_a_linear_model(resolution):
    # Class 1 where alpha + 2 beta > 4.13.
    labels = label_map(in_plane([(0, 0, 4.13), (1, 2, 0)]), resolution)
    alpha, beta = coordinates(resolution)
    np.testing.assert_array_equal(labels, alpha + 2 * beta > 4.13)


@pytest.mark.parametrize("resolution", [50, 200, 400])
def test_shares_of_points_are_areas(resolution):
    # Class 1 beyond alpha = 2: 3.5 of 6 of the area. Class 2 above beta = 2 there: half of that.
    steep = 100.0
    model = in_plane([(0, 0, 0), (steep, 0, -2 * steep), (steep, 1, -2 * steep - 2)])
    labels = label_map(model, resolution)
    shares = np.bincount(labels.ravel(), minlength=3) / labels.size
    areas = np.array([2.5 / 6, 3.5 / 6 / 2, 3.5 / 6 / 2])
    # A border of length L moves at most L/spacing + 1 points of R^2, two borders meet class 1.
    np.testing.assert_allclose(shares, areas, atol=2 / resolution)


@pytest.mark.parametrize(("first", "second"), [(1.03, 2.03), (0.03, 4.03), (2.5, 2.5)])
def test_agreement_is_one_minus_the_strip_between_two_borders(first, second):
    resolution = 61  # points along alpha lie 0.1 apart, at -0.5, -0.4, ..., 5.5
    maps = [
        label_map(in_plane([(0, 0, border), (1, 0, 0)]), resolution) for border in (first, second)
    ]
    columns = round((second - first) / 0.1)
    counts = count_agreements(np.stack(maps).reshape(2, 1, -1), None, 2)
    assert counts.agreements[0, 0, 1] == (resolution - columns) * resolution


def test_a_wedge_between_two_turned_borders():
    # Borders beta = 2 and beta = 2 + (alpha - 2.5)/3 cross in the middle; between them lie two
    # triangles of base 3 and height 1: an area of 3 in 28.8.
    maps = [
        label_map(in_plane([(0, 0, 2), (0, 1, 0)]), 301),
        label_map(in_plane([(0, 0, 2), (-1 / 3, 1, 2.5 / 3)]), 301),
    ]
    assert (maps[0] == maps[1]).mean() == pytest.approx(1 - 3 / 28.8, abs=0.01)


class Stripes(nn.Module):
    """Labels that repeat along alpha, 0 1 0 1 ..., or on a chessboard of fields."""

    def __init__(self, width, board=False):
        super().__init__()
        self.width, self.board = width, board

    def forward(self, inputs):
        away = inputs.flatten(1) - torch.tensor(X1)
        alpha, beta = (away @ torch.tensor(e, dtype=torch.float32) for e in (E1, E2))
        field = torch.floor((alpha + 0.55) / self.width)
        if self.board:
            field = field + torch.floor((beta + 0.45) / self.width)
        odd = field % 2
        return torch.stack([1 - odd, odd], dim=1)


def test_stripes_are_regions_of_their_own():
    labels = label_map(Stripes(1.1), 61)  # 6 units, stripes of 1.1 from -0.55 on: 6 of them
    assert count_regions(labels[None]).tolist() == [6]


def test_fields_of_a_chessboard_touch_at_their_corners():
    # Diagonal neighbours count: all fields of one colour are one region.
    labels = label_map(Stripes(1.6, board=True), 61)
    assert count_regions(labels[None]).tolist() == [2]


def test_anchors_have_their_own_labels():
    model = in_plane([(0, 0, 2), (1, 0, 0), (0, 1, 0)])
    inputs = torch.tensor(ANCHORS, dtype=torch.float32).reshape(3, *SHAPE)
    own = model(inputs).argmax(dim=1).tolist()
    labels = label_map(model, 61)
    places = [(5, 5), (55, 5), (25, 55)]  # (coordinate - LOW) / spacing, 0.1 and 0.08
    assert [int(labels[place]) for place in places] == own == [0, 1, 2]


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_any_model_is_asked_at_the_points_of_the_plane(seed, resolution):
    rng = np.random.default_rng(seed)
    anchors = rng.normal(size=(3, 6))
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 4)).eval()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    labels = label_map(model, resolution, 0.5, 4, anchors, (1, 2, 3))
    a, b = anchors[1] - anchors[0], anchors[2] - anchors[0]
    # Gram and Schmidt by hand, in double precision, a point at a time.
    e1 = a / np.sqrt((a * a).sum())
    rest = b - (b * e1).sum() * e1
    e2 = rest / np.sqrt((rest * rest).sum())
    places = np.array([[0, 0], [a @ e1, 0], [b @ e1, b @ e2]])
    low, high = places.min(axis=0), places.max(axis=0)
    low, high = low - 0.5 * (high - low), high + 0.5 * (high - low)
    double = model.double()
    for i in range(resolution):
        for j in range(resolution):
            share = np.array([i, j]) / (resolution - 1)
            alpha, beta = low + share * (high - low)
            point = torch.from_numpy(anchors[0] + alpha * e1 + beta * e2).reshape(1, 1, 2, 3)
            logits = double(point)[0]
            best = logits.topk(2).values
            if best[0] - best[1] > 1e-4:
                assert labels[i, j] == int(logits.argmax())


def test_moving_the_plane_and_the_model_together_changes_nothing():
    shift = np.array([3.0, -2, 0.5, 1])
    weight = np.random.default_rng(3).normal(size=(4, 4))
    there = label_map(linear(weight, np.zeros(4)), 30)
    moved = label_map(linear(weight, -weight @ shift), 30, anchors=ANCHORS + shift)
    assert (there == moved).mean() > 0.995  # rounding on the borders


def test_exchanging_two_anchors_spans_the_same_plane():
    one, other = plane_frame(ANCHORS), plane_frame(ANCHORS[[0, 2, 1]])
    onto = [frame.axes.T @ frame.axes for frame in (one, other)]
    np.testing.assert_allclose(onto[0], onto[1], atol=1e-12)
