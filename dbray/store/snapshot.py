"""A folder as it is at one moment, for whoever reads the same files again and again."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
from pyarrow import NativeFile

from dbray.store.folder import Folder, Listed

KEPT = 2**20  # bytes; what is larger takes longer to send than to ask for, and much memory


@dataclass(frozen=True)
class Snapshot(Folder):
    """A folder that is listed once, and whose small files are fetched once.

    What is added or changed later is not seen. Writing goes past it.
    """

    listing: dict[str, Listed] = field(default_factory=dict, compare=False, repr=False)
    contents: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    def read(self, path: str) -> bytes:  # noqa: D102 - as in Folder, and so below
        if not self._is_small(path):
            return super().read(path)
        if path not in self.contents:
            self.contents[path] = super().read(path)
        return self.contents[path]

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[NativeFile]:  # noqa: D102
        if self._is_small(path):
            with self.named(path):
                yield pa.BufferReader(self.read(path))
        else:
            with super().opened(path) as stream:
                yield stream

    def exists(self, path: str) -> bool:  # noqa: D102
        return path in self._all()

    def files(self, below: str = "") -> dict[str, Listed]:  # noqa: D102
        top = f"{below}/" if below else ""
        return {path: file for path, file in self._all().items() if path.startswith(top)}

    def _all(self) -> dict[str, Listed]:
        if not self.listing:
            self.listing.update(super().files())
        return self.listing

    def _is_small(self, path: str) -> bool:
        """Whether a file is to be kept; FileNotFoundError if there is none."""
        if path not in self._all():
            raise FileNotFoundError(f"{self.location}/{path}")
        return self._all()[path].size <= KEPT
