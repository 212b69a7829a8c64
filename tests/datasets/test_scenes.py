"""Scenes: real digits on real photographs, and nothing of a training image in a test image."""

from dataclasses import replace

import numpy as np
import pytest

from dbray.datasets import describe_dataset, load_dataset, scenes


@pytest.fixture(scope="module")
def data():
    return load_dataset("scenes")


@pytest.fixture
def stark(monkeypatch):
    """Scenes whose digits are all that is to be seen, in full contrast."""
    monkeypatch.setattr(scenes, "_photographs", lambda: np.zeros((2, 60, 80, 3), np.float32))
    monkeypatch.setattr(scenes, "TONE", 0)
    return scenes.load_scenes()


@pytest.fixture
def blank_digits(digits, monkeypatch):
    """Let scenes be patches of photographs as they are, without digits."""
    nothing = {
        f"{split}_images": np.zeros_like(getattr(digits, f"{split}_images"))
        for split in ("train", "test")
    }
    monkeypatch.setattr(scenes, "load_digits", lambda: replace(digits, **nothing))
    monkeypatch.setattr(scenes, "TONE", 1)


def cropped(digit):
    """A digit without the empty rows and columns around it."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def test_shapes_and_labels(data, digits):
    assert data.input_shape == (3, scenes.SIDE, scenes.SIDE)
    assert data.train_images.dtype == data.test_images.dtype == np.uint8
    assert len(data.train_images) == len(data.train_labels) == 1437 * scenes.COPIES
    np.testing.assert_array_equal(data.train_labels[:: scenes.COPIES], digits.train_labels)
    np.testing.assert_array_equal(data.test_labels, digits.test_labels)
    assert data.class_names == digits.class_names


def test_the_draw_is_fixed(data):
    """Trials of older studies are found by the fingerprint."""
    assert data.fingerprint == load_dataset("scenes").fingerprint
    assert data.fingerprint[:12] == "37cd114b4a9c"


def test_normalised_training_set_has_mean_0_and_deviation_1(data):
    inputs = data.normalise(data.train_images)
    assert inputs.mean(axis=(0, 2, 3)) == pytest.approx(np.zeros(3), abs=1e-3)
    assert inputs.std(axis=(0, 2, 3)) == pytest.approx(np.ones(3), abs=1e-3)


def test_every_digit_can_be_found_again_and_is_in_one_split(digits, stark):
    splits = {"train": np.repeat(digits.train_images, scenes.COPIES, axis=0)}
    splits["test"] = digits.test_images
    known = {}
    for split, placed in splits.items():
        known[split] = {cropped(digit[0]).tobytes() for digit in placed}
        for digit, image in zip(placed, getattr(stark, f"{split}_images"), strict=True):
            for colour in image:
                ink = colour if np.median(colour) == 0 else 255 - colour
                np.testing.assert_array_equal(cropped(ink), cropped(digit[0]))
    assert not known["train"] & known["test"]


def test_digits_come_to_lie_everywhere(stark):
    background = np.median(stark.train_images, axis=(2, 3), keepdims=True)
    inked = (stark.train_images != background)[:, 0]
    lying = {(np.flatnonzero(i.any(axis=1))[0], np.flatnonzero(i.any(axis=0))[0]) for i in inked}
    rooms = range(scenes.SIDE - 8 + 1)
    assert {(row, column) for row in rooms for column in rooms} <= lying


def test_each_colour_of_a_patch_is_bright_or_dark_for_itself(stark):
    bright = np.median(stark.train_images, axis=(2, 3)) == 255  # (n, 3)
    kinds, counts = np.unique(bright, axis=0, return_counts=True)
    assert len(kinds) == 8
    assert counts / len(bright) == pytest.approx(np.full(8, 1 / 8), abs=0.03)


def test_no_test_patch_overlaps_the_training_part(blank_digits, monkeypatch):
    photographs = np.full((2, 60, 80, 3), 10, np.float32)
    photographs[:, :, round(80 * scenes.TRAINING_SHARE) :] = 200
    monkeypatch.setattr(scenes, "_photographs", lambda: photographs)
    found = scenes.load_scenes()
    assert (found.train_images == 10).all()
    assert (found.test_images == 200).all()


def test_what_is_no_digit_is_photograph(blank_digits):
    found, photographs = scenes.load_scenes(), np.rint(scenes._photographs()).astype(np.uint8)
    side = (scenes.SIDE, scenes.SIDE)
    windows = np.lib.stride_tricks.sliding_window_view(photographs, side, axis=(1, 2))
    border = round(photographs.shape[2] * scenes.TRAINING_SHARE)
    parts = (windows[:, :, : border - scenes.SIDE + 1], windows[:, :, border:])
    for part, images in zip(parts, (found.train_images, found.test_images), strict=True):
        for image in images[:3]:
            assert (part == image).all(axis=(3, 4, 5)).any()


def test_a_description_in_one_line(data):
    described = describe_dataset(data)
    assert described.startswith(f"scenes: {1437 * scenes.COPIES:,} training and 360 test images")
    assert f"shape 3x{scenes.SIDE}x{scenes.SIDE}" in described
    assert described.endswith("put together by dbray")
