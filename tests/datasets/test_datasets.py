"""Data sets: what is loaded is what was stored, and bad files get one clear line."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dbray.datasets import load_dataset, validate_dataset
from dbray.errors import UserError

SHARED = Path(os.environ.get("DBRAY_SHARED", Path(__file__).parents[3] / "shared"))


def arrays(**changes):
    rng = np.random.default_rng(0)
    content = {
        "train_images": rng.integers(0, 256, (6, 3, 4, 5), dtype=np.uint8),
        "train_labels": np.array([0, 1, 2, 0, 1, 2]),
        "test_images": rng.integers(0, 256, (3, 3, 4, 5), dtype=np.uint8),
        "test_labels": np.array([0, 1, 2]),
    } | changes
    return {name: array for name, array in content.items() if array is not None}


def save(path, **changes):
    np.savez(path, **arrays(**changes))
    return f"npz:{path}"


def test_digits_split(digits):
    assert digits.train_images.shape == (1437, 1, 8, 8)
    assert digits.test_images.shape == (360, 1, 8, 8)
    shares = np.bincount(digits.test_labels) / np.bincount(digits.train_labels)
    assert shares == pytest.approx(np.full(10, 360 / 1437), abs=0.02)
    everything = np.concatenate([digits.train_images, digits.test_images])
    assert everything.max() == 255


def test_fingerprint_knows_one_pixel(digits):
    again = load_dataset("digits")
    assert again.fingerprint == digits.fingerprint
    again.test_images[0, 0, 0, 0] ^= 1
    fresh = type(again)(**{n: getattr(again, n) for n in again.__dataclass_fields__})
    assert fresh.fingerprint != digits.fingerprint


def test_normalised_training_set_has_mean_0_and_deviation_1(digits):
    inputs = digits.normalise(digits.train_images)
    assert inputs.dtype == np.float32
    assert inputs.mean() == pytest.approx(0, abs=1e-3)
    assert inputs.std() == pytest.approx(1, abs=1e-3)


def test_npz_round_trip(tmp_path):
    data = load_dataset(save(tmp_path / "mine.npz", class_names=np.array(["a", "b", "c"])))
    assert data.name == "npz:mine"
    assert data.class_names == ("a", "b", "c")
    assert data.input_shape == (3, 4, 5)
    np.testing.assert_array_equal(data.train_images, arrays()["train_images"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"test_labels": None}, "no array test_labels"),
        ({"train_images": np.zeros((6, 3, 4, 5), np.float32)}, "must be uint8"),
        ({"train_images": np.zeros((6, 4, 5), np.uint8)}, "must be uint8"),
        ({"train_labels": np.array([0, 1])}, "must hold 6 integers"),
        ({"train_labels": np.array([0, 1, 2, 0, 1, -1])}, "integers from 0"),
        ({"test_images": np.zeros((3, 3, 9, 9), np.uint8)}, "differ in shape"),
        ({"class_names": np.array(["a"])}, "1 class_names"),
        ({"class_names": np.array("abc")}, "list of texts"),
        ({"class_names": np.array([["a", "b"], ["c", "d"]])}, "list of texts"),
        ({"class_names": np.array([b"a", b"b", b"c"])}, "list of texts"),
        ({"test_labels": np.array([0, 1, 10**9])}, "below 65536"),
        ({"test_labels": np.array([0, 1, 2**63], np.uint64)}, "below 65536"),
        ({"train_labels": np.array([{}] * 6, object)}, "cannot be read"),
    ],
)
def test_npz_that_is_not_right(tmp_path, changes, said):
    with pytest.raises(UserError, match=said):
        load_dataset(save(tmp_path / "bad.npz", **changes))


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


def make_folder(top, sizes=((6, 4),) * 4, splits=("train", "test")):
    for split in splits:
        for label, name in enumerate(("cat", "dog")):
            (top / split / name).mkdir(parents=True)
            for i in range(2):
                picture = Image.new("RGB", sizes[2 * label + i], (40 * label, 10 * i, 0))
                picture.save(top / split / name / f"{i}.png")


def test_folder(tmp_path):
    make_folder(tmp_path / "pets")
    data = load_dataset(f"folder:{tmp_path / 'pets'}")
    assert (data.name, data.class_names) == ("folder:pets", ("cat", "dog"))
    assert data.train_images.shape == (4, 3, 4, 6)
    assert data.train_labels.tolist() == [0, 0, 1, 1]
    assert data.train_images[3, :, 0, 0].tolist() == [40, 10, 0]


def test_folder_ignores_hidden_folders(tmp_path):
    make_folder(tmp_path / "pets")
    (tmp_path / "pets" / "train" / ".cache").mkdir()
    assert load_dataset(f"folder:{tmp_path / 'pets'}").class_names == ("cat", "dog")


def test_folder_without_a_test_split(tmp_path):
    make_folder(tmp_path, splits=("train",))
    with pytest.raises(UserError, match="no test/"):
        load_dataset(f"folder:{tmp_path}")


def test_folder_with_images_of_two_sizes(tmp_path):
    make_folder(tmp_path, sizes=((6, 4), (6, 4), (6, 4), (5, 4)))
    with pytest.raises(UserError, match="resize"):
        load_dataset(f"folder:{tmp_path}")


def test_unknown_name_lists_the_choices():
    with pytest.raises(UserError, match="digits, cifar10"):
        validate_dataset("imagenet")


def test_no_network_and_no_files_says_what_to_do(tmp_path, monkeypatch):
    def offline(*_arguments, **_options):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(UserError, match=r"put torchvision's files there .* --dataset digits"):
        load_dataset("mnist", tmp_path)


@pytest.mark.parametrize("length", [0, 500])
def test_half_a_file_is_not_taken_for_the_data_set(tmp_path, length):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        header = np.array([0x803, 20, 28, 28], ">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes((header + bytes(20 * 784))[:length])
        labels = np.array([0x801, 20], ">i4").tobytes() + bytes(20)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(UserError, match="delete damaged files"):
        load_dataset("mnist", tmp_path)


def test_real_cifar_images():
    path = SHARED / "data" / "cifar10_prefix.npz"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    data = load_dataset(f"npz:{path}")
    assert data.train_images.shape == (5170, 3, 32, 32)
    assert data.mean == pytest.approx((0.494, 0.485, 0.448), abs=0.001)
