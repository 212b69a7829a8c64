"""The images of a folder with ``train/CLASS/`` and ``test/CLASS/``, however deep they lie."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from dbray.datasets.description import listed, said_by
from dbray.errors import UserError

# Raster formats that Pillow decodes by itself. The others start a program (EPS: Ghostscript),
# open what they hold in any format (IPTC), or only look like images (HDF5, PDF, MPEG).
FORMATS = {
    "AVIF", "BLP", "BMP", "CUR", "DCX", "DDS", "DIB", "FITS", "FLI", "FTEX", "GBR", "GIF", "ICNS",
    "ICO", "IM", "JPEG", "JPEG2000", "MPO", "MSP", "PCD", "PCX", "PIXAR", "PNG", "PPM", "PSD",
    "QOI", "SGI", "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM",
}  # fmt: skip
# What other programs put beside images: copies of metadata, thumbnails.
NOT_CLASSES = ("@eaDir", "__MACOSX")
MEANT = {  # other names that people give a split
    "train": ("training", "Train", "TRAIN", "Training"),
    "test": ("val", "valid", "validation", "dev", "testing", "Test", "TEST", "Val", "Validation"),
}


@dataclass
class Found:
    """Image files by class, and how many files of which kind were left out."""

    files: dict[str, list[Path]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


@cache
def image_suffixes() -> dict[str, str]:
    """Suffixes of image files in small letters, with the name of their format in Pillow."""
    from PIL import Image

    Image.init()
    known = Image.registered_extensions()
    return {suffix: name for suffix, name in known.items() if name in FORMATS}


def find_images(path: Path, split: str) -> Found:
    """Image files of each class of a split, in the order of their names.

    Raises
    ------
    UserError
        If there is no such split, a folder cannot be read, or a class has no images.
    """
    try:
        found = Found()
        for name, folder in _class_folders(path, split, found.left_out):
            found.files[name] = _class_images(path, split, folder, found.left_out)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
        raise UserError(f"folder:{path}: {split}/ cannot be read: {said_by(error)}") from error
    return found


def other_folders(path: Path) -> list[str]:
    """Folders beside train/ and test/ that a person may have meant to be read."""
    names = sorted(p.name for p in path.iterdir() if p.is_dir() and not _is_hidden(p.name))
    return [f"{name}/" for name in names if name not in MEANT]


def _class_folders(path: Path, split: str, left_out: Counter[str]) -> list[tuple[str, Path]]:
    top = path / split
    if not path.is_dir():
        raise UserError(f"folder:{path}: is not a folder; give one with train/ and test/")
    inside = sorted(top.iterdir()) if top.is_dir() else []
    folders = [p for p in inside if p.is_dir() and not _is_hidden(p.name)]
    if not folders:
        meant = [name for name in MEANT[split] if (path / name).is_dir()]
        remedy = f"; rename {meant[0]}/ to {split}/" if meant and not top.is_dir() else ""
        raise UserError(
            f"folder:{path}: has no {split}/ with a folder for each class of images{remedy}"
        )
    left_out.update(_kind(p.name) for p in inside if p not in folders)
    return [(p.name, p) for p in folders]


def _class_images(path: Path, split: str, folder: Path, left_out: Counter[str]) -> list[Path]:
    here: Counter[str] = Counter()
    roots = [p.resolve() for p in (path / "train", path / "test", folder)]
    files = sorted(_images_below(folder, roots, here))
    if not files:
        others = f" but {left_out_note(here)}" if here else ""
        raise UserError(
            f"folder:{path}: class {folder.name} has no images in {split}/{others}; add images "
            f"(PNG, JPEG, ...), or remove the class from train/ and test/"
        )
    left_out.update(here)
    return files


def _images_below(folder: Path, roots: list[Path], left_out: Counter[str]) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        for name in sorted(folders):
            below = Path(place, name)
            if _is_hidden(name) or (below.is_symlink() and _leads_back(below, roots)):
                left_out["hidden" if _is_hidden(name) else "linked folder"] += 1
                folders.remove(name)
        for name in names:
            if _is_image(name):
                yield Path(place, name)
            else:
                left_out[_kind(name)] += 1


def _leads_back(link: Path, roots: list[Path]) -> bool:
    """Whether a linked folder overlaps with what is read anyway; if not, it becomes a root."""
    real = link.resolve()
    if any(root.is_relative_to(real) or real.is_relative_to(root) for root in roots):
        return True
    roots.append(real)
    return False


def _raise(error: OSError) -> None:
    raise error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in NOT_CLASSES


def _is_image(name: str) -> bool:
    return not _is_hidden(name) and Path(name).suffix.lower() in image_suffixes()


def _kind(name: str) -> str:
    if _is_hidden(name):
        return "hidden"
    return Path(name).suffix or "no suffix"


def left_out_note(left_out: Counter[str]) -> str:
    """Words for files that are left out: how many, and what kinds."""
    count = left_out.total()
    kinds = listed(kind for kind, _ in left_out.most_common())
    return f"{count:,} file{'' if count == 1 else 's'} left out: {kinds}"
