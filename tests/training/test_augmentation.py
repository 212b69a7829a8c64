"""Augmentation: images become their own shifts, mirrored or not, and mixtures of two."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dbray.architectures import build_model
from dbray.config import TrainingConfig
from dbray.training.augmentation import make_augmentation, make_mix
from dbray.training.training import train


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


def mixed(mixup, cutmix, seed, *, size=6):
    """A batch of images of one class each, and what a mixture makes of it."""
    images = torch.randn(size, 2, 7, 5, generator=torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    return (images, *make_mix(mixup, cutmix, size)(images, torch.arange(size)))


def parts_of(targets):
    """For each row of targets: its own share, the other image's number and its share."""
    for own, row in enumerate(targets):
        others = row.clone()
        others[own] = 0
        yield own, float(row[own]), int(others.argmax()), float(others.max())


alphas = st.sampled_from([0.2, 1.0, 4.0])
seeds = st.integers(0, 10_000)


@given(alphas, alphas, st.sampled_from(["mixup", "cutmix", "both"]), seeds)
def test_targets_are_probabilities_of_two_classes(mixup, cutmix, kind, seed):
    chosen = (0.0 if kind == "cutmix" else mixup, 0.0 if kind == "mixup" else cutmix)
    images, out, targets = mixed(*chosen, seed)
    assert out.shape == images.shape
    assert targets.shape == (6, 6)
    assert (targets >= 0).all()
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(6))
    assert ((targets > 0).sum(dim=1) <= 2).all()


@given(alphas, seeds)
def test_mixup_gives_convex_combinations_in_the_targets_shares(alpha, seed):
    images, out, targets = mixed(alpha, 0.0, seed)
    for i, own, j, other in parts_of(targets):
        torch.testing.assert_close(out[i], own * images[i] + other * images[j])


@given(alphas, seeds)
def test_cutmix_pastes_a_rectangle_as_large_as_the_targets_share(alpha, seed):
    images, out, targets = mixed(0.0, alpha, seed)
    for i, _, j, other in parts_of(targets):
        kept, pasted = ((out[i] == images[k]).all(dim=0) for k in (i, j))
        assert (kept | pasted).all()
        share = pasted.sum() / pasted.numel()
        assert float(share) == pytest.approx(other if j != i else 1.0, abs=1e-6) or other == 0
        if pasted.any() and other > 0:
            rows, columns = pasted.any(dim=1).nonzero(), pasted.any(dim=0).nonzero()
            box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
            assert int(box) == int(pasted.sum())


def test_with_both_each_comes_about_half_of_the_time():
    cut = 0
    for seed in range(300):
        images, out, _ = mixed(1.0, 1.0, seed)
        cut += bool(torch.isin(out, images).all())
    assert 110 < cut < 190  # 150 expected, standard deviation 9


def test_without_a_mixture_nothing_changes():
    images, labels = torch.randn(4, 2, 5, 5), torch.arange(4)
    same_images, same_labels = make_mix(0.0, 0.0, 4)(images, labels)
    assert same_images is images
    assert same_labels is labels


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_equal_seeds_mix_equally(mixup, cutmix):
    _, first, first_targets = mixed(mixup, cutmix, 3)
    _, second, second_targets = mixed(mixup, cutmix, 3)
    assert torch.equal(first, second)
    assert torch.equal(first_targets, second_targets)
    torch.manual_seed(4)
    images = torch.randn(6, 2, 7, 5, generator=torch.Generator().manual_seed(3))
    other, _ = make_mix(mixup, cutmix, 6)(images, torch.arange(6))
    assert not torch.equal(first, other)


@pytest.mark.parametrize("mixture", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1}])
def test_training_with_mixtures_follows_the_data_seed(digits, mixture):
    torch.set_num_threads(1)
    plain = TrainingConfig(epochs=1, optimizer="adamw", learning_rate=5e-3, crop_padding=1)
    part = replace(
        digits, train_images=digits.train_images[:400], train_labels=digits.train_labels[:400]
    )

    def trained(config, data_seed=0):
        model = build_model("mlp", input_shape=(1, 8, 8), classes=10, seed=0)
        train(model, part, config, data_seed=data_seed, device=torch.device("cpu"))
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    config = replace(plain, **mixture)
    torch.manual_seed(1)
    first = trained(config)
    torch.manual_seed(2)
    assert torch.equal(first, trained(config))
    assert not torch.equal(first, trained(config, data_seed=1))
    assert not torch.equal(first, trained(plain))
