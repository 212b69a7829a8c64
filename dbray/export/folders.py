"""Folders of runs on a disk of this machine: a run appears there whole, or not at all."""

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dbray.errors import UserError

MARKER = "dbray.json"  # in the folder of each run: what it was made from
PARTIAL = ".partial-"  # folders whose command was ended


def local_folder(into: str, target: str, study: str) -> Path:
    """The folder that was asked for, or the usual one; made if it is not there.

    Raises
    ------
    UserError
        If it is no local folder that can be made.
    """
    if "://" in into:
        raise UserError(f"--into {into}: give a folder of this machine")
    folder = (Path(into) if into else Path("exports") / target / study).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--into {into}: cannot be made: {error.strerror}") from error
    for left in folder.glob(f"{PARTIAL}*"):
        shutil.rmtree(left, ignore_errors=True)
    return folder


@contextlib.contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """A temporary folder on the same disk, deleted in the end."""
    with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=folder) as place:
        yield Path(place)


def settle(made: Path, target: Path, digest: str) -> None:
    """Give a finished folder its name and its marker; one of that name goes."""
    (made / MARKER).write_text(json.dumps({"digest": digest}))
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    made.rename(target)


def holds(folder: Path, digest: str) -> bool:
    """Whether a folder was made from exactly this."""
    try:
        return bool(json.loads((folder / MARKER).read_text())["digest"] == digest)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_changed(path: Path, data: bytes) -> bool:
    """Write a file, at once, unless it has these bytes already; whether it was written."""
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{PARTIAL}{path.name}")
    partial.write_bytes(data)
    partial.replace(path)
    return True


def folder_name(label: str) -> str:
    """A group's label as the name of one folder."""
    return re.sub(r"[^\w@+=.-]+", "-", label).strip(".-") or "group"
