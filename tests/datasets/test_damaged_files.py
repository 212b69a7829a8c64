"""Files with bytes exchanged, cut off or put in: loaded as their readers read them, or refused."""

import io
import warnings

import numpy as np
import pytest
from own_files import arrays, make_folder
from PIL import Image

from dbray.datasets import load_dataset
from dbray.errors import UserError


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(content)
    match rng.integers(4):
        case 0:
            del data[rng.integers(len(data)) :]
        case 1:
            at = rng.integers(len(data))
            data[at:at] = rng.bytes(rng.integers(1, 40))
        case _:
            for at in rng.integers(len(data), size=rng.integers(1, 6)):
                data[at] = rng.integers(256)
    return bytes(data)


def picture(form: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **({} if form == "GIF" else {"exif": exif}))
    return file.getvalue()


def refusal(spec: str) -> str | None:
    """One line if a data set is refused, None if it is loaded; anything else fails the test."""
    try:
        load_dataset(spec)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "GIF", "WEBP"])
def test_damaged_images(tmp_path, form):
    rng = np.random.default_rng(sum(form.encode()))
    make_folder(tmp_path, sizes=((8, 8),) * 4)
    file, content = tmp_path / "train" / "cat" / f"0.{form.lower()}", picture(form)
    for _ in range(150):
        file.write_bytes(damaged(content, rng))
        said = refusal(f"folder:{tmp_path}")
        assert said is None or (str(file) in said and "\n" not in said)
        if said is None:
            with warnings.catch_warnings(action="ignore"), Image.open(file) as image:
                image.load()  # what Pillow refuses is not taken


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_archives(tmp_path, save):
    rng = np.random.default_rng(0)
    path = tmp_path / "mine.npz"
    save(path, **arrays(class_names=np.array(["a", "b", "c"])))
    content = path.read_bytes()
    for _ in range(300):
        path.write_bytes(damaged(content, rng))
        said = refusal(f"npz:{path}")
        assert said is None or (said.startswith(f"npz:{path}: ") and "\n" not in said)
