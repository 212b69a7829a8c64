"""SAM as it is defined: on a quadratic, through a gradient scaler, and in several processes."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from dbray.config import DistillationConfig, TrainingConfig
from dbray.training import Teacher, make_optimizer
from dbray.training.augmentation import make_mix
from dbray.training.loop import Loop
from dbray.training.optimization import ScaledStep

CPU = torch.device("cpu")
ROOT = torch.tensor([[2.0, 0.5, 0.0], [0.0, 1.0, -1.0], [0.3, 0.0, 0.7]], dtype=torch.float64)
CURVATURE = 2 / 3 * (ROOT.T @ ROOT).numpy()  # of mean((ROOT w)^2), which is 0.5 w^T CURVATURE w
START = [1.0, -2.0, 0.5]
FAR = [100.0, -200.0, 50.0]  # where gradients overflow at a scale of 2 ** 127


class Quadratic(nn.Module):
    """Logits whose mean square is 0.5 w^T A w, whatever the inputs."""

    def __init__(self, start=START, dtype=torch.float64):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(start, dtype=dtype))

    def forward(self, inputs):
        return (ROOT.to(self.weight.dtype) @ self.weight)[None]


class Nothing(nn.Module):
    """A teacher whose logits are zero: its mean squared error is the quadratic."""

    def forward(self, inputs):
        return torch.zeros(1, 3)


TOWARDS_ZERO = Teacher(Nothing(), DistillationConfig("", "", loss="mse"))


def loop_of(model, config, *, teacher=None, scaler=None):
    """A loop wired as training wires it, with the scaler of one's choice."""
    scaler = scaler or torch.amp.GradScaler("cpu", enabled=False)
    optimizer = make_optimizer(model.parameters(), config)
    if config.optimizer == "sam":
        optimizer.base_optimizer = ScaledStep(optimizer.base_optimizer, scaler)
    mix = make_mix(0.0, 0.0, 3)
    whole = (lambda images: images, mix, optimizer, lambda step: 1.0, scaler, CPU)
    return Loop(model, config, *whole, teacher=teacher)


def descend(config, steps, *, start=START, scaler=None, dtype=torch.float64):
    """Weights after each step down the quadratic."""
    model = Quadratic(start, dtype)
    loop = loop_of(model, config, teacher=TOWARDS_ZERO, scaler=scaler)
    inputs, labels = torch.zeros(1, 1, 1, 1), torch.tensor([0])
    path = []
    for _ in range(steps):
        loop.step(inputs, labels)
        path.append(model.weight.detach().numpy().copy())
    return np.array(path)


def sam_by_definition(config, steps, start=START):
    weight, velocity, path = np.array(start), np.zeros(3), []
    for _ in range(steps):
        gradient = CURVATURE @ weight
        beyond = weight + config.sam_radius * gradient / np.linalg.norm(gradient)
        velocity = config.momentum * velocity + CURVATURE @ beyond + config.weight_decay * weight
        weight = weight - config.learning_rate * velocity
        path.append(weight)
    return np.array(path)


def sam(**options):
    values = {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.1, "sam_radius": 0.3}
    return TrainingConfig(optimizer="sam", **values | options)


def test_one_step_of_sam_by_hand():
    model = Quadratic([3.0, 0.0, 0.0])
    a = CURVATURE[:, 0] * 3.0
    along = a / np.linalg.norm(a)
    second = CURVATURE @ (np.array([3.0, 0.0, 0.0]) + 0.5 * along)
    expected = np.array([3.0, 0.0, 0.0]) - 0.1 * (second + 0.2 * np.array([3.0, 0.0, 0.0]))
    config = sam(learning_rate=0.1, momentum=0.0, weight_decay=0.2, sam_radius=0.5)
    loop_of(model, config, teacher=TOWARDS_ZERO).step(torch.zeros(1, 1, 1, 1), torch.tensor([0]))
    np.testing.assert_allclose(model.weight.detach(), expected, rtol=1e-8)  # the norm is float32


vectors = st.lists(st.floats(-5, 5), min_size=3, max_size=3).filter(
    lambda w: np.linalg.norm(CURVATURE @ w) > 1e-3
)


@given(
    vectors,
    st.floats(0.001, 0.2),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.sampled_from([0.0, 0.1]),
    st.floats(0.0, 1.0),
)
def test_sam_follows_its_definition(start, rate, momentum, decay, radius):
    config = sam(learning_rate=rate, momentum=momentum, weight_decay=decay, sam_radius=radius)
    expected = sam_by_definition(config, 3, start)
    # Where the gradient nearly vanishes its direction is anyone's, and the norm is float32.
    gradients = np.linalg.norm(np.vstack([start, expected[:-1]]) @ CURVATURE, axis=1)
    assume(gradients.min() > 0.1 * radius)
    np.testing.assert_allclose(descend(config, 3, start=start), expected, rtol=1e-5, atol=1e-5)


def test_sam_keeps_to_its_definition_over_many_steps():
    config = sam()
    np.testing.assert_allclose(descend(config, 12), sam_by_definition(config, 12), atol=1e-7)


def test_sam_without_a_radius_is_sgd_and_with_one_is_not():
    plain = descend(TrainingConfig(optimizer="sgd", learning_rate=0.05, weight_decay=0.1), 5)
    np.testing.assert_array_equal(descend(sam(sam_radius=0.0), 5), plain)
    assert np.abs(descend(sam(), 5) - plain).max() > 0.01


def test_the_perturbed_weights_are_restored_to_the_bit():
    start = [0.1, -0.7, 1 / 3]
    path = descend(sam(learning_rate=0.0), 4, start=start, dtype=torch.float32)
    assert (path == np.array(start, np.float32)).all()


def test_the_schedule_reaches_the_step_that_sam_makes():
    model = Quadratic()
    loop = loop_of(model, sam(), teacher=TOWARDS_ZERO)
    loop.schedule = lambda step: 0.0
    loop.step(torch.zeros(1, 1, 1, 1), torch.tensor([0]))
    assert model.weight.tolist() == START


@pytest.mark.parametrize("name", ["sam", "sgd"])
def test_a_gradient_scaler_does_not_change_the_steps(name):
    config = sam() if name == "sam" else TrainingConfig(optimizer="sgd", learning_rate=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    scaled = descend(config, 6, scaler=scaler, dtype=torch.float32)
    np.testing.assert_allclose(scaled, descend(config, 6, dtype=torch.float32), rtol=2e-6)
    assert scaler.get_scale() == 2.0**12


def test_an_overflow_leaves_the_weights_alone_and_lowers_the_scale():
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    path = descend(sam(), 2, start=FAR, scaler=scaler, dtype=torch.float32)
    assert (path == np.array(FAR, np.float32)).all()
    assert scaler.get_scale() == 2.0**125


@pytest.fixture
def memory_of_nans():
    """Memory that nothing was written to holds NaN: who reads it is found out."""
    torch.use_deterministic_algorithms(mode=True)
    yield
    torch.use_deterministic_algorithms(mode=False)


@pytest.mark.parametrize("name", ["sam", "sgd"])
@pytest.mark.usefixtures("memory_of_nans")
def test_steps_after_an_overflow_are_those_without_it(name):
    config = sam() if name == "sam" else TrainingConfig(optimizer="sgd", learning_rate=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-100)
    path = descend(config, 4, start=FAR, scaler=scaler, dtype=torch.float32)
    without = descend(config, 3, start=FAR, dtype=torch.float32)
    np.testing.assert_allclose(path[1:], without, rtol=2e-5)


def batch_norm_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))


def test_an_overflow_leaves_the_running_statistics_finite():
    """The perturbed weights are NaN then; what they give must not reach the model."""
    model = batch_norm_model()
    scaler = torch.amp.GradScaler("cpu", init_scale=float("inf"))
    loop = loop_of(model, sam(), scaler=scaler)
    before = [parameter.clone() for parameter in model.parameters()]
    loop.step(torch.randn(8, 1, 2, 2), torch.arange(8) % 3)
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
    assert all(torch.isfinite(buffer).all() for buffer in model.buffers())


def test_running_statistics_are_those_at_the_weights_and_not_beyond_them():
    images, labels = torch.randn(8, 1, 2, 2), torch.arange(8) % 3
    perturbed, plain = batch_norm_model(), batch_norm_model()
    loop_of(perturbed, sam(sam_radius=5.0)).step(images, labels)
    loop_of(plain, TrainingConfig(optimizer="sgd")).step(images, labels)
    for one, other in zip(perturbed.buffers(), plain.buffers(), strict=True):
        assert torch.equal(one, other)
    assert all(m.track_running_stats for m in perturbed.modules() if isinstance(m, nn.BatchNorm1d))


def linear_model():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 1, 2, 3, generator=generator), torch.arange(8) % 3


def trained_on(config, part=slice(None), wrap=lambda model: model):
    torch.set_num_threads(1)
    model = linear_model()
    loop = loop_of(wrap(model), config)
    images, labels = batch()
    for _ in range(5):
        loop.step(images[part], labels[part])
    return model.state_dict()


def work_in_one_of_two_processes(rank, folder, config):
    from torch.nn.parallel import DistributedDataParallel

    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    part = slice(4 * rank, 4 * rank + 4)
    torch.save(trained_on(config, part, DistributedDataParallel), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_two_processes_with_half_a_batch_each_step_as_one_with_all_of_it(tmp_path):
    config = sam(sam_radius=0.5)
    torch.multiprocessing.spawn(work_in_one_of_two_processes, (tmp_path, config), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    alone = trained_on(config)
    for name, value in alone.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value, rtol=1e-5, atol=1e-6)
    # The halves pull apart, and SAM is not SGD: neither would pass for the other.
    half, sgd = trained_on(config, slice(4)), trained_on(TrainingConfig(learning_rate=0.05))
    for other in (half, sgd):
        assert not torch.allclose(alone["1.weight"], other["1.weight"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_optimizers_take_their_first_step(name):
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    config = TrainingConfig(optimizer=name, learning_rate=0.1, weight_decay=0.5, momentum=0.9)
    optimizer = make_optimizer([weight], config)
    weight.grad = torch.tensor([3.0, 3.0])
    optimizer.step()
    expected = {
        "sgd": [1 - 0.1 * (3 + 0.5), -2 - 0.1 * (3 - 1)],
        "adam": [1 - 0.1, -2 - 0.1],  # the first step has the length of the rate
        "adamw": [1 * 0.95 - 0.1, -2 * 0.95 - 0.1],
    }[name]
    np.testing.assert_allclose(weight.detach(), expected, rtol=1e-5)


def test_optimizers_are_the_ones_that_they_are_named_after():
    weight = nn.Parameter(torch.zeros(2))
    for name, kind in {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "sam": "SAM"}.items():
        optimizer = make_optimizer([weight], TrainingConfig(optimizer=name))
        assert type(optimizer).__name__ == kind


def test_a_training_does_not_load_torchs_compiler():
    """It takes two seconds of every process that trains."""
    code = """
import sys
import torch
from dataclasses import replace
from dbray.architectures import build_model
from dbray.datasets import load_dataset
from dbray.training import recipe
from dbray.training.training import train

digits = load_dataset("digits")
model = build_model("mlp", input_shape=(1, 8, 8), classes=10, seed=0)
one = replace(recipe("mlp", "small", "digits", 8), epochs=1)
train(model, digits, one, data_seed=0, device=torch.device("cpu"))
print("torch._dynamo" in sys.modules)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.stdout.strip() == "False", ended.stderr
