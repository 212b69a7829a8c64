"""The explorer in a notebook's cell: what it shows is what the models were given and answered."""

import base64
import io
import re

import numpy as np
import pytest
from browser import blank_page
from PIL import Image
from synthetic_study import write_synthetic_study

from dbray import StudyResults, build_model, compare
from dbray.errors import UserError

NAMES = ("fcnet 0", "fcnet 1", "resnet 0")


@pytest.fixture(scope="module")
def found(digits):
    models = {
        name: build_model(name.split()[0], input_shape=(1, 8, 8), classes=10, seed=int(name[-1]))
        for name in NAMES
    }
    images = digits.normalise(digits.test_images[:60])
    return compare(models, images, digits.test_labels[:60], planes=4, resolution=9, progress=False)


@pytest.fixture(scope="module")
def cell():
    """A page like a notebook's, whose cells show an object's HTML."""
    with blank_page() as page:
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url))

        def show(result):
            page.set_content(f"<p>the notebook</p>{result._repr_html_()}")
            frame = page.locator("iframe").content_frame
            frame.locator("#explorer[data-shown]").wait_for()
            return frame

        yield show
        assert [text for text in said if not text.startswith(("data:", "about:"))] == []


def test_a_cell_answers_the_pointer(found, cell, digits):
    frame = cell(found.explore())
    side = found.label_maps.shape[2]
    box = frame.locator('.maps .map[data-model="2"]')
    size = box.bounding_box()
    i, j = 7, 2
    place = {"x": (i + 0.5) / side * size["width"], "y": (side - j - 0.5) / side * size["height"]}
    box.hover(position=place)
    said = frame.locator(".maps .tile b").all_inner_texts()
    assert said == [str(label) for label in found.label_maps[:, 0, i, j]]
    # The image there, by the plane's own geometry, from the pixels of the three images.
    raw = digits.test_images[:60][found.image_ids[0]].astype(float)
    pixels = raw * 255 / digits.test_images[:60].max()
    anchors = found.inputs[found.image_ids[0]].reshape(3, -1).astype(float)
    e1 = (anchors[1] - anchors[0]) / np.linalg.norm(anchors[1] - anchors[0])
    rest = anchors[2] - anchors[0]
    e2 = rest - (rest @ e1) * e1
    e2 /= np.linalg.norm(e2)
    corners = np.array([[(a - anchors[0]) @ e1, (a - anchors[0]) @ e2] for a in anchors])
    low, high = corners.min(axis=0), corners.max(axis=0)
    grid = np.linspace(low - 0.1 * (high - low), high + 0.1 * (high - low), side)
    weights = np.linalg.solve(np.vstack([corners.T, np.ones(3)]), [grid[i, 0], grid[j, 1], 1])
    expected = np.clip(np.tensordot(weights, pixels, 1)[0], 0, 255)
    uri = frame.locator('[data-part="image"]').evaluate("canvas => canvas.toDataURL()")
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri[22:]))).convert("L"))
    assert np.abs(image - expected).max() <= 1


def test_models_are_named_and_grouped_as_in_the_comparison(found, cell):
    frame = cell(found.explore(planes=2))
    assert frame.locator('[data-part="slice"] option').count() == 2
    assert frame.locator(".maps .pick").evaluate_all("all => all.map((p) => p.title)") == [
        f"{name}: right {(found.images[name] == found.images.label).mean():.1%}" for name in NAMES
    ]


def test_labels_that_name_no_class_are_left_out(found, digits):
    unknown = digits.test_labels[:60].astype(int) - 1  # one of them is -1
    models = {
        name: build_model("mlp", input_shape=(1, 8, 8), classes=10, seed=s)
        for s, name in enumerate("ab")
    }
    shown = compare(models, found.inputs, unknown, planes=2, resolution=4, progress=False)
    html = shown.explore()._repr_html_()
    assert "no image" not in html
    assert not re.search(r": right \d", html)


def test_a_finished_study_is_explored_in_a_cell(tmp_path, cell):
    made = write_synthetic_study(tmp_path, groups={"vit": 0.7, "vgg": 0.8}, resolution=10)
    study = StudyResults(made.location)
    frame = cell(study.explore())
    assert frame.locator(".maps .map").count() == len(study.trials)


def test_inputs_that_are_no_images_are_refused_in_one_line():
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    models = {name: lambda x, k=k: x[:, [k, k + 1]] for k, name in enumerate("ab")}
    found = compare(models, rows, planes=2, resolution=4, progress=False)
    with pytest.raises(UserError, match=r"these inputs are 4; use chart\(\)"):
        found.explore()
