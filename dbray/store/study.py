"""A study on storage: its identity, its trials and what has been committed (the run's contract)."""

import contextlib
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dbray.config import AnyConfig, canonical_json, stored_config
from dbray.errors import UserError
from dbray.store.contents import wrong_contents
from dbray.store.folder import Folder, at_once
from dbray.store.index import refresh_index
from dbray.store.inventory import failed_trials, read_committed, take_inventory
from dbray.store.records import CommittedTrial, FailedTrial, FileRecord, Inventory, PlanesOf
from dbray.store.shapes import parse_invocation, parse_study
from dbray.store.snapshot import Snapshot


@dataclass(frozen=True)
class Study:
    """One study below a storage location. Cheap to make and to pickle; it holds no data."""

    folder: Folder
    name: str

    @property
    def location(self) -> str:
        """Where it lies, for people."""
        return self.folder.location

    @property
    def info(self) -> dict[str, Any]:
        """Contents of ``study.json`` with the study's ``invocations``, oldest first.

        Raises
        ------
        UserError
            If it is damaged.
        """
        described = self.description()
        paths = sorted(self.folder.files("invocations"))
        records = at_once(self._read_invocation, paths)
        return described | {"invocations": [record for record in records if record]}

    def description(self) -> dict[str, Any]:
        """Contents of ``study.json``.

        Raises
        ------
        UserError
            If it is damaged.
        """
        try:
            return parse_study(self.folder.read("study.json"))
        except ValueError as error:
            raise UserError(
                f"{self.location}/study.json: not readable as a study ({error}); choose another "
                "--name, or restore the file"
            ) from error

    def committed(self) -> list[CommittedTrial]:
        """Finished trials that count, by id."""
        return self.inventory().committed

    def failed(self) -> list[FailedTrial]:
        """Trials that ended without a result, by id."""
        return failed_trials(self.folder)

    def inventory(self) -> Inventory:
        """List the study once and sort its trials; sizes are checked, contents are not read.

        A trial that was made for another data set or for other planes does not count.
        """
        return take_inventory(self.folder, self.description())

    def snapshot(self) -> "Study":
        """The study to read as it is now: what is looked at twice is fetched once."""
        return replace(self, folder=Snapshot(self.folder.filesystem, self.folder.root))

    def refresh_index(self) -> None:
        """Bring the copies of trials' records up to date, from which an inventory is fast."""
        refresh_index(self.folder)

    def wrong_files(self, trials: Iterable[CommittedTrial]) -> dict[str, str]:
        """Trials with a file that is not the committed one, or not what it should be, and how.

        Weights are not read here; whoever loads them checks them.
        """
        described = self.description()
        checks = [
            (trial, name) for trial in trials for name in trial.files if name.endswith(".parquet")
        ]
        problems = at_once(lambda check: self._wrong_file(*check, described), checks)
        return {
            trial.trial_id: f"trials/{trial.trial_id}/{name}: {problem}"
            for (trial, name), problem in zip(checks, problems, strict=True)
            if problem
        }

    def read_file(self, trial: CommittedTrial, name: str) -> bytes:
        """Bytes of a committed trial's file, checked against the committed SHA-256.

        Raises
        ------
        UserError
            If the bytes are not the committed ones.
        """
        data = self.folder.read(f"trials/{trial.trial_id}/{name}")
        if hashlib.sha256(data).hexdigest() != trial.files[name].sha256:
            raise UserError(
                f"{self.location}/trials/{trial.trial_id}/{name}: its checksum is not the "
                "committed one; run the sweep again to redo this trial"
            )
        return data

    def read_table(self, path: str) -> pa.Table:
        """A small Parquet file of the study by its path below the study's folder.

        Raises
        ------
        FileNotFoundError
            If there is none.
        StorageError
            If it is damaged: pages are checked against the checksums that were written with them.
        """
        data = io.BytesIO(self.folder.read(path))
        with self.folder.named(path):
            # Not pq.read_table, which loads pandas; handing small columns to threads takes longer.
            return pq.ParquetFile(data, page_checksum_verification=True).read(use_threads=False)

    @contextlib.contextmanager
    def open_table(self, path: str) -> Iterator[pq.ParquetFile]:
        """A Parquet file of the study to read piece by piece; raises what ``read_table`` does."""
        with self.folder.opened(path) as stream:
            yield pq.ParquetFile(stream, page_checksum_verification=True)

    @contextlib.contextmanager
    def new_table(self, path: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
        """A Parquet file to write table by table; readers see all of it or nothing."""
        with (
            self.folder.new_file(path) as sink,
            pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            yield writer

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a file of the study; readers see all of it or nothing."""
        self.folder.write(path, data)

    def trial(self, trial_id: str) -> CommittedTrial:
        """One finished trial.

        Raises
        ------
        UserError
            If it is not there, or damaged.
        """
        found: CommittedTrial | str = "none of its files"
        if self.is_committed(trial_id):
            found = read_committed(self.folder.read, trial_id)
        if isinstance(found, str):
            raise UserError(f"{self.location}: no finished trial {trial_id} ({found})")
        return found

    def is_committed(self, trial_id: str) -> bool:
        """Whether this trial is finished."""
        return self.folder.exists(f"trials/{trial_id}/committed.json")

    def commit(
        self,
        config: AnyConfig,
        files: Mapping[str, bytes],
        *,
        metrics: Mapping[str, Any],
        planes: Mapping[str, int],
        pictures: Iterable[int] = (),
        picture_resolution: int = 0,
        line_images: int = 0,
        planes_of: PlanesOf | None = None,
        extending: CommittedTrial | None = None,
    ) -> bool:
        """Write a trial's files and, last of all, ``committed.json``.

        Parameters
        ----------
        planes_of
            Seed, resolution and extent of the planes that it has labelled.
        extending
            What was committed before; its files stay part of the trial.

        Returns
        -------
        True if this call's result is the one that stands; False if another writer had committed
        the trial with other contents, which are kept.
        """
        trial_id = config.trial_id
        top = f"trials/{trial_id}"
        records = {n: FileRecord(len(d), hashlib.sha256(d).hexdigest()) for n, d in files.items()}
        there = self.folder.files(top)  # one request, where a file that is absent takes two
        if extending is None and f"{top}/committed.json" in there:
            kept = read_committed(self.folder.read, trial_id)
            return isinstance(kept, CommittedTrial) and _same_labels(kept.files, records)
        for name, data in files.items():
            self.folder.write(f"{top}/{name}", data)
        self.folder.write(f"{top}/config.json", canonical_json(stored_config(config)).encode())
        kept_files = {} if extending is None else extending.files
        record = {
            "trial_id": trial_id,
            "metrics": dict(metrics),
            "files": {n: asdict(r) for n, r in sorted({**kept_files, **records}.items())},
            "planes": dict(planes),
            "pictures": list(pictures),
            "picture_resolution": picture_resolution,
            "line_images": line_images,
            "planes_of": planes_of,
        }
        if f"{top}/failed.json" in there:
            self.folder.delete(f"{top}/failed.json")
        committed = canonical_json(record).encode()
        self.folder.write(f"{top}/committed.json", committed)
        self._settle(top, committed, files)
        return True

    def _settle(self, top: str, committed: bytes, files: Mapping[str, bytes]) -> None:
        """Make the files those of the record that stands.

        Another command may have done the same trial at the same time, and written between them.
        """
        for name, data in files.items():
            theirs = self.folder.read(f"{top}/{name}") != data
            if theirs and self.folder.read(f"{top}/committed.json") == committed:
                self.folder.write(f"{top}/{name}", data)

    def record_failure(self, config: AnyConfig, reason: str) -> None:
        """Keep a trial that cannot give a result, with the reason."""
        top = f"trials/{config.trial_id}"
        self.folder.write(f"{top}/config.json", canonical_json(stored_config(config)).encode())
        self.folder.write(f"{top}/failed.json", canonical_json({"reason": reason}).encode())

    def discard(self, trial_id: str) -> None:
        """Make a trial uncommitted and not failed, so that the next sweep does it again."""
        self.folder.delete(f"trials/{trial_id}/committed.json")
        self.folder.delete(f"trials/{trial_id}/failed.json")

    def _read_invocation(self, path: str) -> dict[str, Any] | None:
        """Who ran what is good to know, and nothing that a study could fail for."""
        try:
            return parse_invocation(self.folder.read(path))
        except ValueError:
            return None

    def _wrong_file(
        self, trial: CommittedTrial, name: str, described: Mapping[str, Any]
    ) -> str | None:
        data = self.folder.read(f"trials/{trial.trial_id}/{name}")
        if hashlib.sha256(data).hexdigest() != trial.files[name].sha256:
            return "its checksum is not the committed one"
        return wrong_contents(name, data, trial, described)


def _same_labels(kept: Mapping[str, FileRecord], new: Mapping[str, FileRecord]) -> bool:
    """Whether two results agree in all they predict (histories hold timings and may differ)."""
    shared = [name for name in kept.keys() & new.keys() if name.startswith("predictions")]
    return all(kept[name] == new[name] for name in shared)
