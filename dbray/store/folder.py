"""A folder on a local disk or an object store, with whole-file writes that appear at once."""

import contextlib
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

import pyarrow as pa
from pyarrow import NativeFile, fs

from dbray.errors import StorageError
from dbray.store.troubles import describe_trouble

T = TypeVar("T")
Result = TypeVar("Result")

PARTIAL = ".partial"  # suffix of a local file that is still being written
COPIED_AT_ONCE = 2**24  # bytes
REQUESTS_AT_ONCE = 16  # to an object store, where each takes a round trip


class Listed(NamedTuple):
    """A file as a listing shows it."""

    size: int  # bytes
    modified: int  # nanoseconds since 1970 by the storage's clock; 0 where it does not say


@dataclass(frozen=True)
class Folder:
    """Files below one root; paths are relative to it, with ``/`` between their parts.

    Every method raises ``StorageError``, which names the file, when the storage fails.
    """

    filesystem: fs.FileSystem
    root: str

    def read(self, path: str) -> bytes:
        """Bytes of a file.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        """
        with self.named(path), self.filesystem.open_input_stream(self._full(path)) as stream:
            data: bytes = stream.read()
        return data

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[NativeFile]:
        """A file for reading here and there."""
        with self.named(path), self.filesystem.open_input_file(self._full(path)) as stream:
            yield stream

    def write(self, path: str, data: bytes) -> None:
        """Write a file so that readers see all of it or nothing.

        An object store shows an object when its upload is complete; on a local disk the file is
        written under another name and then renamed.
        """
        target = self._full(path)
        with self.named(path):
            if not self.is_local:
                self._write_stream(target, data)
                return
            with self._renamed(target) as partial:
                self._write_stream(partial, data)

    @contextlib.contextmanager
    def new_file(self, path: str) -> Iterator[IO[bytes]]:
        """A large file to write piece by piece: it grows on a disk of this machine.

        Readers see all of it when the block ends, or nothing if the block raises.
        """
        target = self._full(path)
        with self.named(path):
            if self.is_local:
                with self._renamed(target) as partial, Path(partial).open("wb") as sink:
                    yield sink
                return
            with tempfile.TemporaryFile() as grown:
                yield grown
                grown.seek(0)
                with self.filesystem.open_output_stream(target) as stream:
                    shutil.copyfileobj(grown, stream, COPIED_AT_ONCE)

    def delete(self, path: str) -> None:
        """Delete a file; nothing happens if it is not there."""
        if self.exists(path):
            with self.named(path):
                self.filesystem.delete_file(self._full(path))

    def remove_partial_files(self) -> None:
        """Delete what writers left that were killed a day ago or earlier; on local disks only."""
        if not self.is_local:
            return
        long_ago = time.time() - 24 * 3600
        for path in Path(self.root).rglob(f"*{PARTIAL}"):
            with contextlib.suppress(OSError):  # another command was quicker
                if path.stat().st_mtime < long_ago:
                    path.unlink()

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        with self.named(path):
            info = self.filesystem.get_file_info(self._full(path))
        return bool(info.type == fs.FileType.File)

    def files(self, below: str = "") -> dict[str, Listed]:
        """All files below a folder, by path; partial files are left out."""
        top = self._full(below) if below else self.root
        selector = fs.FileSelector(top, recursive=True, allow_not_found=True)
        with self.named(below):
            try:
                return self._listed(self.filesystem.get_file_info(selector))
            except UnicodeDecodeError:  # a name that is no UTF-8 text, which no file of ours has
                found = self.filesystem.get_file_info(list(_readable_names(top)))
                return self._listed(found)

    def folders(self) -> list[str]:
        """Names of the folders directly inside."""
        selector = fs.FileSelector(self.root, allow_not_found=True)
        with self.named(""):
            found = self.filesystem.get_file_info(selector)
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def _listed(self, found: Iterable[fs.FileInfo]) -> dict[str, Listed]:
        return {
            info.path.removeprefix(self.root).lstrip("/"): Listed(info.size, info.mtime_ns or 0)
            for info in found
            if info.type == fs.FileType.File and not info.path.endswith(PARTIAL)
        }

    @property
    def is_local(self) -> bool:
        """Whether the folder lies on a file system of this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def location(self) -> str:
        """Where it lies, for people: a path, or a URI less its parameters."""
        kind = self.filesystem.type_name
        return self.root if self.is_local else f"{'gs' if kind == 'gcs' else kind}://{self.root}"

    def below(self, name: str) -> "Folder":
        """The folder of that name inside this one."""
        return Folder(self.filesystem, f"{self.root}/{name}")

    @contextlib.contextmanager
    def named(self, path: str) -> Iterator[None]:
        """What fails in the block with the name of the file; a file's absence stays what it is.

        That a table is no Parquet file, or not as it was written, is a failure, too.
        """
        try:
            yield
        except (FileNotFoundError, StorageError):
            raise
        except (OSError, pa.ArrowInvalid) as error:
            where = f"{self.location}/{path}".rstrip("/")
            raise StorageError(describe_trouble(error, where)) from error

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}"

    @contextlib.contextmanager
    def _renamed(self, target: str) -> Iterator[str]:
        """Another name to write a local file under, which then gets its own."""
        self.filesystem.create_dir(str(Path(target).parent), recursive=True)
        partial = f"{target}.{secrets.token_hex(4)}{PARTIAL}"
        try:
            yield partial
            self.filesystem.move(partial, target)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise

    def _write_stream(self, full_path: str, data: bytes) -> None:
        with self.filesystem.open_output_stream(full_path) as stream:
            stream.write(data)


def at_once(read: Callable[[T], Result], items: Iterable[T]) -> list[Result]:
    """Results of many requests, in order, some of them at the same time."""
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        return list(pool.map(read, items))


def _readable_names(top: str) -> Iterator[str]:
    """Paths of all local files below a folder whose names are UTF-8."""
    for path in Path(top).rglob("*"):
        if str(path).encode(errors="ignore").decode() == str(path):
            yield str(path)
