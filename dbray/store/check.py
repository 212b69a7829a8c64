"""What a place can do, found out before hours of work rely on it."""

import tempfile

from pyarrow import fs

from dbray.errors import StorageError, UserError
from dbray.store.folder import Folder
from dbray.store.s3 import S3
from dbray.store.troubles import describe_trouble

STATE = ".tune"  # Ray's own state of a training: beside a study's files and no part of them
CHECK = f"{STATE}/check"
SAID = b"dbray wrote this to see whether it can be written, listed and read back"


def check_storage(folder: Folder) -> None:
    """Write a small file to an object store, list it and read it back.

    It stays: pyarrow marks the folder of what it deletes by an object that some servers take for a
    file in the folder's place. Local directories are not checked: there, the first write tells.

    Raises
    ------
    UserError
        If any of it fails.
    """
    if folder.is_local:
        return
    tried = quick(folder)
    try:
        tried.write(CHECK, SAID)
        found = CHECK in tried.files(STATE) and tried.read(CHECK) == SAID
    except FileNotFoundError:
        found = False
    except StorageError as error:
        line = describe_trouble(error.__cause__ or error, folder.location)
        raise UserError(f"storage {line}") from error
    if not found:
        raise UserError(
            f"storage {folder.location}: what is written there is not found again; choose a "
            "--storage that shows an object as soon as it is written"
        )


def state_folder(folder: Folder) -> Folder:
    """Where Ray Train keeps its own state: beside the study's files, which it is no part of.

    It makes empty folders and fills them later, which some servers of S3 refuse; for these, the
    state goes to this machine.
    """
    beside = folder.below(STATE)
    if folder.is_local:
        return beside
    tried = quick(beside).below("filled_later")
    try:
        tried.filesystem.create_dir(tried.root, recursive=True)
        tried.write("check", SAID)
    except OSError:
        return Folder(fs.LocalFileSystem(), tempfile.mkdtemp(prefix="dbray-"))
    return beside


def quick(folder: Folder) -> Folder:
    """The folder with little patience for a server that does not answer."""
    if isinstance(folder.filesystem, S3):
        return Folder(folder.filesystem.quick(), folder.root)
    return folder
