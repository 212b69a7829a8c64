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
        ({"images": np.zeros((9, 4))}, "channels"),
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
