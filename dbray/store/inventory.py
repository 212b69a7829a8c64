"""Which trials a study has: every one that is listed is finished, failed, damaged or foreign."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from dbray.config import AnyConfig
from dbray.store.folder import Folder, at_once
from dbray.store.index import record_reader
from dbray.store.records import CommittedTrial, FailedTrial, Inventory
from dbray.store.shapes import parse_commit, parse_config, parse_failure

Read = Callable[[str], bytes]  # of a file of the study by its path

FILE_NAME = re.compile(r"[a-z][a-z0-9_-]*\.(parquet|safetensors)")  # of a trial; never a path


def take_inventory(folder: Folder, described: Mapping[str, Any]) -> Inventory:
    """List a study once and sort its trials; sizes are checked, contents are not read.

    Parameters
    ----------
    described
        Contents of ``study.json``: a trial of another data set or other planes does not count.
    """
    listed = folder.files("trials")
    read = record_reader(folder, listed)
    done = _having(listed, "committed.json")
    found = Inventory()
    for trial_id, failed in _read_failed(read, listed).items():
        if isinstance(failed, FailedTrial):
            found.failed.append(failed)
        else:
            found.damaged[trial_id] = failed
    for trial_id, trial in zip(done, at_once(partial(read_committed, read), done), strict=True):
        problem = trial if isinstance(trial, str) else trial.wrong_size(listed)
        if isinstance(trial, str) or problem:
            found.damaged[trial_id] = str(problem)
        elif stranger := _not_of(described, trial):
            found.foreign[trial_id] = stranger
        else:
            found.committed.append(trial)
    return found


def failed_trials(folder: Folder) -> list[FailedTrial]:
    """Trials that ended without a result, by id; the finished ones are not read."""
    found = _read_failed(folder.read, folder.files("trials")).values()
    return [trial for trial in found if isinstance(trial, FailedTrial)]


def read_committed(read: Read, trial_id: str) -> CommittedTrial | str:
    """A finished trial, or what is wrong with its two JSON files."""
    top = f"trials/{trial_id}"
    try:
        config = _read_config(read, trial_id)
        record = parse_commit(read(f"{top}/committed.json"))
    except FileNotFoundError:
        return f"{top}/config.json is missing"
    except ValueError as error:
        return f"{top}/committed.json or config.json is not what a trial commits ({error})"
    if not all(FILE_NAME.fullmatch(name) for name in record.files):
        return f"{top}/committed.json names a file that is none of a trial's"
    return CommittedTrial(
        trial_id=trial_id,
        config=config,
        metrics=record.metrics,
        files=record.files,
        planes=record.planes,
        pictures=record.pictures,
        picture_resolution=record.picture_resolution,
        line_images=record.line_images,
        planes_of=record.planes_of,
    )


def _having(listed: Iterable[str], name: str) -> list[str]:
    """Ids of the trials that have a file of that name."""
    paths = (path.split("/") for path in listed)
    return sorted(parts[1] for parts in paths if parts[2:] == [name])


def _read_failed(read: Read, listed: Iterable[str]) -> dict[str, FailedTrial | str]:
    """Trials that have failed and are not finished, or what is wrong with their files."""
    done = {*_having(listed, "committed.json")}
    ids = [trial_id for trial_id in _having(listed, "failed.json") if trial_id not in done]
    return dict(zip(ids, at_once(partial(_read_failure, read), ids), strict=True))


def _read_failure(read: Read, trial_id: str) -> FailedTrial | str:
    """A failed trial, or what is wrong with its two JSON files."""
    top = f"trials/{trial_id}"
    try:
        reason = parse_failure(read(f"{top}/failed.json"))
        config = _read_config(read, trial_id)
    except (FileNotFoundError, ValueError) as error:
        return f"{top}/failed.json or config.json is not what a trial writes ({error})"
    return FailedTrial(trial_id, config, reason)


def _read_config(read: Read, trial_id: str) -> AnyConfig:
    """A trial's config; ValueError if it is that of another trial."""
    config = parse_config(read(f"trials/{trial_id}/config.json"))
    if config.trial_id != trial_id:
        raise ValueError(f"it is the config of trial {config.trial_id}")
    return config


def _not_of(described: Mapping[str, Any], trial: CommittedTrial) -> str | None:
    """Why a trial is none of a study's, if it is not."""
    top = f"trials/{trial.trial_id}"
    wanted = described["dataset"].get("fingerprint")
    if wanted is not None and trial.config.dataset_fingerprint != wanted:
        return f"{top}: was made on another data set"
    planes = tuple(described["planes"].get(name) for name in ("seed", "resolution", "extent"))
    if trial.planes_of is not None and trial.planes_of != planes:
        return f"{top}: was made for other planes"
    return None
