"""Archives that others wrote: what can be read in one way is, and said; the rest is refused."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from hypothesis.extra.numpy import arrays as any_array
from own_files import arrays, save

from dbray.datasets import load_dataset
from dbray.datasets.pixels import as_bytes, channels_first, from_16_bits, from_unit_range
from dbray.errors import UserError


def load(folder: Path, **changes):
    return load_dataset(save(folder / "mine.npz", **changes))


def images_as(change):
    return {f"{split}_images": change(arrays()[f"{split}_images"]) for split in ("train", "test")}


def labels_as(change):
    return {f"{split}_labels": change(arrays()[f"{split}_labels"]) for split in ("train", "test")}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x, None),
        (np.asfortranarray, None),
        (lambda x: x.astype(np.int16), "int16 images from 0 to 255 stored as uint8"),
        (lambda x: x.astype(">i8"), "int64 images from 0 to 255"),
        (lambda x: x.astype(np.uint16), "uint16 images from 0 to 255"),
        (lambda x: x.astype(np.uint16) * 257, "16-bit images scaled to 8 bits"),
        (lambda x: (x * np.uint16(257)).astype(">u2"), "16-bit images scaled to 8 bits"),
        (lambda x: (x / 255).astype(np.float16), "float16 images from 0 to 1 scaled"),
        (lambda x: (x / 255).astype(np.float32), "float32 images from 0 to 1 scaled"),
        (lambda x: (x / 255).astype(">f8"), "float64 images from 0 to 1 scaled"),
        (lambda x: x.astype(np.float32), "float32 images from 0 to 255 stored as uint8"),
    ],
)
def test_pixels_of_other_types_keep_their_values(tmp_path, change, said):
    data = load(tmp_path, **images_as(change))
    assert data.train_images.dtype == np.uint8
    np.testing.assert_array_equal(data.train_images, arrays()["train_images"])
    np.testing.assert_array_equal(data.test_images, arrays()["test_images"])
    assert (said is None) == (data.notes == ())
    assert said is None or said in data.notes[0]


def test_boolean_images_are_black_and_white(tmp_path):
    data = load(tmp_path, **images_as(lambda x: x > 100))
    np.testing.assert_array_equal(data.test_images, 255 * (arrays()["test_images"] > 100))
    assert data.notes == ("boolean images scaled to 0 and 255",)


def test_few_of_16_bits_are_said_to_be_dark(tmp_path):
    data = load(tmp_path, **images_as(lambda x: x.astype(np.uint16) * 16))
    assert data.notes[1] == "16-bit values reach 4,080 of 65,535 only: the images are dark"


@given(any_array(np.uint16, array_shapes()))
def test_16_bits_are_rounded(values):
    np.testing.assert_array_equal(from_16_bits(values), np.rint(values / 257))


@given(any_array(np.uint8, array_shapes()), st.sampled_from([np.float16, np.float32, np.float64]))
def test_the_unit_range_gives_back_what_was_divided_by_255(values, dtype):
    np.testing.assert_array_equal(from_unit_range((values / 255).astype(dtype)), values)


@given(
    any_array(
        st.sampled_from([np.int8, np.uint16, np.int32, np.float32, np.float64]),
        array_shapes(min_dims=4, max_dims=4),
    )
)
def test_values_are_kept_scaled_or_refused(images):
    try:
        converted, _, notes = as_bytes("npz:mine", images, images)
    except UserError:
        return
    kept = (converted == images).all()
    unit = (converted == np.rint(images.astype(float) * 255)).all()
    sixteen = images.dtype == np.uint16 and (converted == np.rint(images / 257)).all()
    assert kept or unit or sixteen
    assert notes


@given(array_shapes(min_dims=4, max_dims=4, max_side=40))
def test_layouts(shape):
    images = np.arange(np.prod(shape)).reshape(shape)
    moved, _, notes = channels_first("npz:mine", images, images)
    _, first, second, last = shape
    if last in (1, 3, 4) and first not in (1, 3, 4) and min(first, second) >= 5:
        np.testing.assert_array_equal(moved, np.moveaxis(images, 3, 1))
        assert notes == ["channels moved to the front"]
    else:
        np.testing.assert_array_equal(moved, images)
        assert bool(notes) == (last in (1, 3, 4))


def test_bands_are_no_channels_last(tmp_path):
    images = np.arange(6 * 13 * 12 * 12).reshape(6, 13, 12, 12).astype(np.uint8)
    data = load(tmp_path, train_images=images, test_images=images[:3])
    assert data.input_shape == (13, 12, 12)
    assert data.notes == ()


def test_greyscale_without_an_axis_for_it(tmp_path):
    data = load(tmp_path, **images_as(lambda x: x[:, 0]))
    assert data.input_shape == (1, 4, 5)
    np.testing.assert_array_equal(data.train_images, arrays()["train_images"][:, :1])
    assert data.notes == ("greyscale images given a channel axis",)


@pytest.mark.parametrize(
    ("change", "names", "said"),
    [
        (lambda y: y[:, None].astype(np.uint8), "012", "labels of shape (n, 1) taken as (n,)"),
        (lambda y: y.astype(">i4"), "012", None),
        (lambda y: y.astype(np.float64), "012", "float64 labels taken as integers"),
        (lambda y: np.eye(3)[y], "012", "one-hot labels numbered"),
        (lambda y: np.eye(3, dtype=bool)[y], "012", "one-hot labels numbered"),
        (lambda y: np.array(["a", "b", "c"])[y], "abc", "text labels taken as class names"),
        (lambda y: np.array([b"a", b"b", b"c"])[y, None], "abc", "labels of shape (n, 1)"),
    ],
)
def test_labels_of_other_types_keep_their_meaning(tmp_path, change, names, said):
    data = load(tmp_path, **labels_as(change))
    assert data.train_labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert data.test_labels.tolist() == [0, 1, 2]
    assert data.class_names == tuple(names)
    assert (said is None) == (data.notes == ())
    assert said is None or data.notes[0].startswith(said)


def test_boolean_labels_are_two_classes(tmp_path):
    data = load(tmp_path, **labels_as(lambda y: y == 2))
    assert data.train_labels.tolist() == [0, 0, 1, 0, 0, 1]
    assert data.notes == ("bool labels taken as integers",)


def test_text_labels_follow_class_names(tmp_path):
    texts = labels_as(lambda y: np.array(["cat", "dog", "emu"])[y])
    data = load(tmp_path, **texts, class_names=np.array(["emu", "dog", "cat"]))
    assert data.class_names == ("emu", "dog", "cat")
    assert data.train_labels.tolist() == [2, 1, 0, 2, 1, 0]


def test_class_names_in_bytes(tmp_path):
    data = load(tmp_path, class_names=np.array([b"a", "é".encode(), b"c"]))
    assert data.class_names == ("a", "é", "c")
    assert data.notes == ("class_names decoded from bytes",)


def test_a_class_without_test_images_is_said(tmp_path):
    data = load(tmp_path, test_labels=np.array([0, 1, 1]))
    assert data.classes == 3
    assert data.notes == ("no test images of class 2",)


def test_constant_test_images_are_said(tmp_path):
    data = load(tmp_path, test_images=np.full((3, 3, 4, 5), 7, np.uint8))
    assert data.notes == ("every pixel of the test images is 7",)


@pytest.mark.parametrize("channels", [1, 3])
def test_medmnist(tmp_path, channels):
    rng = np.random.default_rng(1)
    shape = (9, 28, 28, 3) if channels == 3 else (9, 28, 28)
    content = {}
    for split in ("train", "val", "test"):
        content[f"{split}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        content[f"{split}_labels"] = (np.arange(9) % 3).astype(np.uint8)[:, None]
    data = load(tmp_path, **content)
    assert data.input_shape == (channels, 28, 28)
    expected = content["test_images"].reshape(9, 28, 28, channels)
    np.testing.assert_array_equal(data.test_images, np.moveaxis(expected, 3, 1))
    assert "left out: val_images, val_labels" in data.notes


@pytest.mark.parametrize("x", ["x", "X"])
def test_names_of_keras_and_scikit_learn(tmp_path, x):
    content = arrays()
    names = {"images": x, "labels": "y"}
    renamed = {
        f"{names[kind]}_{split}": array
        for (split, kind), array in ((name.split("_"), array) for name, array in content.items())
    }
    np.savez(tmp_path / "mine.npz", **renamed)
    data = load_dataset(f"npz:{tmp_path / 'mine.npz'}")
    np.testing.assert_array_equal(data.test_images, content["test_images"])
    assert data.notes[0].startswith(f"{x}_train, y_train, {x}_test, y_test taken as train_images")


IMAGES, LABELS = arrays()["train_images"], arrays()["train_labels"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"test_labels": None}, "no array test_labels; it has train_images, .* and needs"),
        ({"train_images": IMAGES.astype(np.float32)}, "float32 and test_images is uint8; save"),
        ({"train_images": IMAGES.reshape(6, 60)}, "must be uint8 of shape"),
        ({"train_images": IMAGES[:0]}, "must be uint8 of shape"),
        ({"test_images": np.zeros((3, 3, 9, 9), np.uint8)}, "differ in shape"),
        (images_as(lambda x: x.astype(np.int16) - 1), "int16 from -1 to 25.*several ways; save"),
        (images_as(lambda x: x.astype(np.int32) * 257), "save them as uint8"),
        (images_as(lambda x: x / 128 - 1), "float64 from -1 to .*save them as uint8"),
        (images_as(lambda x: np.where(x > 250, np.nan, x / 255)), "from nan to nan"),
        (images_as(lambda x: x / 2), "save them as uint8"),
        (images_as(lambda x: x.astype(complex)), "complex128; save them as uint8"),
        (images_as(lambda x: x.astype("U3")), "<U3; save them as uint8"),
        (images_as(np.zeros_like), "every pixel of the training images is 0"),
        ({"train_labels": np.array([0, 1])}, "must hold 6 integers"),
        ({"train_labels": np.array(3)}, "must hold 6 integers"),
        ({"train_labels": np.array([0, 1, 2, 0, 1, -1])}, "integers from 0"),
        ({"train_labels": LABELS + 0.5}, "other values than integers"),
        ({"train_labels": np.full(6, np.nan)}, "other values than integers"),
        ({"train_labels": np.full(6, np.inf)}, "a label inf"),
        ({"train_labels": LABELS.astype("M8[s]")}, "other values than integers"),
        ({"train_labels": np.ones((6, 2), int)}, "must hold 6 integers"),
        ({"train_labels": np.full((6, 2), 0.5)}, "must hold 6 integers"),
        ({"train_labels": LABELS.astype(str)}, "numbers in one split and texts in the other"),
        (labels_as(lambda y: y + 1), "no training image has class 0; number the classes"),
        (labels_as(lambda y: y * 5), "has class 1; 7 other classes have none"),
        ({"train_labels": np.array([0, 1, 2, 0, 1, 255])}, "no training image has class 3"),
        ({"test_labels": np.array([0, 1, 3])}, "class 3, but 1 test images do"),
        ({"test_labels": np.array([0, 1, 10**9])}, "below 65536"),
        ({"test_labels": np.array([0, 1, 2**63], np.uint64)}, "below 65536"),
        (
            {"train_labels": np.array([{}] * 6, object)},
            "train_labels.npy cannot be read: it holds P",
        ),
        ({"class_names": np.array(["a"])}, "1 class_names"),
        ({"class_names": np.array([], "U1")}, "0 class_names"),
        ({"class_names": np.array(["a", "b", "c", "d"])}, r"no training image has class 3 \(d\)"),
        ({"class_names": np.array("abc")}, "list of texts"),
        ({"class_names": np.array([["a", "b"], ["c", "d"]])}, "list of texts"),
        ({"class_names": np.array([7, 8, 9])}, "list of texts"),
        ({"class_names": np.array(["a", "b", "a"])}, "2 classes are named 'a'"),
        ({"class_names": np.array(["a", "b", "c\n"])}, r"class 'c\\n' has characters"),
        ({"class_names": np.array([b"a", b"b", b"\xff"])}, "class_names is not UTF-8"),
        ({"class_names": np.array(["a", "b", "c"], object)}, "class_names.npy cannot be read"),
        (
            labels_as(lambda y: np.array(["a", "b", "c"])[y])
            | {"test_labels": np.array(["a", "b", "z"])},
            "test_labels has 'z', which is no class",
        ),
        (
            labels_as(lambda y: np.array(["a", "b", "c"])[y])
            | {"class_names": np.array(["a", "b", "c", "d"])},
            r"no training image has class 3 \(d\)",
        ),
    ],
)
def test_what_is_not_plain_is_refused(tmp_path, changes, said):
    with pytest.raises(UserError, match=said) as refused:
        load(tmp_path, **changes)
    assert str(refused.value).startswith(f"npz:{tmp_path}/mine.npz: ")
    assert "\n" not in str(refused.value)


def npy(header: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + body


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (
            npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,)}"),
            "claims uint8",
        ),
        (npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}"), "claims uint8"),
        (npy("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,)}"), "claims <U0"),
        (npy("{'descr': '|u1', 'fortran_order': False, 'shape': (4,)}", b"abc"), "claims uint8"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\n"), "Python objects"),
        (npy("(" * 5000), "cannot be read"),
        (npy("{'descr': 7"), "cannot be read"),
        (npy("\0\0"), "cannot be read"),
        (b"\x93NUMPY\x09\x00", "cannot be read"),
        (b"", "cannot be read"),
        (b"an image", "cannot be read"),
    ],
)
def test_members_that_are_no_arrays(tmp_path, member, said):
    path = tmp_path / "odd.npz"
    np.savez(path, **arrays(train_images=None))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train_images.npy", member)
    with pytest.raises(UserError, match=r"train_images\.npy cannot be read") as refused:
        load_dataset(f"npz:{path}")
    assert said in str(refused.value)


def test_an_archive_that_unpacks_to_far_more_than_it_is(tmp_path):
    path = tmp_path / "bomb.npz"
    save(path)
    content = path.read_bytes()
    entry = content.index(b"PK\x01\x02")  # the first in the archive's directory
    size = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content[: entry + 24] + size + content[entry + 28 :])
    with pytest.raises(UserError, match=r"claims 4 GiB of arrays in .* bytes"):
        load_dataset(f"npz:{path}")


def test_an_archive_larger_than_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("dbray.datasets.archive_reading._memory", lambda: 100)
    with pytest.raises(UserError, match="holds 0 GiB of arrays, but this machine has"):
        load(tmp_path)


def test_memory_that_does_not_suffice(tmp_path, monkeypatch):
    def full(*_arguments, **_options):
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr("numpy.lib.format.read_array", full)
    with pytest.raises(UserError, match=r"does not fit into memory .Unable to allocate 9 GiB."):
        load(tmp_path)


def test_a_header_that_python_2_wrote(tmp_path):
    path = tmp_path / "old.npz"
    content = arrays()
    labels = npy("{'descr': '<i8', 'fortran_order': False, 'shape': (6L,)}", LABELS.tobytes())
    np.savez(path, **{name: a for name, a in content.items() if name != "train_labels"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train_labels.npy", labels)
    assert load_dataset(f"npz:{path}").train_labels.tolist() == LABELS.tolist()


def test_npz_that_is_a_folder(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read: it is a folder; .*folder:PATH"):
        load_dataset(f"npz:{tmp_path}")


def test_npz_that_is_a_pipe_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(UserError, match="not a regular file"):
        load_dataset(f"npz:{tmp_path / 'pipe.npz'}")


def test_npz_with_a_password(tmp_path):
    path = tmp_path / "locked.npz"
    save(path)
    content = path.read_bytes()
    flags = content.index(b"PK\x01\x02") + 8
    path.write_bytes(content[:flags] + b"\x01\x00" + content[flags + 2 :])
    with pytest.raises(UserError, match=r"train_images.npy cannot be read"):
        load_dataset(f"npz:{path}")


def test_npz_that_is_no_archive(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UserError, match="cannot be read"):
        load_dataset(f"npz:{tmp_path / 'text.npz'}")
    with pytest.raises(UserError, match="cannot be read"):
        load_dataset(f"npz:{tmp_path / 'absent.npz'}")


def test_npz_that_is_a_single_array(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(UserError, match="not an archive"):
        load_dataset(f"npz:{tmp_path / 'one.npy'}")


def test_npz_with_a_damaged_member(tmp_path):
    path = tmp_path / "damaged.npz"
    noise = np.random.default_rng(0).integers(0, 256, (6, 3, 40, 50), dtype=np.uint8)
    tests = np.zeros((3, 3, 40, 50), np.uint8)
    np.savez_compressed(path, **arrays(train_images=noise, test_images=tests))
    content = bytearray(path.read_bytes())
    content[500:1500] = bytes(255 - byte for byte in content[500:1500])
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        load_dataset(f"npz:{path}")


def test_npz_with_unknown_compression(tmp_path):
    path = tmp_path / "odd.npz"
    np.savez(path, **arrays())
    content = path.read_bytes()
    method = content.index(b"PK\x01\x02") + 10  # of the first entry in the archive's directory
    path.write_bytes(content[:method] + b"\x63\x00" + content[method + 2 :])
    with pytest.raises(UserError, match="cannot be read"):
        load_dataset(f"npz:{path}")
