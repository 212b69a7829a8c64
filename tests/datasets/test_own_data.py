"""Data sets of a user's own: in every form that is taken, always the same images and labels."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from dbray.datasets import load_dataset, validate_dataset
from dbray.errors import UserError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 3, 6, 5), np.uint8)
LABELS = np.arange(12) % 3
SPLIT = slice(0, 8), slice(8, 12)
NAMES = ["cat", "dog", "owl"]


class Pairs:
    """A data set as torchvision's are: pictures, and names of classes."""

    classes = NAMES

    def __init__(self, part):
        self.part = part

    def __len__(self):
        return len(LABELS[self.part])

    def __getitem__(self, index):
        picture = Image.fromarray(IMAGES[self.part][index].transpose(1, 2, 0))
        return picture, int(LABELS[self.part][index])


class Columns:
    """A Hugging Face Dataset, as far as it is looked at: columns with features."""

    class Image: ...

    class ClassLabel:
        names = NAMES

    class Value: ...

    def __init__(self, part):
        self.part = part
        self.features = {"img": self.Image(), "label": self.ClassLabel(), "id": self.Value()}
        self.column_names = list(self.features)

    def __getitem__(self, name):
        pairs = Pairs(self.part)
        return [pairs[i][name == "label"] for i in range(len(pairs))]


def arrays():
    found = {}
    for split, part in zip(("train", "test"), SPLIT, strict=True):
        found |= {f"{split}_images": IMAGES[part], f"{split}_labels": LABELS[part]}
    return found


def tensors(part):
    return TensorDataset(torch.from_numpy(IMAGES[part]), torch.from_numpy(LABELS[part]))


FORMS = {
    "arrays": arrays,
    "pairs of arrays": lambda: [(IMAGES[part], LABELS[part]) for part in SPLIT],
    "torchvision-like": lambda: tuple(Pairs(part) for part in SPLIT),
    "tensors": lambda: tuple(tensors(part) for part in SPLIT),
    "a dict of splits": lambda: dict(zip(("train", "test"), map(Columns, SPLIT), strict=True)),
    "keras names": lambda: dict(
        zip(("x_train", "y_train", "x_test", "y_test"), arrays().values(), strict=True)
    ),
    "an object": arrays(),
}


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A user's module whose ``load`` is what a test says."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "users_data.py").write_text("load = None\n")
    import users_data

    def set_to(what):
        monkeypatch.setattr(users_data, "load", what)

    return set_to


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(module, form):
    module(FORMS[form])
    found = load_dataset("users_data:load")
    assert found.name == "users_data:load"
    np.testing.assert_array_equal(found.train_images, IMAGES[SPLIT[0]])
    np.testing.assert_array_equal(found.test_labels, LABELS[SPLIT[1]])
    named = form in ("torchvision-like", "a dict of splits")
    assert found.class_names == tuple(NAMES if named else "012")
    assert ("left out: id" in found.notes) == (form == "a dict of splits")


def test_a_data_set_of_ones_own_normalisation(module, digits):
    module(lambda: arrays() | {"mean": [0.5, 0.4, 0.3], "std": 0.25})
    found = load_dataset("users_data:load")
    assert (found.mean, found.std) == ((0.5, 0.4, 0.3), (0.25,) * 3)
    assert found.normalise(IMAGES)[0, 0, 0, 0] == pytest.approx(
        (IMAGES[0, 0, 0, 0] / 255 - 0.5) * 4
    )
    module(digits)
    assert load_dataset("users_data:load") is digits


def fails():
    raise RuntimeError("no disk")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (fails, "data set users_data:load: fails: RuntimeError: no disk"),
        (3, "is int; return a dict of train_images"),
        ({"train": 1}, "is a dict of train; return a dict"),
        (lambda: (Pairs(SPLIT[0]), [1, 2]), "item 0 is no pair of an image and a label"),
        (lambda: ([], []), "training: has no images"),
        (lambda: arrays() | {"mean": 0.5}, "std must be a number"),
        (lambda: arrays() | {"mean": 0.5, "std": 0.0}, "std must be above 0"),
        (lambda: arrays() | {"train_labels": LABELS[:3]}, "must hold 8 integers"),
        (
            lambda: arrays() | {"train_images": IMAGES[:8] / 128 - 1, "test_images": IMAGES / 128},
            "which can be scaled in several ways",
        ),
        (lambda: [[(np.zeros((2, 2)), 0), (np.zeros((3, 3)), 1), (1, 2)]] * 2, "several shapes"),
    ],
)
def test_what_is_no_data_set_is_refused_in_one_line(module, what, message):
    module(what)
    with pytest.raises(UserError) as found:
        load_dataset("users_data:load")
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_names_of_data_sets():
    validate_dataset("my_project.data:load")
    for spec in ("my-project:load", ":load", "data:", "digit", "a..b:load"):
        with pytest.raises(UserError, match="is unknown; choose one of"):
            validate_dataset(spec)
    with pytest.raises(UserError, match="module no_such_module cannot be imported"):
        load_dataset("no_such_module:load")


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(folder, *, in_structs=True, test="test", images=IMAGES):
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": NAMES}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if in_structs else {}
    for name, part in zip(("train-00000-of-00001", test), SPLIT, strict=True):
        data = [png(image) for image in images[part]]
        column = [{"bytes": each, "path": None} for each in data] if in_structs else data
        table = pa.table({"image": column, "label": LABELS[part]})
        pq.write_table(table.replace_schema_metadata(metadata), folder / f"{name}.parquet")


@pytest.mark.parametrize("in_structs", [True, False])
def test_parquet_files_with_images(tmp_path, in_structs):
    write_parquet(tmp_path, in_structs=in_structs, test="validation-00000-of-00001")
    found = load_dataset(f"parquet:{tmp_path}")
    np.testing.assert_array_equal(found.train_images, IMAGES[SPLIT[0]])
    np.testing.assert_array_equal(found.test_images, IMAGES[SPLIT[1]])
    assert found.class_names == tuple(NAMES if in_structs else "012")


def test_parquet_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match=r"has no train\*\.parquet"):
        load_dataset(f"parquet:{tmp_path}")
    write_parquet(tmp_path)
    (tmp_path / "test.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match="cannot be read"):
        load_dataset(f"parquet:{tmp_path}")
    pq.write_table(pa.table({"image": [b"no image"], "label": [0]}), tmp_path / "test.parquet")
    with pytest.raises(UserError, match=r"test\.parquet, row 0: is not a readable image"):
        load_dataset(f"parquet:{tmp_path}")
    pq.write_table(pa.table({"label": [0]}), tmp_path / "test.parquet")
    with pytest.raises(UserError, match="has no column of images; the columns are label"):
        load_dataset(f"parquet:{tmp_path}")
