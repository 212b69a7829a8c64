"""A trial that a user's own training gives: its folder, its output, its model built again."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dbray.architectures import reading_of
from dbray.config import OwnTrainingConfig
from dbray.datasets import Dataset
from dbray.errors import TrialFailedError, UserError
from dbray.own import build_with, train_own
from dbray.own.training import Place
from dbray.store import CommittedTrial, Folder, Study
from dbray.training import OnEpoch, evaluate_on
from dbray.trial.commit import commit_trial
from dbray.trial.files import history_bytes
from dbray.trial.plan import PlanePlan

OUTPUT = "output.log"
HEAD, TAIL = 2**14, 2**20  # bytes of the output that are kept, of its beginning and its end
KEEP_SECONDS = 30.0  # between two times that a folder is brought to object storage


def train_and_commit(
    study: Study,
    config: OwnTrainingConfig,
    dataset: Dataset,
    plan: PlanePlan,
    device: torch.device,
    on_epoch: OnEpoch | None,
) -> dict[str, Any]:
    """Train as the user does, let the model answer, and commit; returns the metrics.

    Raises
    ------
    TrialFailedError
        If the training fails; the message names the file that has what it printed.
    """
    top = f"trials/{config.trial_id}"
    asked = own_training_of(study)
    with (
        working_folder(study.folder, f"{top}/work") as (folder, keep),
        tempfile.NamedTemporaryFile() as output,
    ):
        path = Path(output.name)
        place = Place(device, folder, path, keep, asked["factory"], asked["allow_unstable"])
        try:
            trained = train_own(config, dataset, place, on_epoch)
        except TrialFailedError as error:
            where = f"{study.location}/{top}/{OUTPUT}"
            raise TrialFailedError(f"{error} (what it printed: {where})") from error
        finally:
            study.write_bytes(f"{top}/{OUTPUT}", _ends(path))
        model = trained.model.to(device).eval()
        metrics: dict[str, Any] = {
            "test_accuracy": evaluate_on(model, dataset, device),
            "train_seconds": trained.seconds,
            "probabilities": model.reading.probabilities,
            **({"factory": trained.factory} if trained.factory else {}),
        }
        files = {"history.parquet": history_bytes(trained.history)} if trained.history else {}
        found = commit_trial(study, config, model, metrics, files, dataset, plan, device)
    for name in study.folder.files(f"{top}/work"):
        study.folder.delete(name)
    return found


def own_training_of(study: Study) -> dict[str, Any]:
    """How a study's own trainings are read: ``factory`` and ``allow_unstable``."""
    found: dict[str, Any] = study.description().get("own_training") or {}
    return {"factory": "", "allow_unstable": False, **found}


def factory_of(study: Study, trial: CommittedTrial) -> str:
    """What builds a trial's model again; empty where only its training does."""
    return str(trial.metrics.get("factory") or own_training_of(study)["factory"])


def build_own_again(study: Study, trial: CommittedTrial, dataset: Dataset) -> nn.Module:
    """A trial's model as its factory makes it, to load its weights into.

    Raises
    ------
    UserError
        If it has no factory.
    """
    config = trial.config
    if not isinstance(config, OwnTrainingConfig):
        raise TypeError("a model of another kind is built by its config alone")
    factory = factory_of(study, trial)
    if not factory:
        raise UserError(f"trial {trial.trial_id}: has no factory that builds its model again")
    shares = bool(trial.metrics.get("probabilities"))
    reading = reading_of(config, (dataset.mean, dataset.std), probabilities=shares)
    return build_with(factory, dataset, dict(config.options), reading)


@contextlib.contextmanager
def working_folder(folder: Folder, path: str) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder on this machine that survives its process, and what brings it to safety.

    Of a study on a local disk it is a folder of the study. Of one on object storage it is a copy
    that is fetched at the start and brought back every ``KEEP_SECONDS`` at most.
    """
    if folder.is_local:
        yield Path(folder.root) / path, lambda: None
        return
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        for file in folder.files(path):
            target = here / file.removeprefix(f"{path}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(folder.read(file))
        yield here, _Keeper(folder, path, here)


class _Keeper:
    """Writes what has changed in a folder to object storage, now and then."""

    def __init__(self, folder: Folder, path: str, here: Path) -> None:
        self.folder, self.path, self.here = folder, path, here
        self.known: dict[Path, tuple[int, int]] = {}
        self.last = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self.last < KEEP_SECONDS:
            return
        for file in self.here.rglob("*"):
            if file.is_file():
                state = file.stat().st_mtime_ns, file.stat().st_size
                if self.known.get(file) != state:
                    with (
                        file.open("rb") as source,
                        self.folder.new_file(
                            f"{self.path}/{file.relative_to(self.here).as_posix()}"
                        ) as sink,
                    ):
                        while data := source.read(2**24):
                            sink.write(data)
                    self.known[file] = state
        self.last = time.monotonic()


def _ends(path: Path) -> bytes:
    """What a training printed; of very much its beginning and its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= HEAD + TAIL:
            return file.read()
        head = file.read(HEAD)
        file.seek(size - TAIL)
        return head + f"\n... {size - HEAD - TAIL} bytes left out ...\n".encode() + file.read()
