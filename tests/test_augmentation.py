"""Augmentation: every image becomes one of its own shifts, mirrored or not."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from dbray.augmentation import make_augmentation


def augment(images, padding, *, flip, seed=0, black=(7.0, -7.0)):
    generator = torch.Generator().manual_seed(seed)
    value = torch.tensor(black)
    return make_augmentation(padding, flip=flip, padding_value=value, generator=generator)(images)


def shifts(image, padding, black=(7.0, -7.0)):
    _, height, width = image.shape
    padded = torch.tensor(black).view(-1, 1, 1).repeat(1, height + 2 * padding, width + 2 * padding)
    padded[:, padding : padding + height, padding : padding + width] = image
    for i in range(2 * padding + 1):
        for j in range(2 * padding + 1):
            yield padded[:, i : i + height, j : j + width]


@given(st.integers(0, 2), st.booleans(), st.integers(0, 1000))
def test_each_image_becomes_one_of_its_shifts(padding, flip, seed):
    images = torch.randn(5, 2, 4, 3, generator=torch.Generator().manual_seed(seed))
    for before, after in zip(images, augment(images, padding, flip=flip, seed=seed), strict=True):
        possible = list(shifts(before, padding))
        if flip:
            possible += [shift.flip(-1) for shift in possible]
        assert any(torch.equal(after, shift) for shift in possible)


def test_nothing_asked_for_nothing_changed():
    images = torch.randn(4, 2, 5, 5)
    assert augment(images, 0, flip=False) is images


def test_all_shifts_and_both_sides_come_about_equally_often():
    image = torch.arange(18.0).view(1, 2, 3, 3)
    out = augment(image.repeat(3600, 1, 1, 1), 1, flip=True)
    for shift in shifts(image[0], 1):
        for possible in (shift, shift.flip(-1)):
            count = (out == possible).all(dim=(1, 2, 3)).sum()
            assert 120 < count < 290  # 200 expected, standard deviation 14


def test_equal_seeds_give_equal_batches():
    images = torch.randn(8, 2, 6, 6)
    first = augment(images, 2, flip=True, seed=3)
    assert torch.equal(first, augment(images, 2, flip=True, seed=3))
    assert not torch.equal(first, augment(images, 2, flip=True, seed=4))
