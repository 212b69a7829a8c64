"""Where the pages about studies lie, and whether one still shows what there is.

A page takes seconds to make. It ends with a checksum over itself and all that it was made of, so
that a command that changes nothing finds out and leaves it as it is.
"""

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from dbray.store.study import Study

REPORT = "report/index.html"  # of a study, below its folder
INDEX = "index.html"  # of all studies of a storage location
TABLES = ("study.json", "planes.parquet", "anchors.parquet", "thumbnails.parquet")
FOLDERS = ("invocations", "scores")
LIBRARIES = (
    "altair",
    "jinja2",
    "numpy",
    "pandas",
    "pillow",
    "pyarrow",
    "scipy",
    "vl-convert-python",
)
CODE = {".css", ".j2", ".js", ".py"}


def page_inputs(study: Study, *, confidence: bool) -> str:
    """SHA-256 over all that the page of a study is made of, as hexadecimal digits.

    That is the study's tables, the records of its trials (which have the checksums of their files),
    what was asked of the page, and the code and the libraries that make it.
    """
    found = hashlib.sha256(f"{study.location} {confidence} {_code()}".encode())
    found.update(repr(study.inventory()).encode())
    paths = [*TABLES, *(path for name in FOLDERS for path in sorted(study.folder.files(name)))]
    for path in paths:
        try:
            contents = hashlib.sha256(study.folder.read(path)).hexdigest()
        except FileNotFoundError:
            contents = ""
        found.update(f"{path} {contents}".encode())
    return found.hexdigest()


def sealed(page: bytes, inputs: str) -> bytes:
    """The page with a last line that tells what it was made of."""
    return page.rstrip() + f"\n<!-- {_seal(page, inputs)} -->\n".encode()


def is_up_to_date(study: Study, inputs: str) -> bool:
    """Whether the study's page is there, whole, and made of just these inputs."""
    try:
        found = study.folder.read(REPORT)
    except FileNotFoundError:
        return False
    page, _, _ = found.rstrip().rpartition(b"\n")
    return found == sealed(page, inputs)


def _seal(page: bytes, inputs: str) -> str:
    return hashlib.sha256(inputs.encode() + page.rstrip()).hexdigest()


@cache
def _code() -> str:
    """What tells this version of the code and of the libraries from others."""
    package = Path(__file__).parents[1]
    files = sorted(path for path in package.rglob("*") if path.suffix in CODE)
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(package)} ".encode() + path.read_bytes())
    about = {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()}
    return found.hexdigest() + json.dumps(about)
