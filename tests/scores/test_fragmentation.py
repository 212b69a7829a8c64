"""Fragmentation against a flood fill that a reader can check by eye."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dbray.scores import fragmentation
from dbray.scores.fragmentation import count_classes, count_regions


def flood_count(label_map):
    """Regions of equal label with 8 neighbours a point, one flood at a time."""
    height, width = label_map.shape
    unseen = {(i, j) for i in range(height) for j in range(width)}
    regions = 0
    while unseen:
        regions += 1
        front = [unseen.pop()]
        while front:
            i, j = front.pop()
            for near in [(i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]:
                if near in unseen and label_map[near] == label_map[i, j]:
                    unseen.remove(near)
                    front.append(near)
    return regions


MAPS = st.tuples(st.integers(1, 5), st.integers(1, 9)).flatmap(
    lambda s: arrays(np.uint8, (s[0], s[1], s[1]), elements=st.integers(0, 3))
)


@given(MAPS)
def test_counts_equal_a_flood_fill(maps):
    assert count_regions(maps).tolist() == [flood_count(label_map) for label_map in maps]


@given(MAPS)
def test_bounds_and_renamed_classes(maps):
    regions = count_regions(maps)
    assert (regions >= count_classes(maps)).all()
    assert (regions <= maps[0].size).all()
    assert (count_regions((maps + 252).astype(np.uint8)) == regions).all()  # up to label 255
    assert (count_regions(maps.astype(np.uint16) * 9000) == regions).all()


@given(MAPS)
def test_classes_present(maps):
    assert count_classes(maps).tolist() == [len(np.unique(label_map)) for label_map in maps]


def test_more_planes_than_one_call_takes(monkeypatch):
    maps = np.random.default_rng(0).integers(0, 4, (23, 12, 12)).astype(np.uint8)
    whole = count_regions(maps)
    monkeypatch.setattr(fragmentation, "PLANES_PER_CALL", 5)
    assert (count_regions(maps) == whole).all()


def test_diagonal_neighbours_are_one_region():
    assert count_regions(np.array([[[0, 1], [1, 0]]], np.uint8)).tolist() == [2]


def test_no_planes():
    assert count_regions(np.empty((0, 4, 4), np.uint8)).shape == (0,)
