"""Studies by their storage location and name."""

import re

from dbray.errors import UserError
from dbray.store.location import open_folder
from dbray.store.study import Study

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def study_at(storage: str, name: str) -> Study:
    """The study of that name, which need not exist yet.

    Raises
    ------
    UserError
        If the name cannot be a folder's name, or the storage location makes no sense.
    """
    if not NAME.fullmatch(name):
        raise UserError(
            f"study name {name!r}: use letters, digits, '.', '_' and '-', at most 100 of them"
        )
    return Study(open_folder(storage).below(name), name)


def open_study(storage: str, name: str) -> Study:
    """An existing study.

    Raises
    ------
    UserError
        If there is no study of that name.
    """
    study = study_at(storage, name)
    if not study.folder.exists("study.json"):
        raise UserError(f"{study.location}: no study here (no study.json); check --storage, --name")
    return study


def studies_in(storage: str) -> list[Study]:
    """All studies of a storage location, by name.

    Raises
    ------
    UserError
        If the storage location makes no sense.
    """
    folder = open_folder(storage)
    found = [Study(folder.below(name), name) for name in folder.folders()]
    return [study for study in found if study.folder.exists("study.json")]


def open_study_folder(place: str) -> Study:
    """An existing study by its own folder: ``runs/arch_repro``, ``s3://bucket/prefix/arch_repro``.

    Raises
    ------
    UserError
        If there is no study in that folder.
    """
    folder = open_folder(place)
    study = Study(folder, folder.root.rpartition("/")[2])
    if not study.folder.exists("study.json"):
        raise UserError(f"{study.location}: no study here (no study.json)")
    return study
