"""The call for notebooks: the README's lines, and scores equal to their definitions."""

import re
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
import torch
from commands import ROOT
from torch import nn

from dbray.architectures import build_model
from dbray.errors import UserError
from dbray.notebook import compare


@pytest.fixture(scope="module")
def models():
    return {
        f"{name} {seed}": build_model(name, input_shape=(1, 8, 8), classes=10, seed=seed)
        for name in ("fcnet", "resnet")
        for seed in (0, 1)
    }


def test_scores_are_those_of_the_label_maps(models, digits):
    images = digits.normalise(digits.test_images)
    found = compare(models, images, digits.test_labels, planes=5, resolution=12)
    assert found.label_maps.shape == (4, 5, 12, 12)
    for row, (a, b) in zip(found.agreement.itertuples(), combinations(range(4), 2), strict=True):
        assert (row.model_a, row.model_b) == (list(models)[a], list(models)[b])
        assert row.agreement == (found.label_maps[a] == found.label_maps[b]).mean()
        assert row.low <= row.agreement <= row.high
    assert (found.fragmentation.regions >= 1).all()
    assert list(found.fragmentation.model) == list(models)


def test_anchors_have_three_classes_and_more_planes_keep_the_first(models, digits):
    images = digits.normalise(digits.test_images)
    few = compare(models, images, digits.test_labels, planes=3, resolution=5)
    more = compare(models, images, digits.test_labels, planes=6, resolution=5)
    assert (more.image_ids[:3] == few.image_ids).all()
    assert all(len(set(digits.test_labels[ids])) == 3 for ids in more.image_ids)


def test_a_model_agrees_with_itself(digits):
    model = build_model("fcnet", input_shape=(1, 8, 8), classes=10, seed=0)
    images = torch.from_numpy(digits.normalise(digits.test_images[:20]))
    (row,) = compare({"one": model, "same": model}, images, planes=2).agreement.itertuples()
    assert (row.agreement, row.kappa, row.jaccard) == (1, 1, 1)


def test_the_chart_draws(models, digits):
    import vl_convert

    found = compare(models, digits.normalise(digits.test_images), planes=3, resolution=8)
    svg = vl_convert.vegalite_to_svg(found.chart(planes=2).to_dict())
    assert svg.count("<image") == 4 * 2
    assert "Share of points with the same class" in svg


class Answers(nn.Module):
    """Logits of many classes; the largest is decided by the first pixel."""

    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, inputs):
        places = torch.arange(self.classes, dtype=torch.float32)
        wanted = inputs.flatten(1)[:, :1] * (self.classes - 1)
        return -((places - wanted) ** 2)


def test_up_to_65536_classes_and_any_input_size():
    rng = np.random.default_rng(0)
    images = rng.random((12, 2, 3, 5), dtype=np.float32)
    models = {"all": Answers(65_536), "again": Answers(65_536)}
    found = compare(models, images, planes=1, resolution=4, extent=0.0)
    assert found.label_maps.dtype == np.uint16
    assert found.label_maps.max() > 256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": {"one": Answers(3)}}, "two or more models"),
        ({"models": {"a": Answers(3), "b": Answers(4)}}, "a 3, b 4"),
        ({"images": np.zeros((9, 1, 2, 2))}, "too many of them are equal"),
        ({"labels": [0, 1] * 4}, "three classes"),
        ({"images": np.zeros(9)}, "channels"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(change, message):
    rng = np.random.default_rng(0)
    given = {"models": {"a": Answers(3), "b": Answers(3)}, "images": rng.random((8, 1, 2, 2))}
    with pytest.raises(UserError, match=message):
        compare(**{**given, **change}, planes=1)


def test_the_readmes_notebook_lines_run_without_ray(tmp_path):
    readme = (ROOT / "README.md").read_text()
    (code,) = [c for c in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "compare(" in c]
    blocked = "import sys\nsys.modules['ray'] = None\n"
    saved = "\nfound.chart().save('chart.html', inline=True)\n"
    ended = subprocess.run(
        [sys.executable, "-c", blocked + code + saved],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "vegaEmbed" in (tmp_path / "chart.html").read_text()


class Returns(nn.Module):
    """Logits of three classes, in whatever form."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, inputs):
        return self.form(inputs.flatten(1)[:, :3], inputs)


def raises(_, __):
    raise RuntimeError("first\n\x1b[31msecond")


def not_finite(logits, inputs):
    return logits / (inputs.flatten(1)[:, :1] > 0.5)


@pytest.mark.parametrize(
    "form",
    [
        lambda y, x: (y, x),
        lambda y, x: {"features": x, "logits": y},
        lambda y, _: [y],
        lambda y, _: y.softmax(1),
        lambda y, _: y.double(),
    ],
)
def test_logits_are_found_in_every_usual_answer(form):
    images = np.random.default_rng(0).random((8, 1, 2, 2))
    models = {"plain": Returns(lambda y, _: y), "other": Returns(form)}
    (row,) = compare(models, images, planes=3, resolution=9).agreement.itertuples()
    assert row.agreement == 1


def test_one_output_is_the_second_of_two_classes():
    images = np.random.default_rng(0).standard_normal((8, 1, 2, 2))
    one, flat = Returns(lambda y, _: y[:, :1]), Returns(lambda y, _: y[:, 0])
    second = Returns(lambda y, _: torch.stack([torch.zeros(len(y)), y[:, 0]], dim=1))
    found = compare({"one": one, "flat": flat, "two": second}, images, planes=4)
    assert found.classes == 2
    assert (found.agreement.agreement == 1).all()
    assert len(np.unique(found.label_maps)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"planes": 0}, "planes=0: must be a whole number from 1"),
        ({"planes": -2}, "planes=-2"),
        ({"planes": 2.0}, "planes=2.0: must be a whole number"),
        ({"planes": True}, "planes=True"),
        ({"planes": "3"}, "planes='3'"),
        ({"planes": 10**15}, "do not fit in memory"),
        ({"resolution": 1}, "resolution=1: must be a whole number from 2"),
        ({"resolution": np.nan}, "resolution=nan"),
        ({"extent": np.nan}, "extent=nan: must be a finite number from 0"),
        ({"extent": -0.1}, "extent=-0.1"),
        ({"extent": np.inf}, "extent=inf"),
        ({"extent": "1"}, "extent='1'"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": None}, "seed=None"),
        ({"device": "cuda:77"}, "device='cuda:77': cannot be used"),
        ({"device": "meta"}, "device='meta': cannot be used"),
        ({"device": "abacus"}, "device='abacus': cannot be used"),
        ({"device": 1.5}, r"device=1\.5: cannot be used"),
        ({"labels": [0, 1, 2]}, r"labels: must be one for each of the 8 images; .* \(3,\)"),
        ({"labels": [[0], [1]] * 4}, "labels: must be one for each"),
        ({"labels": [0, 1, 2, np.nan] * 2}, "labels: must be whole numbers or texts, not float64"),
        ({"labels": [[0], [1, 2]]}, "labels: are no array"),
        ({"images": np.full((8, 1, 2, 2), np.nan)}, "images: image 0 has values that are not"),
        ({"images": np.full((8, 1, 2, 2), 1e300)}, "images: image 0 has values that are not"),
        ({"images": np.zeros(8)}, r"images: must be of shape .* \(8,\)"),
        ({"images": np.zeros((0, 1, 2, 2))}, "images: must be of shape .* not empty"),
        ({"images": np.zeros((8, 1, 2, 2), complex)}, "images: must be real numbers"),
        ({"images": "images.npy"}, "images: must be real numbers"),
        ({"images": [[1], [2, 3]]}, "images: are no array"),
        ({"images": torch.zeros(8, 1, 2, 2).to_sparse()}, "images: are no array"),
        (
            {"models": [Answers(3), Answers(3)]},
            "models: must be a dict of models by name, not list",
        ),
        ({"models": {}}, "models: compare takes two or more models; here are 0"),
        (
            {"models": {"a": Answers(3), "b": "resnet"}},
            "model b: str gives no scores; it must be a torch.nn.Module",
        ),
        ({"models": {"a": Answers(3), 1: Answers(3)}}, "models: the name 1 must be a text"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(change, message):
    rng = np.random.default_rng(0)
    given = {"models": {"a": Answers(3), "b": Answers(3)}, "images": rng.random((8, 1, 2, 2))}
    with pytest.raises(UserError, match=message) as caught:
        compare(**{"planes": 1, **given, **change})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (raises, r"fails on images of shape \(2, 1, 2, 2\): RuntimeError: first second"),
        (lambda y, _: None, "returns a NoneType"),
        (lambda y, x: {"a": y, "b": x}, "return the logits alone"),
        (lambda y, _: y[:1], r"gives logits of shape \(1, 3\) for 2 images"),
        (lambda y, _: y[..., None], r"gives logits of shape \(2, 3, 1\)"),
        (lambda y, _: y.argmax(1), r"gives torch\.int64 where logits are floats"),
        (lambda y, _: y * torch.nan, "output is not finite"),
        (not_finite, "output is not finite"),
        (lambda y, _: y if len(y) == 2 else y[:1], r"gives logits of shape \(1, 3\)"),
        (lambda y, _: y if len(y) == 2 else raises(y, y), "fails: RuntimeError: first second"),
    ],
)
def test_a_model_that_does_not_answer_is_named(form, message):
    images = np.random.default_rng(0).random((8, 1, 2, 2))
    models = {"good": Returns(lambda y, _: y), "bad": Returns(form)}
    with pytest.raises(UserError, match=f"model bad: .*{message}") as caught:
        compare(models, images, planes=1, resolution=5)
    assert str(caught.value).isprintable()


def test_a_chart_of_no_planes_is_refused(models, digits):
    found = compare(models, digits.normalise(digits.test_images), planes=1, resolution=3)
    with pytest.raises(UserError, match="planes=0"):
        found.chart(planes=0)
