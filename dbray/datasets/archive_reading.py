"""Arrays out of a NumPy archive that may be anything: damaged, boundless, or not one at all."""

import math
import os
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from dbray.datasets.description import listed, said_by
from dbray.errors import UserError

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
# Names that others give the four arrays, in the same order.
OTHER_NAMES = (
    ("x_train", "y_train", "x_test", "y_test"),  # Keras
    ("X_train", "y_train", "X_test", "y_test"),  # scikit-learn
)
GIB = 2**30
MOST_EXPANSION = 1000  # no archive of images is packed so well: deflate's limit is 1032

Members = Mapping[str, zipfile.ZipInfo]


def read_archive(path: Path) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Arrays named ``ARRAYS``, ``class_names`` if it is there, and notes on the others.

    Raises
    ------
    UserError
        If the file is no archive, lacks an array, or declares more than can be true.
    """
    where = f"npz:{path}"
    try:
        _check_file(path)
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            chosen, notes = _choose(where, members)
            _check_size(where, chosen.values(), path.stat().st_size)
            return {name: _read(where, archive, info) for name, info in chosen.items()}, notes
    except (MemoryError, UserError):
        raise
    except Exception as error:  # whatever zipfile makes of a damaged file, NotImplementedError too
        raise UserError(f"{where}: cannot be read: {said_by(error)}") from error


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ValueError("it is a folder; a folder of images is given as folder:PATH")
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
            raise ValueError("it is a single array (.npy), not an archive; use np.savez")


def _choose(where: str, members: Members) -> tuple[dict[str, zipfile.ZipInfo], list[str]]:
    notes, source = [], ARRAYS
    for names in OTHER_NAMES:
        if not set(ARRAYS) <= set(members) and set(names) <= set(members):
            source = names
            notes.append(f"{', '.join(names)} taken as {', '.join(ARRAYS)}")
            break
    missing = [name for name in source if name not in members]
    if missing:
        has = f"it has {listed(members, 8)} and needs" if members else "it needs"
        raise UserError(f"{where}: has no array {missing[0]}; {has} {', '.join(ARRAYS)}")
    chosen = {name: members[other] for name, other in zip(ARRAYS, source, strict=True)}
    if "class_names" in members:
        chosen["class_names"] = members["class_names"]
    unused = [name for name in members if name not in (*source, "class_names")]
    if unused:
        notes.append(f"left out: {listed(unused)}")
    return chosen, notes


def _check_size(where: str, members: Iterable[zipfile.ZipInfo], packed: int) -> None:
    """Refuse what would fill the memory before it turned out to be damaged or a joke."""
    declared, memory = sum(member.file_size for member in members), _memory()
    if declared > GIB and declared > MOST_EXPANSION * packed:
        raise UserError(
            f"{where}: claims {declared / GIB:,.0f} GiB of arrays in {packed:,} bytes; "
            "it is damaged or not a data set"
        )
    if declared > memory:
        raise UserError(
            f"{where}: holds {declared / GIB:,.0f} GiB of arrays, but this machine has "
            f"{memory / GIB:,.0f} GiB of memory; keep fewer or smaller images"
        )


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _read(where: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    try:
        # NumPy warns of headers that Python 2 wrote, which are fine.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with archive.open(info) as stream:
                _check_header(stream, info.file_size)
            with archive.open(info) as stream:
                array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
            return array
    except MemoryError:
        raise
    # A header is Python source that NumPy parses: SyntaxError, RecursionError and others come.
    except Exception as error:
        raise UserError(f"{where}: {info.filename} cannot be read: {said_by(error)}") from error


def _check_header(stream: IO[bytes], size: int) -> None:
    """Compare what the header of an array claims with the bytes that are there."""
    major, _ = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never loaded; save numbers or texts")
    claimed, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if dtype.itemsize == 0 or min(shape, default=1) < 0 or claimed > there:
        raise ValueError(
            f"its header claims {dtype} of shape {shape}, but it has {there:,} bytes; save it anew"
        )
