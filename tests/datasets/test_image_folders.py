"""Folders of images as others keep them: read as a person sees them, and said; or refused."""

import os
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from own_files import add_everywhere, load_only, make_folder
from PIL import Image, PngImagePlugin

from dbray.datasets import load_dataset
from dbray.datasets.image_files import image_suffixes
from dbray.errors import UserError

SHADES = np.random.default_rng(0).integers(0, 256, (5, 7), dtype=np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = np.random.default_rng(2).integers(0, 256, (5, 7), dtype=np.uint8)


def writer(pixels, **options):
    return lambda path: Image.fromarray(pixels).save(path, **options)


def pixels_of(data):
    """The first image (H, W, 3); each image of these folders is the same."""
    return data.train_images[0].transpose(1, 2, 0)


def grey(shades):
    return np.repeat(shades[:, :, None], 3, axis=2)


def on_white(colours, alpha):
    share = alpha[:, :, None] / 255
    return colours * share + 255 * (1 - share)


@pytest.mark.parametrize(
    ("name", "pixels", "expected", "note"),
    [
        ("x.png", COLOURS, COLOURS, None),
        ("x.tif", COLOURS, COLOURS, None),
        ("x.gif", SHADES, grey(SHADES), None),
        ("x.png", SHADES, grey(SHADES), "greyscale repeated over three channels"),
        ("x.pgm", SHADES, grey(SHADES), "greyscale repeated over three channels"),
        ("x.png", SHADES > 99, grey(SHADES > 99) * 255, "greyscale repeated over three channels"),
        ("x.png", SHADES * np.uint16(257), grey(SHADES), "16-bit greyscale scaled to 8 bits"),
        ("x.tif", SHADES * np.uint16(257), grey(SHADES), "16-bit greyscale scaled to 8 bits"),
        ("x.pgm", SHADES * np.uint16(257), grey(SHADES), "16-bit greyscale scaled to 8 bits"),
        ("x.tif", SHADES.astype(np.int32), grey(SHADES), "32-bit greyscale from 0 to 255 stored"),
        ("x.tif", (SHADES / 255).astype(np.float32), grey(SHADES), "float greyscale from 0 to 1"),
        ("x.pfm", (SHADES / 255).astype(np.float32), grey(SHADES), "float greyscale from 0 to 1"),
    ],
)
def test_pixels_keep_their_values(tmp_path, name, pixels, expected, note):
    data = load_only(tmp_path, name, writer(pixels))
    np.testing.assert_array_equal(pixels_of(data), expected)
    assert (note is None) == (data.notes == ())
    assert note is None or data.notes[0].startswith(note)


def test_16_bits_are_rounded(tmp_path):
    values = np.arange(0, 65536, 1821, dtype=np.uint16).reshape(4, 9)
    data = load_only(tmp_path, "x.png", writer(values))
    np.testing.assert_array_equal(pixels_of(data), grey(np.rint(values / 257)))


def test_12_bits_in_16_are_said_to_be_dark(tmp_path):
    data = load_only(tmp_path, "x.png", writer(SHADES * np.uint16(16)))
    assert data.notes[1].endswith("of 65,535 only: the images are dark")


def test_8_bits_in_16_are_refused(tmp_path):
    with pytest.raises(UserError, match="all be black; save them with 8 bits"):
        load_only(tmp_path, "x.png", writer(SHADES.astype(np.uint16)))


@pytest.mark.parametrize(
    "values",
    [
        SHADES.astype(np.float32),
        SHADES / np.float32(-255),
        np.full((5, 7), np.nan, np.float32),
        SHADES.astype(np.int32) * 257,
        SHADES.astype(np.int32) - 9,
    ],
)
def test_ranges_that_could_be_scaled_in_several_ways(tmp_path, values):
    with pytest.raises(UserError, match=r"cat/x\.tif: holds .* several ways; save it with 8 or 16"):
        load_only(tmp_path, "x.tif", writer(values))


def test_16_bit_colour_is_said_to_be_cut(tmp_path):
    def write(path):
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in COLOURS * np.uint16(257))
        header = struct.pack(">IIBBBBB", 7, 5, 16, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + b"".join(
                struct.pack(">I", len(body))
                + kind
                + body
                + struct.pack(">I", zlib.crc32(kind + body))
                for kind, body in chunks
            )
        )

    data = load_only(tmp_path, "x.png", write)
    np.testing.assert_array_equal(pixels_of(data), COLOURS)
    assert data.notes == ("16-bit colour cut to 8 bits",)


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.webp"])
def test_alpha_is_laid_on_white(tmp_path, name):
    options = {"lossless": True, "exact": True} if name == "x.webp" else {}
    data = load_only(tmp_path, name, writer(np.dstack([COLOURS, ALPHA]), **options))
    np.testing.assert_allclose(pixels_of(data), on_white(COLOURS, ALPHA), atol=1)
    assert data.notes == ("alpha laid on white",)


def test_alpha_of_greyscale_is_laid_on_white(tmp_path):
    data = load_only(
        tmp_path, "x.png", Image.merge("LA", list(map(Image.fromarray, (SHADES, ALPHA)))).save
    )
    np.testing.assert_allclose(pixels_of(data), on_white(grey(SHADES), ALPHA), atol=1)
    assert data.notes == ("alpha laid on white",)


def test_a_transparent_palette_is_laid_on_white(tmp_path):
    picture = Image.fromarray(COLOURS).quantize(4)
    data = load_only(
        tmp_path, "x.png", lambda p: picture.save(p, transparency=bytes([0, 255, 128, 255]))
    )
    alpha = np.array([0, 255, 128, 255])[np.asarray(picture)]
    np.testing.assert_allclose(
        pixels_of(data), on_white(np.asarray(picture.convert("RGB")), alpha), atol=1
    )
    assert data.notes == ("alpha laid on white",)


@pytest.mark.parametrize("depth", [np.uint8(1), np.uint16(257)])
def test_a_transparent_shade_is_laid_on_white(tmp_path, depth):
    key = int(SHADES[0, 0])
    data = load_only(tmp_path, "x.png", writer(SHADES * depth, transparency=key * int(depth)))
    np.testing.assert_array_equal(pixels_of(data), grey(np.where(key == SHADES, 255, SHADES)))


def test_opaque_alpha_changes_nothing(tmp_path):
    data = load_only(tmp_path, "x.png", writer(np.dstack([COLOURS, np.full_like(ALPHA, 255)])))
    np.testing.assert_array_equal(pixels_of(data), COLOURS)
    assert data.notes == ()


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.tif", "x.webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned(tmp_path, name, orientation):
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :8] = 255  # the corner where rows and columns begin
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = load_only(tmp_path, name, writer(stored, exif=exif))
    seen = pixels_of(data)
    # Where the standard says that the 0th row and the 0th column are: top or bottom, left or right.
    bottom, right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    assert seen.shape == ((16, 32, 3) if orientation < 5 else (32, 16, 3))
    assert seen[-1 if bottom else 0, -1 if right else 0].min() > 200
    assert data.notes == (() if orientation == 1 else ("turned as EXIF says",))


def test_some_turned_photographs_are_counted(tmp_path):
    make_folder(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (6, 4), "red").save(tmp_path / "train" / "cat" / "x.jpg", exif=exif)
    assert load_dataset(f"folder:{tmp_path}").notes == ("turned as EXIF says (1 of 9 images)",)


def test_damaged_exif_does_not_matter(tmp_path):
    data = load_only(tmp_path, "x.jpg", writer(COLOURS, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"))
    assert data.notes == ()


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
def test_other_colour_spaces(tmp_path, mode):
    if mode == "LAB":
        picture = Image.new("LAB", (8, 8), (137, 128, 128))
    else:
        picture = Image.new("RGB", (8, 8), (200, 80, 40)).convert(mode)
    picture.paste(picture.getpixel((0, 0))[::-1], (0, 0, 4, 4))
    data = load_only(tmp_path, "x.tif", picture.save)
    colour = (130, 130, 130) if mode == "LAB" else (200, 80, 40)
    np.testing.assert_allclose(pixels_of(data)[6, 6], colour, atol=3)
    assert data.notes == (f"{mode} converted to RGB",)


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.webp", "x.tif"])
def test_the_first_frame_of_an_animation(tmp_path, name):
    frames = [Image.fromarray(grey(SHADES ^ np.uint8(flip))) for flip in (0, 255)]
    options = {"lossless": True} if name == "x.webp" else {}
    data = load_only(
        tmp_path,
        name,
        lambda p: frames[0].save(p, save_all=True, append_images=frames[1:], **options),
    )
    np.testing.assert_array_equal(pixels_of(data), grey(SHADES))
    assert "only the first frame taken of files with several" in data.notes


@pytest.mark.parametrize("suffix", [".jfif", ".JPEG", ".Gif", ".pbm", ".tga", ".jp2", ".ico"])
def test_other_suffixes(tmp_path, suffix):
    make_folder(tmp_path, sizes=((16, 16),) * 4)
    add_everywhere(
        tmp_path,
        f"x{suffix}",
        Image.new("1", (16, 16)).convert("1" if suffix == ".pbm" else "RGB").save,
    )
    assert len(load_dataset(f"folder:{tmp_path}").train_labels) == 6


def test_every_suffix_of_torchvision():
    from torchvision.datasets.folder import IMG_EXTENSIONS

    assert set(IMG_EXTENSIONS) <= set(image_suffixes())
    assert not {".eps", ".ps", ".pdf", ".wmf", ".h5", ".mpg"} & set(image_suffixes())


def test_a_name_may_lie_about_the_format(tmp_path):
    data = load_only(tmp_path, "x.jpg", writer(COLOURS, format="PNG"))
    np.testing.assert_array_equal(pixels_of(data), COLOURS)


def test_no_program_is_started_for_postscript(tmp_path, monkeypatch):
    monkeypatch.setattr("subprocess.check_call", lambda *_a, **_o: pytest.fail("Ghostscript"))
    with pytest.raises(UserError, match="in no format that Pillow knows"):
        load_only(tmp_path, "x.png", writer(COLOURS, format="EPS"))


def test_images_may_lie_deeper(tmp_path):
    make_folder(tmp_path / "pets")
    flat = load_dataset(f"folder:{tmp_path / 'pets'}")
    for folder in list((tmp_path / "pets").glob("*/*")):
        (folder / "images").mkdir()
        for file in list(folder.glob("*.png")):
            file.rename(folder / "images" / file.name)
    assert load_dataset(f"folder:{tmp_path / 'pets'}").fingerprint == flat.fingerprint


def test_what_is_left_out_is_said(tmp_path):
    make_folder(tmp_path)
    for name in ("boxes.txt", "more.txt", "._0.png", ".DS_Store"):
        (tmp_path / "train" / "cat" / name).write_bytes(b"x")
    (tmp_path / "train" / "dog" / ".thumbs").mkdir()
    (tmp_path / "train" / "dog" / "@eaDir").mkdir()
    (tmp_path / "test" / "labels").write_text("x")
    (tmp_path / "val").mkdir()
    assert load_dataset(f"folder:{tmp_path}").notes == (
        "7 files left out: hidden, .txt, no suffix",
        "left out: val/",
    )


def test_one_file_left_out(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("x")
    assert load_dataset(f"folder:{tmp_path}").notes == ("1 file left out: .txt",)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_without_images(tmp_path, split):
    make_folder(tmp_path)
    for file in (tmp_path / split / "dog").iterdir():
        file.rename(file.with_suffix(".heic"))
    said = rf"class dog has no images in {split}/ but 2 files left out: \.heic; add images"
    with pytest.raises(UserError, match=said):
        load_dataset(f"folder:{tmp_path}")


def test_a_class_in_one_split_only(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "test" / "dog").rename(tmp_path / "test" / "wolf")
    with pytest.raises(UserError, match=r"class dog is in one of train/ and test/ only; give"):
        load_dataset(f"folder:{tmp_path}")


@pytest.mark.parametrize("name", ["val", "validation", "Test"])
def test_another_name_for_the_test_split(tmp_path, name):
    make_folder(tmp_path, splits=("train", name))
    with pytest.raises(UserError, match=rf"has no test/ .*; rename {name}/ to test/"):
        load_dataset(f"folder:{tmp_path}")


def test_no_folder_at_all(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        load_dataset(f"folder:{tmp_path / 'absent'}")


def test_class_names_that_cannot_be_shown(tmp_path):
    make_folder(tmp_path)
    for split in ("train", "test"):
        os.rename(tmp_path / split / "dog", os.fsencode(tmp_path / split) + b"/d\xff")  # noqa: PTH104
    with pytest.raises(UserError, match="cannot be shown; rename it"):
        load_dataset(f"folder:{tmp_path}")


def test_constant_images_are_refused(tmp_path):
    with pytest.raises(UserError, match="every pixel of the training images is 9"):
        load_only(tmp_path, "x.png", writer(np.full((5, 7, 3), 9, np.uint8)))


def long_text(path):
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "x" * (2 << 20), zip=True)
    Image.fromarray(COLOURS).save(path, pnginfo=info)


def half(path):
    content = BytesIO()
    Image.fromarray(np.tile(COLOURS, (40, 40, 1))).save(content, "JPEG")
    path.write_bytes(content.getvalue()[:-900])


def damaged_data(path):
    """A PNG of which the compressed pixels are damaged, but no header."""
    content = BytesIO()
    Image.fromarray(COLOURS).save(content, "PNG")
    at = content.getvalue().index(b"IDAT") + 8
    path.write_bytes(content.getvalue()[:at] + b"\xff" * 9 + content.getvalue()[at + 9 :])


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.write_bytes(b""), "in no format"),
        (lambda path: path.write_text("<html>404</html>"), "in no format"),
        (half, "runcated"),
        (damaged_data, ""),
        (long_text, "too large"),
        (Image.new("1", (10000, 10000)).save, "could be decompression bomb"),
        (Image.new("1", (15000, 15000)).save, "could be decompression bomb"),
        (os.mkfifo, "it is a pipe, a device or a link to nothing"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a pipe, a device"),
        (lambda path: path.symlink_to("absent.png"), "a link to nothing"),
        (lambda path: path.symlink_to(path), "a link to nothing"),
    ],
)
def test_an_image_that_is_none_is_named(tmp_path, write, said):
    make_folder(tmp_path)
    file = tmp_path / "train" / "dog" / "3.png"
    write(file)
    with pytest.raises(UserError) as refused:
        load_dataset(f"folder:{tmp_path}")
    assert str(refused.value).startswith(f"{file}: is not a readable image: ")
    assert str(refused.value).endswith("; replace or remove it")
    assert said in str(refused.value)


def test_linked_folders_are_read_once(tmp_path):
    make_folder(tmp_path / "pets")
    alone = load_dataset(f"folder:{tmp_path / 'pets'}")
    cats = tmp_path / "pets" / "train" / "cat"
    for name, target in {"a": cats, "b": "..", "c": tmp_path, "d": "../dog"}.items():
        (cats / name).symlink_to(target)
    data = load_dataset(f"folder:{tmp_path / 'pets'}")
    assert data.fingerprint == alone.fingerprint
    assert data.notes == ("4 files left out: linked folder",)


def test_a_linked_folder_from_elsewhere_is_read(tmp_path):
    make_folder(tmp_path / "pets")
    elsewhere = tmp_path / "more" / "cats"
    elsewhere.mkdir(parents=True)
    Image.new("RGB", (6, 4), "red").save(elsewhere / "7.png")
    (elsewhere / "round").symlink_to("..")
    (tmp_path / "pets" / "train" / "cat" / "more").symlink_to(elsewhere)
    data = load_dataset(f"folder:{tmp_path / 'pets'}")
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1]
    assert data.notes == ("1 file left out: linked folder",)


@pytest.mark.parametrize("folder", ["train", "train/cat", "test/dog"])
def test_folders_that_may_not_be_read(tmp_path, monkeypatch, folder):
    make_folder(tmp_path)

    def refusing(function):
        def look(path):
            if str(path) == str(tmp_path / folder):
                raise PermissionError(13, "Permission denied", str(path))
            return function(path)

        return look

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    with pytest.raises(UserError, match=r"cannot be read: .*Permission denied"):
        load_dataset(f"folder:{tmp_path}")


def test_memory_that_does_not_suffice(tmp_path, monkeypatch):
    def full(*_arguments):
        raise MemoryError

    make_folder(tmp_path)
    monkeypatch.setattr("dbray.datasets.image_folders.np.empty", full)
    with pytest.raises(UserError, match="does not fit into memory"):
        load_dataset(f"folder:{tmp_path}")


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
