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
    ids = sorted({path.split("/")[1] for path in sizes})
    done = [i for i in ids if f"trials/{i}/committed.json" in sizes]
    failures = [i for i in ids if f"trials/{i}/failed.json" in sizes and i not in done]
    found = Inventory()
    for trial_id, failed in zip(
        failures, at_once(partial(read_failed, folder), failures), strict=True
    ):
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


def read_failed(folder: Folder, trial_id: str) -> FailedTrial | str:
    """A failed trial, or what is wrong with its two JSON files."""
    top = f"trials/{trial_id}"
    try:
        reason = parse_failure(folder.read(f"{top}/failed.json"))
        config = _read_config(folder, trial_id)
    except (FileNotFoundError, ValueError) as error:
        return f"{top}/failed.json or config.json is not what a trial writes ({error})"
    return FailedTrial(trial_id, config, reason)


def planes_of(described: Mapping[str, Any]) -> tuple[int | float | None, ...]:
    """What makes planes of equal ids the same planes: seed, resolution and extent."""
    planes = described["planes"]
    return tuple(planes.get(name) for name in ("seed", "resolution", "extent"))


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
    if trial.planes_of is not None and tuple(trial.planes_of) != planes_of(described):
        return f"{top}: was made for other planes"
    return None
