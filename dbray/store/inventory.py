"""Which trials a study has: every one that is listed is finished, failed, damaged or foreign."""

import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from dbray.config import AnyConfig
from dbray.store.folder import Folder
from dbray.store.records import CommittedTrial, FailedTrial, Inventory
from dbray.store.shapes import parse_commit, parse_config, parse_failure

T = TypeVar("T")
Result = TypeVar("Result")

FILE_NAME = re.compile(r"[a-z][a-z0-9_-]*\.(parquet|safetensors)")  # of a trial; never a path
REQUESTS_AT_ONCE = 16  # to an object store, where each takes a round trip


def take_inventory(folder: Folder, described: Mapping[str, Any]) -> Inventory:
    """List a study once and sort its trials; sizes are checked, contents are not read.

    Parameters
    ----------
    described
        Contents of ``study.json``: a trial of another data set or other planes does not count.
    """
    sizes = folder.files("trials")
    done = _having(sizes, "committed.json")
    found = Inventory()
    for trial_id, failed in _read_failed(folder, sizes).items():
        if isinstance(failed, FailedTrial):
            found.failed.append(failed)
        else:
            found.damaged[trial_id] = failed
    for trial_id, trial in zip(done, at_once(partial(read_committed, folder), done), strict=True):
        problem = trial if isinstance(trial, str) else trial.wrong_size(sizes)
        if isinstance(trial, str) or problem:
            found.damaged[trial_id] = str(problem)
        elif stranger := _not_of(described, trial):
            found.foreign[trial_id] = stranger
        else:
            found.committed.append(trial)
    return found


def failed_trials(folder: Folder) -> list[FailedTrial]:
    """Trials that ended without a result, by id; the finished ones are not read."""
    found = _read_failed(folder, folder.files("trials")).values()
    return [trial for trial in found if isinstance(trial, FailedTrial)]


def read_committed(folder: Folder, trial_id: str) -> CommittedTrial | str:
    """A finished trial, or what is wrong with its two JSON files."""
    top = f"trials/{trial_id}"
    try:
        config = _read_config(folder, trial_id)
        record = parse_commit(folder.read(f"{top}/committed.json"))
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


def _having(sizes: Mapping[str, int], name: str) -> list[str]:
    """Ids of the trials that have a file of that name."""
    paths = (path.split("/") for path in sizes)
    return sorted(parts[1] for parts in paths if parts[2:] == [name])


def _read_failed(folder: Folder, sizes: Mapping[str, int]) -> dict[str, FailedTrial | str]:
    """Trials that have failed and are not finished, or what is wrong with their files."""
    done = {*_having(sizes, "committed.json")}
    ids = [trial_id for trial_id in _having(sizes, "failed.json") if trial_id not in done]
    return dict(zip(ids, at_once(partial(_read_failure, folder), ids), strict=True))


def _read_failure(folder: Folder, trial_id: str) -> FailedTrial | str:
    """A failed trial, or what is wrong with its two JSON files."""
    top = f"trials/{trial_id}"
    try:
        reason = parse_failure(folder.read(f"{top}/failed.json"))
        config = _read_config(folder, trial_id)
    except (FileNotFoundError, ValueError) as error:
        return f"{top}/failed.json or config.json is not what a trial writes ({error})"
    return FailedTrial(trial_id, config, reason)


def at_once(read: Callable[[T], Result], items: Iterable[T]) -> list[Result]:
    """Results of many requests, in order, some of them at the same time."""
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        return list(pool.map(read, items))


def _read_config(folder: Folder, trial_id: str) -> AnyConfig:
    """A trial's config; ValueError if it is that of another trial."""
    config = parse_config(folder.read(f"trials/{trial_id}/config.json"))
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
