"""Data sets: what is loaded is what was stored, and bad files get one clear line."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from own_files import arrays, make_folder, save

from dbray.datasets import describe_dataset, load_dataset, validate_dataset
from dbray.errors import UserError

SHARED = Path(os.environ.get("DBRAY_SHARED", Path(__file__).parents[3] / "shared"))


def test_digits_split(digits):
    assert digits.train_images.shape == (1437, 1, 8, 8)
    assert digits.test_images.shape == (360, 1, 8, 8)
    shares = np.bincount(digits.test_labels) / np.bincount(digits.train_labels)
    assert shares == pytest.approx(np.full(10, 360 / 1437), abs=0.02)
    everything = np.concatenate([digits.train_images, digits.test_images])
    assert everything.max() == 255


def test_digits_are_scikit_learns_by_its_stratified_split(digits):
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    source = load_digits()
    train, test = train_test_split(
        np.arange(1797), test_size=360, random_state=0, stratify=source.target
    )
    images = np.rint(source.images * (255 / 16)).astype(np.uint8)[:, None]
    assert np.array_equal(digits.train_images, images[np.sort(train)])
    assert np.array_equal(digits.test_images, images[np.sort(test)])
    assert np.array_equal(digits.test_labels, source.target[np.sort(test)])


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


def test_folder(tmp_path):
    make_folder(tmp_path / "pets")
    data = load_dataset(f"folder:{tmp_path / 'pets'}")
    assert (data.name, data.class_names) == ("folder:pets", ("cat", "dog"))
    assert data.train_images.shape == (4, 3, 4, 6)
    assert data.train_labels.tolist() == [0, 0, 1, 1]
    assert data.train_images[3, :, 0, 0].tolist() == [40, 10, 0]


def test_data_sets_that_need_no_conversion_keep_their_fingerprints(digits, tmp_path):
    """Trials of older studies are found by them."""
    make_folder(tmp_path / "pets")
    archive = load_dataset(save(tmp_path / "mine.npz"))
    folder = load_dataset(f"folder:{tmp_path / 'pets'}")
    assert [data.fingerprint[:12] for data in (digits, archive, folder)] == [
        "ba7e7d6f3dfc",
        "b3f6e58b26cd",
        "aaeaf60cc06c",
    ]
    assert (digits.notes, archive.notes, folder.notes) == ((), (), ())


def test_notes_are_no_part_of_the_fingerprint(digits):
    assert replace(digits, notes=("seen",)).fingerprint == digits.fingerprint


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "mine.npz")
    make_folder(tmp_path / "pets")
    assert load_dataset("npz:~/mine.npz").name == "npz:mine"
    assert load_dataset("folder:~/pets").name == "folder:pets"
    monkeypatch.setattr("dbray.datasets.torchvision_sets.load_torchvision", lambda *given: given)
    assert load_dataset("mnist", Path("~/sets")) == ("mnist", tmp_path / "sets")
    with pytest.raises(UserError, match="give the whole path"):
        load_dataset("npz:~nobody-of-this-name/mine.npz")


def test_a_description_in_one_line(tmp_path):
    images = np.zeros((5, 6, 7, 3), np.uint8)
    images[0, 0, 0] = 9
    labels = np.array([0, 0, 0, 1, 1])
    changes = {f"{split}_images": images for split in ("train", "test")}
    changes |= {f"{split}_labels": labels for split in ("train", "test")}
    described = describe_dataset(load_dataset(save(tmp_path / "mine.npz", **changes)))
    assert described == (
        "npz:mine: 5 training and 5 test images, 2 classes; "
        "shape 3x6x7 (channels x height x width); range 0-9; "
        "2-3 training and 2-3 test images per class; channels moved to the front"
    )


def test_a_description_of_what_ships(digits):
    described = describe_dataset(digits)
    assert described.startswith(
        "digits: 1,437 training and 360 test images, 10 classes; shape 1x8x8"
    )
    assert "range 0-255" in described


def test_unknown_name_lists_the_choices():
    with pytest.raises(UserError, match="digits, scenes, cifar10"):
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
