"""Labelling: every grid point gets the class that the model predicts there."""

import numpy as np
import pytest
import torch
from torch import nn

from dbray.architectures import build_model
from dbray.errors import TrialFailedError
from dbray.labelling import label_dtype, label_planes, predict
from dbray.labelling.label_maps import batch_size
from dbray.planes import PlaneSource, frames_of, plane_frame, plane_grid

CPU = torch.device("cpu")


def label_one(model, frame, shape, classes, resolution=50, extent=0.1):
    maps = label_planes(
        model, [frame], shape, classes=classes, resolution=resolution, extent=extent, device=CPU
    )
    return next(maps)


def test_linear_classifier_in_closed_form():
    """The boundary x = 1 cuts the plane where it should, and the share of each side is known."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[0.0, 0, 0], [1.0, 0, 0]]))
        model[1].bias.copy_(torch.tensor([0.0, -1.0]))  # class 1 where x > 1
    frame = plane_frame(np.array([[0.0, 0, 5], [4, 0, 5], [0, 2, 5]]))
    label_map = label_one(model, frame, (1, 1, 3), 2, resolution=401, extent=0.0)
    alpha = plane_grid(frame, 401, 0.0)[..., 0]
    far = np.abs(alpha - 1) > 1e-5
    assert (label_map[far] == (alpha > 1)[far]).all()
    assert label_map.mean() == pytest.approx(3 / 4, abs=1 / 401)


def test_three_way_linear_classifier_has_the_sectors_areas():
    """Three half-lines at 120 degrees from the centre: classes by the nearest of three vertices."""
    vertices = np.array([[1.0, 0.0], [-0.5, np.sqrt(3) / 2], [-0.5, -np.sqrt(3) / 2]])
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor(vertices))
    frame = plane_frame(np.array([[-1.0, -1], [1, -1], [-1, 1]]))  # the square [-1, 1]^2
    label_map = label_one(model, frame, (1, 1, 2), 3, resolution=600, extent=0.0)
    # Class 0 is |y| < sqrt(3) x: the square's right half less two triangles.
    first = 2 - 1 / np.sqrt(3)
    assert (label_map == 0).mean() == pytest.approx(first / 4, abs=0.004)
    assert (label_map == 1).mean() == pytest.approx((4 - first) / 8, abs=0.004)


@pytest.mark.parametrize("architecture", ["fcnet", "resnet", "vit"])
def test_labels_equal_one_point_at_a_time(digits, architecture):
    model = build_model(architecture, input_shape=(1, 8, 8), classes=10, seed=1).eval()
    frames = list(frames_of(digits, [0, 1], PlaneSource()))
    maps = label_planes(model, frames, (1, 8, 8), classes=10, resolution=6, extent=0.1, device=CPU)
    for frame, label_map in zip(frames, maps, strict=True):
        for i, j in np.ndindex(6, 6):
            point = frame.origin + plane_grid(frame, 6, 0.1)[i, j] @ frame.axes
            logits = model(torch.tensor(point, dtype=torch.float32).view(1, 1, 8, 8))
            top = logits.topk(2).values[0]
            if top[0] - top[1] > 1e-4:  # rounding may decide a tie either way
                assert label_map[i, j] == int(logits.argmax())


def test_label_type_follows_the_number_of_classes():
    assert label_dtype(256) == np.uint8
    assert label_dtype(257) == np.uint16
    assert label_dtype(65_536) == np.uint16
    with pytest.raises(ValueError, match="65537"):
        label_dtype(65_537)


def test_many_classes():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 40_000))
    frame = plane_frame(np.eye(3, 2))
    label_map = label_one(model, frame, (1, 1, 2), 40_000, resolution=5)
    assert label_map.dtype == np.uint16


def test_output_that_is_not_finite_is_no_result():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 3))
    nn.init.constant_(model[1].weight, float("nan"))
    with pytest.raises(TrialFailedError, match="not finite"):
        label_one(model, plane_frame(np.array([[0.0, 0], [1, 0], [0, 1]])), (1, 1, 2), 3)


def test_predictions_are_the_models_probabilities(digits):
    model = build_model("fcnet", input_shape=(1, 8, 8), classes=10, seed=1).eval()
    inputs = digits.normalise(digits.test_images)
    expected = model(torch.from_numpy(inputs)).softmax(dim=1).detach().numpy()
    found = predict(model, inputs, CPU)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    nn.init.constant_(model[-1].weight, float("inf"))
    with pytest.raises(TrialFailedError, match="test image"):
        predict(model, inputs, CPU)


class Narrow(nn.Module):
    """A model on a device that has memory for so many inputs at a time."""

    def __init__(self, inner, most):
        super().__init__()
        self.inner, self.most, self.seen = inner, most, []

    def forward(self, inputs):
        if len(inputs) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        self.seen.append(len(inputs))
        return self.inner(inputs)


def test_batches_are_halved_until_they_fit_and_stay_so():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    frames = [plane_frame(np.random.default_rng(s).normal(size=(3, 4))) for s in (0, 1)]
    narrow = Narrow(inner, most=70)
    found, expected = (
        list(
            label_planes(
                model,
                frames,
                (1, 2, 2),
                classes=3,
                resolution=20,
                extent=0.1,
                device=torch.device("cpu"),
            )
        )
        for model in (narrow, inner)
    )
    np.testing.assert_array_equal(found, expected)
    assert max(narrow.seen) <= 70
    tries = len(narrow.seen)
    list(
        label_planes(
            narrow,
            frames[:1],
            (1, 2, 2),
            classes=3,
            resolution=20,
            extent=0.1,
            device=torch.device("cpu"),
        )
    )
    assert len(narrow.seen) - tries == tries // 2  # no batch was tried that does not fit
    with pytest.raises(torch.OutOfMemoryError):
        predict(Narrow(inner, most=0), np.zeros((5, 1, 2, 2), np.float32), torch.device("cpu"))


def test_large_inputs_make_small_batches():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert batch_size(cpu, 3 * 32 * 32) == batch_size(cpu, 64) == 256
    assert batch_size(cuda, 3 * 32 * 32) == 4096
    assert batch_size(cuda, 3 * 224 * 224) == 83
    assert batch_size(cpu, 10**9) == 1
