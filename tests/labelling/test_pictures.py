"""Pictures: labels with confidence, and large ones refined only near borders."""

import numpy as np
import pytest
import torch
from torch import nn

from dbray.architectures import build_model
from dbray.labelling import label_planes, pictures, shade_planes
from dbray.planes import PlaneSource, frames_of, plane_grid

CPU = torch.device("cpu")


def test_shading_keeps_the_labels_and_adds_the_confidence(digits):
    model = build_model("fcnet", input_shape=(1, 8, 8), classes=10, seed=1).eval()
    frames = list(frames_of(digits, [0, 1], PlaneSource()))
    size = {"classes": 10, "resolution": 9, "extent": 0.5, "device": CPU}
    plain = list(label_planes(model, frames, (1, 8, 8), **size))
    shaded = list(shade_planes(model, iter(frames), (1, 8, 8), **size))
    for frame, labels, (again, confidence) in zip(frames, plain, shaded, strict=True):
        np.testing.assert_array_equal(labels, again)
        points = frame.origin + plane_grid(frame, 9, 0.5).reshape(-1, 2) @ frame.axes
        logits = model(torch.tensor(points, dtype=torch.float32).view(-1, 1, 8, 8))
        expected = 255 * logits.softmax(dim=1).max(dim=1).values.detach().numpy()
        assert confidence.dtype == np.uint8
        assert np.abs(confidence.ravel() - expected).max() <= 0.51


class Counting(nn.Module):
    """A model that counts the points it is asked for."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.points = inner, 0

    def forward(self, inputs):
        self.points += len(inputs)
        return self.inner(inputs)


@pytest.mark.parametrize("resolution", [201, 204, 250])
def test_a_large_picture_is_that_of_all_points_for_less_work(digits, resolution, monkeypatch):
    model = Counting(build_model("fcnet", input_shape=(1, 8, 8), classes=10, seed=1)).eval()
    frames = list(frames_of(digits, [0, 1, 2], PlaneSource()))
    size = {"classes": 10, "resolution": resolution, "extent": 0.5, "device": CPU}
    refined = list(shade_planes(model, frames, (1, 8, 8), **size))
    asked, model.points = model.points, 0
    monkeypatch.setattr(pictures, "LARGEST_IN_FULL", 1000)
    in_full = list(shade_planes(model, frames, (1, 8, 8), **size))
    assert model.points == 3 * resolution**2
    assert asked < 0.5 * model.points
    for (labels, confidence), (all_labels, all_confidence) in zip(refined, in_full, strict=True):
        assert labels.dtype == all_labels.dtype
        assert (labels != all_labels).mean() < 1e-3  # rounding may decide a point on a border
        assert np.abs(confidence.astype(int) - all_confidence).max() <= 4


def test_only_an_island_smaller_than_the_step_can_be_missed():
    asked = np.zeros((301, 301), np.bool_)
    truth = np.zeros((301, 301), np.uint8)
    truth[100:104, 100:104] = 1  # four points wide: it holds a point of the first pass
    truth[201:204, 201:204] = 2  # three points wide, between the points of the first pass

    def shade(points):
        asked[points] = True
        return truth[points], np.full(points.sum(), 255, np.uint8)

    labels, confidence = pictures._refined(shade, 301)
    np.testing.assert_array_equal(labels == 1, truth == 1)
    assert not (labels == 2).any()
    assert (confidence == 255).all()
    assert asked.mean() < 0.1


def test_every_point_near_a_border_is_asked_for():
    rng = np.random.default_rng(0)
    sites, names = rng.random((6, 2)) * 255, rng.integers(0, 4, 6)
    places = np.stack(np.meshgrid(*[np.arange(255)] * 2, indexing="ij"), axis=-1)
    truth = names[np.linalg.norm(places[:, :, None] - sites, axis=-1).argmin(axis=-1)]

    def shade(points):
        return truth[points].astype(np.uint8), np.zeros(points.sum(), np.uint8)

    np.testing.assert_array_equal(pictures._refined(shade, 255)[0], truth)
