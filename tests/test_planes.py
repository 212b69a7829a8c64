"""Planes: the frame, the grid, and which images span them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.planes import (
    anchor_inputs,
    draw_planes,
    plane_frame,
    plane_grid,
    plane_ids_of,
    plane_kind,
)

ANCHORS = arrays(np.float64, (3, 7), elements=st.floats(-10, 10).map(lambda x: round(x, 3)))


def points_at(frame, coordinates):
    return frame.origin + coordinates @ frame.axes


@given(ANCHORS)
def test_frame_is_orthonormal_and_meets_the_anchors(anchors):
    try:
        frame = plane_frame(anchors)
    except ValueError:
        assume(False)
    np.testing.assert_allclose(frame.axes @ frame.axes.T, np.eye(2), atol=1e-6)
    np.testing.assert_allclose(points_at(frame, frame.anchors), anchors, atol=1e-6)
    assert (frame.anchors[0] == 0).all()
    assert frame.anchors[1, 1] == 0
    assert frame.anchors[1, 0] > 0
    assert frame.anchors[2, 1] > 0


def test_frame_worked_by_hand():
    frame = plane_frame(np.array([[1.0, 1, 0], [4, 1, 0], [3, 3, 0]]))
    np.testing.assert_allclose(frame.axes, [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(frame.anchors, [[0, 0], [3, 0], [2, 2]])


@pytest.mark.parametrize(
    "anchors", [[[0, 0], [0, 0], [1, 1]], [[0, 0], [1, 1], [0, 0]], [[0, 0], [1, 2], [2, 4]]]
)
def test_points_that_span_no_plane_are_refused(anchors):
    with pytest.raises(ValueError, match="anchors"):
        plane_frame(np.array(anchors, float))


@given(ANCHORS, st.integers(2, 9), st.sampled_from([0.0, 0.1, 0.5]))
def test_grid_covers_the_widened_bounding_box(anchors, resolution, extent):
    try:
        frame = plane_frame(anchors)
    except ValueError:
        assume(False)
    grid = plane_grid(frame, resolution, extent)
    assert grid.shape == (resolution, resolution, 2)
    low, high = frame.anchors.min(axis=0), frame.anchors.max(axis=0)
    np.testing.assert_allclose(grid[0, 0], low - extent * (high - low), atol=1e-9)
    np.testing.assert_allclose(grid[-1, -1], high + extent * (high - low), atol=1e-9)
    assert (np.diff(grid[:, 0, 0]) > 0).all()  # the first index runs along e1
    assert (grid[0, :, 0] == grid[0, 0, 0]).all()


def test_planes_do_not_depend_on_how_many_are_drawn(digits):
    few = draw_planes(digits, plane_ids_of("test", 3), plane_seed=5)
    many = draw_planes(digits, [*plane_ids_of("train", 4), *plane_ids_of("test", 9)], plane_seed=5)
    assert (many.image_ids[:3] == few.image_ids).all()
    assert many.kinds == ["test"] * 9 + ["train"] * 4


def test_another_seed_draws_other_planes(digits):
    ids = plane_ids_of("test", 5)
    assert (draw_planes(digits, ids, 0).image_ids != draw_planes(digits, ids, 1).image_ids).any()


def test_anchors_of_test_planes_have_three_classes(digits):
    planes = draw_planes(digits, plane_ids_of("test", 100), plane_seed=0)
    assert all(len(set(classes)) == 3 for classes in planes.anchor_classes.tolist())
    assert (digits.test_labels[planes.image_ids] == planes.anchor_classes).all()


def test_anchor_inputs_are_the_normalised_images(digits):
    planes = draw_planes(digits, plane_ids_of("train", 2), plane_seed=0)
    expected = digits.normalise(digits.train_images[planes.image_ids[1]]).reshape(3, -1)
    np.testing.assert_array_equal(anchor_inputs(digits, planes, 1), expected)


@given(st.sampled_from(["test", "train"]), st.integers(1, 500))
def test_an_id_tells_its_kind(kind, count):
    assert {plane_kind(plane_id) for plane_id in plane_ids_of(kind, count)} == {kind}


def tiny_dataset(images, labels):
    images = np.asarray(images, np.uint8).reshape(len(images), 1, 1, -1)
    labels = np.asarray(labels, np.int64)
    names = tuple(str(i) for i in range(int(labels.max()) + 1))
    return Dataset("tiny", images, labels, images, labels, names, (0.0,), (1.0,))


def test_two_classes_cannot_span_test_planes():
    data = tiny_dataset([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 1, 0, 1])
    with pytest.raises(UserError, match="three different classes"):
        draw_planes(data, [0], 0)


def test_images_that_are_all_equal_span_no_plane():
    data = tiny_dataset([[3, 3]] * 5, [0, 1, 2, 3, 4])
    with pytest.raises(UserError, match="equal"):
        draw_planes(data, [0], 0)


def test_a_degenerate_triple_is_drawn_again():
    data = tiny_dataset([[0, 0], [0, 0], [5, 0], [0, 5]], [0, 1, 2, 3])
    planes = draw_planes(data, plane_ids_of("test", 30), 0)
    assert not any({0, 1} <= set(row) for row in planes.image_ids.tolist())
