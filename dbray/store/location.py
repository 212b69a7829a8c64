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
GOOGLE_SECONDS = 30  # of retries; 15 minutes unless told


def open_folder(location: str) -> Folder:
    """Folder at a local path or at a URI that pyarrow's file systems understand.

    Raises
    ------
    UserError
        If the URI is malformed, its scheme unknown, or credentials are in it.
    """
    scheme, separator, _ = location.partition("://")
    if not separator:
        return Folder(fs.LocalFileSystem(), str(Path(location).expanduser().resolve()))
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
    return Folder(filesystem, root.rstrip("/"))


def _refuse_credentials(scheme: str, location: str) -> None:
    """Whatever is in the URI would end up in records and on screens.

    A key with a slash in it ends the URI's host, so a colon there is enough to be suspected.
    """
    parts = urlsplit(location)
    host_and_port = re.fullmatch(r"[^:]*(:\d*)?", parts.netloc)
    in_host = not host_and_port or (scheme == "s3" and bool(re.search("[@:]", parts.netloc)))
    if in_host or any(SECRET.search(name) for name, _ in parse_qsl(parts.query)):
        raise UserError(
            f"storage {scheme}://...: credentials do not belong in a URI; set AWS_ACCESS_KEY_ID "
            f"and AWS_SECRET_ACCESS_KEY, and give {scheme}://BUCKET/PREFIX"
        )
