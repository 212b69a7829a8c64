"""From what ``--storage`` says to a folder."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from pyarrow import fs

from dbray.errors import UserError
from dbray.store.folder import Folder
from dbray.store.s3 import open_s3
from dbray.store.troubles import describe_trouble

SECRET = re.compile("key|secret|token|password|credential|signature", re.IGNORECASE)
SCHEMES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs", "file", "http", "https")
GOOGLE_SECONDS = 30  # of retries; 15 minutes unless told


def open_folder(location: str) -> Folder:
    """Folder at a local path or at a URI that pyarrow's file systems understand.

    Raises
    ------
    UserError
        If the URI is malformed, its scheme unknown, or credentials are in it; if there can be no
        such path.
    """
    if not _is_text(location):
        raise UserError(f"storage {location}: is not UTF-8; choose another place")
    scheme, separator, rest = location.partition("://")
    if not separator:
        _refuse_half_a_uri(location)
        return Folder(fs.LocalFileSystem(), _local_path(location))
    scheme = scheme.lower()
    location = f"{scheme}://{rest}"
    _refuse_credentials(scheme, location)
    shown = location.partition("?")[0]
    try:
        if scheme == "s3":
            return Folder(*open_s3(location))
        if scheme in ("gs", "gcs") and "retry_limit_seconds" not in location:
            location += f"{'&' if '?' in location else '?'}retry_limit_seconds={GOOGLE_SECONDS}"
        filesystem, root = fs.FileSystem.from_uri(location)
    except (ValueError, OSError) as error:
        raise UserError(f"storage {describe_trouble(error, shown)}") from error
    if not root.strip("/"):
        raise UserError(f"storage {shown}: give a folder, such as {scheme}://BUCKET/PREFIX")
    return Folder(filesystem, root.rstrip("/"))


def _refuse_half_a_uri(location: str) -> None:
    """A slash that is missing would make a folder here that is named after the scheme."""
    scheme, colon, _ = location.partition(":")
    if colon and scheme.lower() in SCHEMES:
        place = "/PATH" if scheme.lower() == "file" else "BUCKET/PREFIX"
        raise UserError(
            f"storage {scheme}:...: a URI has two slashes there; give {scheme.lower()}://{place} "
            f"(or ./{scheme}:... for a folder of that name)"
        )


def _local_path(location: str) -> str:
    try:
        path = str(Path(location).expanduser().resolve())
    except (OSError, RuntimeError, ValueError) as error:  # no such home, links in a circle
        raise UserError(f"storage {location}: cannot be used: {error}") from error
    if not _is_text(path):  # the current folder is not
        raise UserError(f"storage {path}: is not UTF-8; choose another place")
    return path


def _is_text(text: str) -> bool:
    """Whether it can be written as UTF-8; bytes of a command line that are not stand out in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_credentials(scheme: str, location: str) -> None:
    """Whatever is in the URI would end up in records and on screens.

    A key with a slash in it ends the URI's host, so a colon there is enough to be suspected.
    """
    try:
        parts = urlsplit(location)
    except ValueError as error:
        raise UserError(f"storage {scheme}://...: is no URI: {error}") from error
    host_and_port = re.fullmatch(r"[^:]*(:\d*)?", parts.netloc)
    in_host = not host_and_port or (scheme == "s3" and bool(re.search("[@:]", parts.netloc)))
    if in_host or any(SECRET.search(name) for name, _ in parse_qsl(parts.query)):
        raise UserError(
            f"storage {scheme}://...: credentials do not belong in a URI; set AWS_ACCESS_KEY_ID "
            f"and AWS_SECRET_ACCESS_KEY, and give {scheme}://BUCKET/PREFIX"
        )
