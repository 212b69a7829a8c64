"""The faster way of labelling answers as the model does, leaves it alone, and knows its limits."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from dbray.architectures import ARCHITECTURES, build_model
from dbray.labelling import label_planes
from dbray.labelling.execution import execution_of
from dbray.planes import PlaneSource, frames_of, plane_frame, plane_grid

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)


def trained_like(name, **options):
    """A model whose batch norms have seen something, so that folding them matters."""
    model = build_model(name, input_shape=SHAPE, classes=10, seed=1, **options)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            shape = module.running_mean.shape
            module.running_mean.copy_(torch.randn(shape, generator=generator))
            module.running_var.copy_(torch.rand(shape, generator=generator) + 0.5)
            module.weight.data.copy_(torch.rand(shape, generator=generator) + 0.5)
    return model.eval()


def logits_of(execution, frame, grid):
    with torch.inference_mode():
        return execution.rest(execution.at(frame)(torch.as_tensor(grid, dtype=torch.float32)))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_executed_faster_and_answers_the_same(digits, name):
    model = trained_like(name)
    before = copy.deepcopy(model.state_dict())
    frame = next(iter(frames_of(digits, [0], PlaneSource())))
    execution = execution_of(model, SHAPE, CPU, frame)
    assert execution.rest is not model
    assert execution.first is not None
    grid = plane_grid(frame, 10, 0.1).reshape(-1, 2)
    points = (frame.origin + grid @ frame.axes).reshape(-1, *SHAPE)
    with torch.inference_mode():
        exact = copy.deepcopy(model).double()(torch.as_tensor(points))
    largest = float(exact.abs().max())
    np.testing.assert_allclose(logits_of(execution, frame, grid), exact, atol=1e-5 * largest)

    assert not model.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
        assert value.stride() == before[key].stride()


def test_batch_norm_is_folded_and_wide_convolutions_are_channels_last(digits):
    frame = next(iter(frames_of(digits, [0], PlaneSource())))
    rest = execution_of(trained_like("vgg"), SHAPE, CPU, frame).rest
    assert not any(isinstance(module, nn.BatchNorm2d) for module in rest.modules())
    convolutions = [module for module in rest.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 3  # of four
    assert all(c.weight.is_contiguous(memory_format=torch.channels_last) for c in convolutions)
    narrow = execution_of(trained_like("resnet"), SHAPE, CPU, frame)
    assert not narrow.channels_last


def test_label_maps_are_bit_equal_from_run_to_run(digits):
    frames = list(frames_of(digits, [0, 1], PlaneSource()))
    size = {"classes": 10, "resolution": 20, "extent": 0.1, "device": CPU}
    first, second = (
        list(label_planes(trained_like("resnet"), frames, SHAPE, **size)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


class Counting(nn.Module):
    """Looks at its inputs' values, which cannot be traced."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, inputs):
        rows = inputs.flatten(1)
        return self.layer(rows) if rows.sum() > 0 else -self.layer(rows)


class Noisy(nn.Module):
    """Draws a number while it is traced, which would then stay the same."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.layer(inputs.flatten(1)) * torch.rand(())


class Residual(nn.Module):
    """Uses its inputs twice, and overwrites a ReLU's input that is read again."""

    def __init__(self):
        super().__init__()
        self.layer, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, inputs):
        rows = inputs.flatten(1)
        hidden = self.layer(rows)
        return self.last(torch.relu(hidden) + hidden + torch.relu(rows) - rows)


@pytest.mark.parametrize("model", [Counting(), Noisy()], ids=["counting", "noisy"])
def test_what_cannot_be_traced_runs_as_it_is(model):
    frame = plane_frame(np.random.default_rng(0).normal(size=(3, 4)))
    assert execution_of(model.eval(), (1, 2, 2), CPU, frame).rest is model


def test_an_own_module_that_traces_answers_the_same():
    torch.manual_seed(0)
    model = Residual().eval()
    frame = plane_frame(np.random.default_rng(0).normal(size=(3, 4)))
    execution = execution_of(model, (1, 2, 2), CPU, frame)
    assert execution.rest is not model
    grid = plane_grid(frame, 6, 0.1).reshape(-1, 2)
    points = torch.as_tensor(frame.origin + grid @ frame.axes, dtype=torch.float32)
    with torch.inference_mode():
        expected = model(points.view(-1, 1, 2, 2))
    torch.testing.assert_close(logits_of(execution, frame, grid), expected)


def test_batch_norm_of_the_batch_is_not_folded():
    """One without running statistics depends on the other inputs, which no weights express."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(2, track_running_stats=False)
    model = nn.Sequential(nn.Conv2d(1, 2, 1), norm, nn.Flatten(), nn.Linear(8, 3)).eval()
    frame = plane_frame(np.random.default_rng(0).normal(size=(3, 4)))
    rest = execution_of(model, (1, 2, 2), CPU, frame).rest
    assert any(isinstance(module, nn.BatchNorm2d) for module in rest.modules())


def test_other_devices_run_the_model_as_it_is():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    frame = plane_frame(np.eye(3, 4))
    assert execution_of(model, (1, 2, 2), torch.device("meta"), frame).rest is model
