"""Planes: the frame and the grid."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dbray.planes import plane_frame, plane_grid

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
