"""One image file to RGB pixels of 8 bits, whatever its mode, and what was done to get there."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dbray.datasets.description import said_by
from dbray.datasets.image_files import image_suffixes
from dbray.datasets.pixels import from_16_bits, from_unit_range
from dbray.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

# Formats that begin with a mark of their own: looked for whatever the suffix says.
BY_CONTENT = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "ICO")
ORIENTATION = 0x0112  # the EXIF tag
LOST = re.compile(r";16[BLN]")  # Pillow's raw modes of 16 bits a channel
FIRST_FRAME = "only the first frame taken of files with several"
TURNED = "turned as EXIF says"
UPPER_BITS = "16-bit colour cut to 8 bits"
SIXTEEN = "16-bit greyscale scaled to 8 bits"
FLOAT = "float greyscale from 0 to 1 scaled to 0-255"
INTEGER = "32-bit greyscale from 0 to 255 stored as 8 bits"
ON_WHITE = "alpha laid on white"
REPEATED = "greyscale repeated over three channels"


@dataclass(frozen=True)
class Picture:
    """Pixels (H, W, 3) of an image, notes on them, the highest value if they had 16 bits."""

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    highest: int | None = None


def read_image(file: Path) -> Picture:
    """Decode an image file.

    Raises
    ------
    UserError
        If it is no regular file, no image, damaged, or its values can be read in several ways.
    """
    with _named(file):
        if not file.is_file():  # opening a pipe would wait for ever
            raise ValueError("it is a pipe, a device or a link to nothing")
        return _opened(file, file, _formats(file))


def read_image_bytes(where: Path, data: bytes) -> Picture:
    """Decode the bytes of an image file.

    Parameters
    ----------
    where
        What to call it in the message of an error.

    Raises
    ------
    UserError
        As ``read_image`` does.
    """
    with _named(where):
        return _opened(where, io.BytesIO(data), BY_CONTENT)


def _opened(name: Path, source: Path | io.BytesIO, formats: Sequence[str]) -> Picture:
    from PIL import Image

    known = [each for each in formats if each in Image.OPEN]
    with Image.open(source, formats=known) as image:
        return _read(name, image)


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Say of which image an error is."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(
            f"{file}: is not a readable image: its content is in no format that Pillow knows; "
            "replace or remove it"
        ) from error
    except Exception as error:  # a decoder raises anything on damaged bytes
        raise UserError(
            f"{file}: is not a readable image: {said_by(error)}; replace or remove it"
        ) from error


def _formats(file: Path) -> list[str]:
    return list(dict.fromkeys((*BY_CONTENT, image_suffixes()[file.suffix.lower()])))


def _read(file: Path, image: "PillowImage") -> Picture:
    from PIL import ImageOps

    notes = []
    form = image.format or ""
    if getattr(image, "is_animated", False) and form != "PSD":  # its frames are layers
        notes.append(FIRST_FRAME)
    if LOST.search(str(getattr(image, "tile", ""))) and image.mode in (
        "RGB",
        "RGBA",
        "RGBX",
        "CMYK",
    ):
        notes.append(UPPER_BITS)
    # Decoding a TIFF turns it and drops the tag. Of a PNG, asking for the tag decodes it: errors
    # must not be lost there.
    turned = form == "TIFF" and _is_turned(image)
    image.load()
    turned = turned or _is_turned(image)
    if turned:
        notes.append(TURNED)
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return _from_deep_grey(file, image, form, notes)
    rgb, done = _to_rgb(image)
    return Picture(np.asarray(rgb, np.uint8), (*notes, *done))


def _is_turned(image: "PillowImage") -> bool:
    try:
        return image.getexif().get(ORIENTATION) in range(2, 9)
    except Exception:  # damaged EXIF is common in photographs, and says nothing of the pixels
        return False


def _to_rgb(image: "PillowImage") -> tuple["PillowImage", list[str]]:
    from PIL import Image

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() == (255, 255):
            return rgba.convert("RGB"), []
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB"), [ON_WHITE]
    if image.mode in ("RGB", "P"):
        return image.convert("RGB"), []
    note = REPEATED if image.mode in ("1", "L") else f"{image.mode} converted to RGB"
    return image.convert("RGB"), [note]


def _from_deep_grey(file: Path, image: "PillowImage", form: str, notes: list[str]) -> Picture:
    values: NDArray[Any] = np.asarray(image)
    low, high = values.min(), values.max()
    highest = None
    # Pillow before 11 keeps the 16 bits of a PNG or PGM in 32.
    if image.mode.startswith("I;16") or (image.mode == "I" and form in ("PNG", "PPM")):
        grey, note, highest = from_16_bits(_key_on_white(values, image)), SIXTEEN, int(high)
    elif image.mode == "F" and low >= 0 and high <= 1:
        grey, note = from_unit_range(values), FLOAT
    elif image.mode == "I" and low >= 0 and high <= 255:
        grey, note = values.astype(np.uint8), INTEGER
    else:
        raise UserError(
            f"{file}: holds {'floats' if image.mode == 'F' else 'integers'} from {low:g} to "
            f"{high:g}, which can be scaled in several ways; save it with 8 or 16 bits a pixel"
        )
    return Picture(np.repeat(grey[:, :, None], 3, axis=2), (*notes, note), highest)


def _key_on_white(values: NDArray[Any], image: "PillowImage") -> NDArray[Any]:
    """A greyscale PNG may name one value that is transparent."""
    key = image.info.get("transparency")
    return values if key is None else np.where(values == key, 65535, values)
