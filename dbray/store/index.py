"""Copies of trials' records in one file, so that a large study opens with few requests.

A cache, never the truth: a copy is believed only while a listing shows its file with the size and
the time of modification that it was copied at. Without the index, or with one that is old, torn or
another's, the same records are read one by one.
"""

from collections.abc import Callable, Mapping
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from dbray.store.folder import REQUESTS_AT_ONCE, Folder, Listed, at_once
from dbray.store.schemas import RECORDS, parquet_bytes

INDEX = "trials/index.parquet"
COPIED = ("committed.json", "config.json", "failed.json")
# So many are read in the time of one.
FEW = REQUESTS_AT_ONCE
# Object stores tell times by the second, some file systems by two. A file that was modified just
# before it was listed may be written again without a change in what the next listing shows.
UNSETTLED = 2 * 10**9  # nanoseconds


def record_reader(folder: Folder, listed: Mapping[str, Listed]) -> Callable[[str], bytes]:
    """What reads a file of a trial by its path, from the index where that has it.

    Parameters
    ----------
    listed
        What a listing of ``trials`` shows now, by path.
    """
    copies = _copies(folder, listed)
    return lambda path: copies[path] if path in copies else folder.read(path)


def refresh_index(folder: Folder) -> None:
    """Write the index anew if more than a few records are missing in it, or have changed."""
    listed = folder.files("trials")
    records = {path: file for path, file in listed.items() if _is_record(path)}
    copies = _copies(folder, listed)
    missing = records.keys() - copies.keys()
    if len(missing) <= FEW:
        return
    settled = max(file.modified for file in listed.values()) - UNSETTLED
    new = [path for path in missing if 0 < records[path].modified < settled]
    for path, contents in zip(new, at_once(partial(_read, folder), new), strict=True):
        if len(contents) == records[path].size:
            copies[path] = contents
    rows = [
        {"path": path, **records[path]._asdict(), "contents": copies[path]}
        for path in sorted(records.keys() & copies.keys())
    ]
    folder.write(INDEX, parquet_bytes(pa.Table.from_pylist(rows, schema=RECORDS)))


def _is_record(path: str) -> bool:
    _, _, name = path.rpartition("/")
    return name in COPIED and path.count("/") == 2


def _read(folder: Folder, path: str) -> bytes:
    """Contents of a file; nothing if it is gone since it was listed."""
    try:
        return folder.read(path)
    except FileNotFoundError:
        return b""


def _copies(folder: Folder, listed: Mapping[str, Listed]) -> dict[str, bytes]:
    """Contents of the files, by path, that are as they were when the index was made."""
    if INDEX not in listed:
        return {}
    try:
        file = pq.ParquetFile(pa.BufferReader(folder.read(INDEX)), page_checksum_verification=True)
        if not file.schema_arrow.equals(RECORDS):
            return {}
        rows = file.read().to_pylist()
    except (OSError, ValueError, pa.ArrowException):  # gone since, or no such file
        return {}
    return {
        row["path"]: row["contents"]
        for row in rows
        if listed.get(row["path"]) == (row["size"], row["modified"])
    }
