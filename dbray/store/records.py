"""What a study knows of its trials: finished, failed, damaged, or of another study."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dbray.config import AnyConfig
from dbray.store.folder import Listed

# What makes planes of equal ids the same planes: seed, resolution and extent.
PlanesOf = tuple[int | None, int | None, float | None]


@dataclass(frozen=True)
class FileRecord:
    """What a committed file must look like."""

    size: int  # bytes
    sha256: str  # hex digits


@dataclass(frozen=True)
class CommittedTrial:
    """A finished trial: ``committed.json`` with the config beside it."""

    trial_id: str
    config: AnyConfig
    metrics: dict[str, Any]
    files: dict[str, FileRecord]
    planes: dict[str, int]  # label maps in the predictions: how many planes of each kind
    pictures: tuple[int, ...] = ()  # ids of the planes that have pictures
    picture_resolution: int = 0  # of all its pictures
    line_images: int = 0  # of each kind, whose margins it holds
    planes_of: PlanesOf | None = None  # none: it is from before this was kept

    def wrong_size(self, listed: Mapping[str, Listed]) -> str | None:
        """The first of its files that is missing or has not its committed size, and how.

        ``listed`` has the study's files by path.
        """
        for name, record in self.files.items():
            path = f"trials/{self.trial_id}/{name}"
            if path not in listed:
                return f"{path}: is missing"
            if listed[path].size != record.size:
                return f"{path}: has {listed[path].size} bytes, committed were {record.size}"
        return None

    def without(self, role: str) -> "CommittedTrial":
        """The trial less its files of one role (``pictures``, say)."""
        files = {n: record for n, record in self.files.items() if not n.startswith(role)}
        return replace(self, files=files)


@dataclass(frozen=True)
class FailedTrial:
    """A trial that ended without a result, and why."""

    trial_id: str
    config: AnyConfig
    reason: str


@dataclass(frozen=True)
class Inventory:
    """The trials of a study as one look at its files shows them."""

    committed: list[CommittedTrial] = field(default_factory=list)
    failed: list[FailedTrial] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)  # trial id: which file, and how
    foreign: dict[str, str] = field(default_factory=dict)  # trial id: why it does not count
