"""A study on storage: its identity, its trials and what has been committed (the run's contract)."""

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from dbray.config import AnyConfig, canonical_json, config_from_dict, stored_config
from dbray.errors import UserError
from dbray.store.folder import Folder
from dbray.store.records import CommittedTrial, FailedTrial, FileRecord, Inventory

T = TypeVar("T")
Result = TypeVar("Result")

FILE_NAME = re.compile(r"[a-z][a-z0-9_-]*\.(parquet|safetensors)")  # of a trial; never a path
REQUESTS_AT_ONCE = 16  # to an object store, where each takes a round trip


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
        try:
            described = self._read_json("study.json")
        except ValueError as error:
            raise UserError(f"{self.location}/study.json: not readable as a study") from error
        paths = sorted(self.folder.files("invocations"))
        records = self._each(self._read_invocation, paths)
        return described | {"invocations": [record for record in records if record]}

    def committed(self) -> list[CommittedTrial]:
        """Finished trials whose files have their committed sizes, by id."""
        return self.inventory().committed

    def failed(self) -> list[FailedTrial]:
        """Trials that ended without a result, by id."""
        return self.inventory().failed

    def inventory(self) -> Inventory:
        """List the study once and sort its trials; sizes are checked, contents are not read."""
        sizes = self.folder.files("trials")
        ids = sorted({path.split("/")[1] for path in sizes})
        done = [i for i in ids if f"trials/{i}/committed.json" in sizes]
        failures = [i for i in ids if f"trials/{i}/failed.json" in sizes and i not in done]
        found = Inventory()
        for trial_id, failed in zip(failures, self._each(self._read_failed, failures), strict=True):
            if isinstance(failed, FailedTrial):
                found.failed.append(failed)
            else:
                found.damaged[trial_id] = failed
        for trial_id, outcome in zip(done, self._each(self._read_committed, done), strict=True):
            problem = outcome if isinstance(outcome, str) else outcome.wrong_size(sizes)
            if isinstance(outcome, CommittedTrial) and problem is None:
                found.committed.append(outcome)
            else:
                found.damaged[trial_id] = str(problem)
        return found

    def wrong_checksums(self, trials: Iterable[CommittedTrial]) -> dict[str, str]:
        """Trials with a file whose SHA-256 is not the committed one: id to what is wrong.

        Weights are not read here; whoever loads them checks them.
        """
        checks = [
            (trial.trial_id, name, record)
            for trial in trials
            for name, record in trial.files.items()
            if not name.endswith(".safetensors")
        ]
        wrong = self._each(lambda check: self._checksum_differs(*check), checks)
        return {
            check[0]: f"trials/{check[0]}/{check[1]}: its checksum is not the committed one"
            for check, differs in zip(checks, wrong, strict=True)
            if differs
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
            return pq.read_table(data, page_checksum_verification=True)

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
        found = (
            self._read_committed(trial_id) if self.is_committed(trial_id) else "none of its files"
        )
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
        extending: CommittedTrial | None = None,
    ) -> bool:
        """Write a trial's files and, last of all, ``committed.json``.

        Parameters
        ----------
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
        if extending is None and self.is_committed(trial_id):
            kept = self._read_committed(trial_id)
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
        }
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

    def _each(self, read: Callable[[T], Result], items: list[T]) -> list[Result]:
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            return list(pool.map(read, items))

    def _read_json(self, path: str) -> dict[str, Any]:
        return dict(json.loads(self.folder.read(path)))

    def _read_invocation(self, path: str) -> dict[str, Any] | None:
        """Who ran what is good to know, and nothing that a study could fail for."""
        try:
            return self._read_json(path)
        except ValueError:
            return None

    def _read_committed(self, trial_id: str) -> CommittedTrial | str:
        """The trial, or what is wrong with its two JSON files."""
        top = f"trials/{trial_id}"
        try:
            record = self._read_json(f"{top}/committed.json")
            config = self._read_config(trial_id)
            names = record["files"]
            if not all(FILE_NAME.fullmatch(name) for name in names):
                return f"{top}/committed.json names a file that is none of a trial's"
            return CommittedTrial(
                trial_id=trial_id,
                config=config,
                metrics=record["metrics"],
                files={n: FileRecord(**r) for n, r in names.items()},
                planes=record["planes"],
                pictures=tuple(record["pictures"]),
                picture_resolution=record.get("picture_resolution", 0),
                line_images=record.get("line_images", 0),
            )
        except FileNotFoundError:
            return f"{top}/config.json is missing"
        except (ValueError, KeyError, TypeError):
            return f"{top}/committed.json or config.json is not what a trial commits"

    def _read_failed(self, trial_id: str) -> FailedTrial | str:
        """The trial, or what is wrong with its two JSON files."""
        top = f"trials/{trial_id}"
        try:
            reason = self._read_json(f"{top}/failed.json")["reason"]
            config = self._read_config(trial_id)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return f"{top}/failed.json or config.json is not what a trial writes"
        return FailedTrial(trial_id, config, str(reason))

    def _read_config(self, trial_id: str) -> AnyConfig:
        """A trial's config; ValueError if it is that of another trial."""
        config = config_from_dict(self._read_json(f"trials/{trial_id}/config.json"))
        if config.trial_id != trial_id:
            raise ValueError
        return config

    def _checksum_differs(self, trial_id: str, name: str, record: FileRecord) -> bool:
        data = self.folder.read(f"trials/{trial_id}/{name}")
        return hashlib.sha256(data).hexdigest() != record.sha256


def _same_labels(kept: Mapping[str, FileRecord], new: Mapping[str, FileRecord]) -> bool:
    """Whether two results agree in all they predict (histories hold timings and may differ)."""
    shared = [name for name in kept.keys() & new.keys() if name.startswith("predictions")]
    return all(kept[name] == new[name] for name in shared)
