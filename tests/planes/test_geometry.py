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


# A triangle whose third corner lies behind the first: e1 = (2, 1, 2)/3, e2 = (1, 2, -2)/3 and
# x2 = x1 + 6 e1, x3 = x1 - 3 e1 + 6 e2. With half of each side more its box is [-7.5, 10.5] x
# [-3, 9], and seven points a side lie 3 and 2 apart.
BEHIND = np.array([[0.0, 1, 0], [4, 3, 4], [0, 4, -6]])
BEHIND_ALPHA = [-7.5, -4.5, -1.5, 1.5, 4.5, 7.5, 10.5]
BEHIND_BETA = [-3.0, -1, 1, 3, 5, 7, 9]


def test_third_anchor_behind_the_first():
    frame = plane_frame(BEHIND)
    np.testing.assert_allclose(frame.origin, [0, 1, 0])
    np.testing.assert_allclose(3 * frame.axes, [[2, 1, 2], [1, 2, -2]], atol=1e-12)
    np.testing.assert_allclose(frame.anchors, [[0, 0], [6, 0], [-3, 6]], atol=1e-12)
    grid = plane_grid(frame, 7, 0.5)
    np.testing.assert_allclose(grid[:, 3, 0], BEHIND_ALPHA)
    np.testing.assert_allclose(grid[4, :, 1], BEHIND_BETA)


class Listener(nn.Module):
    """Keeps the inputs that it is asked about."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def forward(self, inputs):
        self.heard.append(inputs.clone())
        return torch.zeros(len(inputs), 4)


def test_inputs_that_a_model_is_asked_about():
    listener = Listener()
    label_map(listener, 7, 0.5, 4, BEHIND, (3, 1, 1))
    heard = torch.cat(listener.heard).numpy()
    assert heard.shape == (49, 3, 1, 1)
    heard = heard.reshape(7, 7, 3)
    np.testing.assert_allclose(heard[0, 0], [-6, -3.5, -3], atol=1e-5)  # alpha -7.5, beta -3
    np.testing.assert_allclose(heard[3, 2], [4 / 3, 13 / 6, 1 / 3], atol=1e-5)  # 1.5, 1
    np.testing.assert_allclose(heard[0, 6], [-2, 4.5, -11], atol=1e-5)  # -7.5, 9
    np.testing.assert_allclose(heard[6, 0], [6, 2.5, 9], atol=1e-5)  # 10.5, -3


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


@pytest.mark.parametrize("resolution", [24, 50, 150, 400])
def test_three_sectors_around_the_middle(resolution):
    # With (u, v) from the middle, class 2 is |u| < -1.25 v: the triangle between the middle and
    # the lower side, a quarter of the rectangle. Classes 0 and 1 are u < 0 and u > 0 elsewhere.
    model = in_plane([(-1, 0, 2.5), (1, 0, -2.5), (0, -1.25, 2.5)])
    labels = label_map(model, resolution)
    alpha, beta = coordinates(resolution)
    u, v = alpha - 2.5, beta - 2
    clear = (np.abs(u) > 1e-4) & (np.abs(np.abs(u) + 1.25 * v) > 1e-4)
    on_paper = np.where(np.abs(u) < -1.25 * v, 2, np.where(u > 0, 1, 0))
    np.testing.assert_array_equal(labels[clear], on_paper[clear])
    shares = np.bincount(labels.ravel(), minlength=3) / labels.size
    slant = np.hypot(3, 2.4)
    for share, area, perimeter in zip(
        shares,
        [3 / 8, 3 / 8, 1 / 4],
        [slant + 2.4 + 3 + 4.8, slant + 2.4 + 3 + 4.8, 2 * slant + 6],
        strict=True,
    ):
        # A point stands for the cell around it: off by half a spacing along the border at most.
        assert abs(share - area) <= perimeter * 6 / (resolution - 1) / 2 / 28.8


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


def test_points_of_a_wedge_one_by_one():
    # Points have beta = -0.4 + 0.08 j, and k columns right of the middle the borders lie at
    # j = 30.375 and j = 30.375 + k / 2.4: none is met, and (9 + 10 k) / 24, rounded down, differ.
    maps = [
        label_map(in_plane([(0, 0, 2.03), (0, 1, 0)]), 61),
        label_map(in_plane([(0, 0, 2.03), (-1 / 3, 1, 2.5 / 3)]), 61),
    ]
    counts = count_agreements(np.stack(maps).reshape(2, 1, -1), None, 2)
    differ = sum(abs((9 + 10 * k) // 24) for k in range(-30, 31))
    assert counts.agreements[0, 0, 1] == 61 * 61 - differ
    assert counts.overlaps[0, 1].sum() == 61 * 61 - differ


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


def folded(hidden, score):
    """A net of two layers: class 1 where the score, affine in rectified (p, q, r) rows, is > 0."""
    inner = in_plane(hidden)
    outer = nn.Linear(len(hidden), 2)
    outer.weight.data = torch.tensor([[0.0] * len(hidden), score[:-1]])
    outer.bias.data = torch.tensor([0.0, score[-1]])
    return nn.Sequential(inner, nn.ReLU(), outer).eval()


@pytest.mark.parametrize("stripes", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("axis", [0, 1])
def test_folds_of_a_network_make_stripes(stripes, axis):
    # The score is a zigzag of slope 1 along one axis: zero at 0.33, 1.33, ..., folded between.
    direction = (1, 0) if axis == 0 else (0, 1)
    folds = [k - 0.17 for k in range(1, stripes - 1)]  # one fewer than there are borders
    score = [1.0, *(2.0 * (-1) ** k for k in range(1, stripes - 1)), -1.33]
    hidden = [(*direction, 1), *((*direction, -fold) for fold in folds)]
    if stripes == 1:
        score = [1.0, -100.0]
    labels = label_map(folded(hidden, score), 49)
    along = coordinates(49)[axis].ravel()
    borders = [k + 0.33 for k in range(stripes - 1)]
    on_paper = (along[:, None] > borders).sum(axis=1) % 2
    np.testing.assert_array_equal(labels if axis == 0 else labels.T, np.tile(on_paper, (49, 1)).T)
    assert count_regions(labels[None]).tolist() == [stripes]


# |u + v| - |u - v| has the sign of u v: four quadrants around (alpha, beta) = (2.5, 2).
QUADRANTS = [(1, 1, -4.5), (-1, -1, 4.5), (1, -1, -0.5), (-1, 1, 0.5)]


@pytest.mark.parametrize(
    ("shift", "resolution", "regions"),
    [
        (0.0, 50, 2),  # no point lies on a border; opposite quadrants touch in the middle
        (-0.6, 50, 3),  # class 0 has the cross |u| or |v| < 0.3 and is one region, class 1 is two
        (0.6, 50, 3),  # the other way round
    ],
)
def test_four_quadrants_of_two_classes(shift, resolution, regions):
    labels = label_map(folded(QUADRANTS, [1.0, 1, -1, -1, shift]), resolution)
    alpha, beta = coordinates(resolution)
    u, v = alpha - 2.5, beta - 2
    # |u + v| - |u - v| is twice the smaller of |u| and |v|, with the sign of u v.
    on_paper = 2 * np.sign(u * v) * np.minimum(np.abs(u), np.abs(v)) + shift > 0
    np.testing.assert_array_equal(labels, on_paper)
    assert count_regions(labels[None]).tolist() == [regions]


def test_anchors_have_their_own_labels():
    model = in_plane([(0, 0, 2), (1, 0, 0), (0, 1, 0)])
    inputs = torch.tensor(ANCHORS, dtype=torch.float32).reshape(3, *SHAPE)
    own = model(inputs).argmax(dim=1).tolist()
    labels = label_map(model, 61)
    places = [(5, 5), (55, 5), (25, 55)]  # (coordinate - LOW) / spacing, 0.1 and 0.08
    assert [int(labels[place]) for place in places] == own == [0, 1, 2]


def random_network(seed):
    """Six inputs, four classes."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 4)).eval()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return model


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_any_model_is_asked_at_the_points_of_the_plane(seed, resolution):
    rng = np.random.default_rng(seed)
    anchors = rng.normal(size=(3, 6))
    model = random_network(seed)
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


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(-4, 12), st.integers(1, 9))
def test_any_model_gives_anchors_on_the_grid_their_own_labels(seed, length, along, height):
    # x2 = x1 + length e1 and x3 = x1 + along e1 + height e2 for a random pair of axes; without
    # a margin and with ``height`` = the steps along e1, every anchor is a grid point.
    rng = np.random.default_rng(seed)
    e1, e2 = np.linalg.qr(rng.normal(size=(6, 2))).Q.T
    first, last = min(0, along), max(length, along)
    x1 = rng.normal(size=6)
    anchors = np.stack([x1, x1 + length * e1, x1 + along * e1 + height * e2])
    model = random_network(seed)
    labels = label_map(model, last - first + 1, 0.0, 4, anchors, (1, 2, 3))
    places = [(-first, 0), (length - first, 0), (along - first, last - first)]
    for anchor, place in zip(anchors, places, strict=True):
        logits = model.double()(torch.from_numpy(anchor).reshape(1, 1, 2, 3))[0]
        best = logits.topk(2).values
        if best[0] - best[1] > 1e-4:
            assert labels[place] == int(logits.argmax())


def test_moving_the_plane_and_the_model_together_changes_nothing():
    shift = np.array([3.0, -2, 0.5, 1])
    weight = np.random.default_rng(3).normal(size=(4, 4))
    there = label_map(linear(weight, np.zeros(4)), 30)
    moved = label_map(linear(weight, -weight @ shift), 30, anchors=ANCHORS + shift)
    assert (there == moved).mean() > 0.995  # rounding on the borders


@given(st.integers(0, 2**32 - 1), st.permutations(range(3)))
def test_renumbered_anchors_span_the_same_plane(seed, order):
    anchors = np.random.default_rng(seed).normal(size=(3, 6))
    one, other = plane_frame(anchors), plane_frame(anchors[order])
    onto = [frame.axes.T @ frame.axes for frame in (one, other)]
    np.testing.assert_allclose(onto[0], onto[1], atol=1e-6)
    # The new coordinates are the old ones turned, mirrored or moved: distances are as before.
    between = [
        np.linalg.norm(points[:, None] - points, axis=-1)
        for points in (one.anchors[order], other.anchors)
    ]
    np.testing.assert_allclose(between[0], between[1], atol=1e-6)
