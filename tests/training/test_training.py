"""Training: reproducible to the bit, seeds kept apart, and no result from a diverged loss."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from dbray.architectures import build_model
from dbray.config import TrainingConfig
from dbray.errors import TrialFailedError
from dbray.training.evaluation import evaluate
from dbray.training.optimization import make_schedule
from dbray.training.training import train

CPU = torch.device("cpu")
QUICK = TrainingConfig(
    epochs=2, batch_size=64, optimizer="adamw", learning_rate=5e-3, crop_padding=1, flip=False
)


def trained(digits, data_seed=0, weights_seed=0, config=QUICK, name="resnet", **options):
    torch.set_num_threads(1)
    model = build_model(name, input_shape=(1, 8, 8), classes=10, seed=weights_seed)
    history = train(model, digits, config, data_seed=data_seed, device=CPU, **options)
    return model, history


def same(a, b):
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("deterministic", [False, True])
def test_equal_seeds_give_equal_bits_whatever_the_global_state(digits, deterministic):
    first, _ = trained(digits, deterministic=deterministic)
    torch.manual_seed(1234)
    state = torch.random.get_rng_state()
    second, _ = trained(digits, deterministic=deterministic)
    assert same(first, second)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_both_seeds_matter(digits):
    base, _ = trained(digits)
    assert not same(base, trained(digits, data_seed=1)[0])
    assert not same(base, trained(digits, weights_seed=1)[0])


def test_dropout_follows_the_data_seed(digits):
    def with_dropout(data_seed):
        model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))
        nn.init.zeros_(model[2].weight)
        nn.init.zeros_(model[2].bias)
        train(model, digits, QUICK, data_seed=data_seed, device=CPU)
        return model

    torch.manual_seed(0)
    first = with_dropout(0)
    torch.manual_seed(99)
    assert same(first, with_dropout(0))
    assert not same(first, with_dropout(1))


def test_training_learns_and_tells_every_epoch(digits):
    seen = []
    config = replace(QUICK, epochs=5, schedule="one_cycle")
    model, history = trained(digits, config=config, on_epoch=seen.append)
    assert seen == history
    assert [record.epoch for record in history] == [1, 2, 3, 4, 5]
    assert history[-1].test_accuracy > 0.9
    assert history[-1].train_loss < history[0].train_loss
    assert not model.training


@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_sharpness_aware_minimisation_trains_reproducibly(digits, name):
    config = replace(QUICK, epochs=1, optimizer="sam", learning_rate=0.05)
    model, history = trained(digits, config=config, name=name)
    assert math.isfinite(history[-1].train_loss)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert same(model, trained(digits, config=config, name=name)[0])
    assert not same(model, trained(digits, config=replace(config, optimizer="sgd"), name=name)[0])


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_diverged_loss_ends_the_trial_with_the_reason(digits):
    config = replace(QUICK, optimizer="sgd", learning_rate=1e20)
    with pytest.raises(TrialFailedError, match=r"loss became (nan|inf) in epoch 1 of 2 .*sgd"):
        trained(digits, config=config)


@pytest.mark.parametrize(("images", "batch_size"), [(129, 128), (3, 2), (5, 2), (2, 64)])
def test_no_batch_is_too_small_for_batch_norm(digits, images, batch_size):
    part = replace(
        digits,
        train_images=digits.train_images[:images],
        train_labels=digits.train_labels[:images],
    )
    trained(part, config=replace(QUICK, batch_size=batch_size, epochs=1))


@pytest.mark.parametrize(("images", "batch_size"), [(10, 4), (7, 1)])
def test_every_image_is_seen_once_an_epoch(digits, images, batch_size):
    seen = []

    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, inputs):
            if self.training:
                seen.extend(inputs.flatten(1).tolist())
            return self.linear(inputs.flatten(1))

    part = replace(
        digits,
        train_images=digits.train_images[:images],
        train_labels=digits.train_labels[:images],
    )
    config = replace(QUICK, crop_padding=0, batch_size=batch_size, epochs=1)
    train(Recorder(), part, config, data_seed=0, device=CPU)
    expected = part.normalise(part.train_images).reshape(images, -1).tolist()
    assert sorted(seen) == sorted(expected)
    assert seen != expected  # and in another order


def test_the_last_record_tells_the_accuracy_of_the_model_that_is_returned(digits):
    model, history = trained(digits)
    inputs = torch.from_numpy(digits.normalise(digits.test_images))
    assert history[-1].test_accuracy == evaluate(model, inputs, torch.tensor(digits.test_labels))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("optimizer", ["adamw", "sam"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_trains_in_every_precision(digits, precision, optimizer):
    device = torch.device("cuda")
    config = replace(QUICK, epochs=5, schedule="one_cycle", precision=precision, channels_last=True)
    if optimizer == "sam":
        config = replace(config, optimizer=optimizer, learning_rate=0.1)

    def run():
        model = build_model("resnet", input_shape=(1, 8, 8), classes=10, seed=0).to(device)
        history = train(model, digits, config, data_seed=0, device=device, deterministic=True)
        return model, history

    model, history = run()
    assert history[-1].test_accuracy > 0.9
    assert same(model, run()[0])


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", {0: 1, 799: 1}),
        ("step", {0: 1, 299: 1, 300: 0.1, 499: 0.1, 500: 0.01, 700: 1e-3, 799: 1e-3}),
        ("cosine", {0: 1, 400: 0.5, 799: 0}),
        ("one_cycle", {0: 0.04, 240: 1, 520: 0.5, 799: 0}),
    ],
)
def test_schedules(schedule, expected):
    share = make_schedule(TrainingConfig(schedule=schedule), 800)
    for step, value in expected.items():
        assert share(step) == pytest.approx(value, abs=1e-4)
