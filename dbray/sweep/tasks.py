"""What one task of the sweep does: some trainings, each with the trials that it gives."""

import contextlib
import logging
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ray import tune

from dbray.config import AnyConfig, TrialConfig
from dbray.datasets import Dataset
from dbray.errors import TrialFailedError
from dbray.store import Folder, Study
from dbray.sweep.resources import Resources
from dbray.sweep.session import work_in
from dbray.sweep.work import Work
from dbray.training import EpochRecord
from dbray.trial import Execution, PlanePlan, extend_trial, run_trials, same_training

REPORT_EVERY = 1.0  # seconds between a trial's reports at least: each is a trip to the driver
REPORT_SHARE = 0.05  # of a training's time at most; those of several processes take seconds each
PACK = 100  # batches that a task unpickles to get its own

Numbered = tuple[int, Work]  # with its place in the sweep's work
Unit = list[Numbered]  # the trials of one training
Batch = list[Unit]
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Task:
    """What every task of one sweep is told."""

    study: Study
    dataset: Dataset
    plan: PlanePlan
    execution: Execution
    resources: Resources
    state: Folder  # where Ray Train keeps what it needs of a training
    folder: str  # that the command runs in


def batches_of(work: Sequence[Work], trainings: int) -> list[Batch]:
    """Work in batches of so many trainings; trials that one training gives stay together."""
    by_training: dict[AnyConfig, Unit] = {}
    for number, item in enumerate(work):
        by_training.setdefault(same_training(item.config), []).append((number, item))
    units = list(by_training.values())
    return [units[at : at + trainings] for at in range(0, len(units), trainings)]


def numbered(batch: Batch) -> Iterator[Numbered]:
    """Everything in a batch."""
    for unit in batch:
        yield from unit


def packed(batches: Sequence[Batch]) -> list[bytes]:
    """All batches, as every task is given them: what it unpickles does not grow with the study."""
    return [pickle.dumps(batches[at : at + PACK]) for at in range(0, len(batches), PACK)]


def unpacked(packs: Sequence[bytes], number: int) -> Batch:
    """One of the batches."""
    pack, place = divmod(number, PACK)
    batch: Batch = pickle.loads(packs[pack])[place]  # noqa: S301 - the driver's, by Ray
    return batch


def do_batch(parameters: dict[str, Any], *, packs: list[bytes], task: Task) -> None:
    """Body of a Tune trial."""
    work_in(task.folder)
    for unit in unpacked(packs, parameters["batch"]):
        waiting = _without_training(unit, task)
        if waiting and task.resources.workers_per_trial > 1:
            from dbray.sweep.ray_train import train_distributed  # slow to import

            body = partial(_train, waiting, task)
            train_distributed(body, task.execution, task.resources, task.state, task.folder)
        elif waiting:
            with _notes_reported():  # not by several ranks, which have to report equally often
                _train(waiting, task, task.execution, tune.report)


@contextlib.contextmanager
def _notes_reported() -> Iterator[None]:
    """Bring what a training has to say to the command that waits for it."""
    log, handler = logging.getLogger("dbray"), _Notes()
    log.addHandler(handler)
    try:
        yield
    finally:  # the process does further tasks
        log.removeHandler(handler)


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tune.report({"state": "note", "reason": self.format(record)})


def _without_training(unit: Unit, task: Task) -> dict[AnyConfig, int]:
    """Do all of a unit that needs no training; the rest, with its numbers.

    It asks the store first, as Tune may start a unit a second time.
    """
    waiting: dict[AnyConfig, int] = {}
    for number, item in unit:
        if item.committed:
            tune.report(_state(number, item.config, "running"))
            extend_trial(task.study, item.committed, task.dataset, task.plan, task.execution)
            tune.report(_state(number, item.config, "done"))
        elif task.study.is_committed(item.config.trial_id):
            tune.report(_state(number, item.config, "done"))
        else:
            waiting[item.config] = number
            tune.report(_state(number, item.config, "running", epoch=0))
    return waiting


def _train(waiting: dict[AnyConfig, int], task: Task, execution: Execution, report: Report) -> None:
    """Trials of one training. All ranks come here, and report equally often."""
    study, ranks = task.study, execution.process_group
    waiting = dict(waiting)
    due = time.monotonic() + REPORT_EVERY

    def on_epoch(record: EpochRecord) -> None:
        nonlocal due
        if ranks.on_main(lambda: time.monotonic() >= due):
            started = time.monotonic()
            for config, number in waiting.items():
                report(_state(number, config, "running", record.epoch, record.test_accuracy))
            now = time.monotonic()
            due = now + max(REPORT_EVERY, (now - started) / REPORT_SHARE)

    trials = run_trials(study, [*waiting], task.dataset, task.plan, execution, on_epoch)
    try:
        for config, metrics in trials:
            accuracy = metrics["test_accuracy"]
            report(_state(waiting.pop(config), config, "done", accuracy=accuracy))
    except TrialFailedError as error:
        for config, number in waiting.items():
            ranks.on_main(partial(study.record_failure, config, str(error)))
            report(_state(number, config, "failed", reason=str(error)))


def _state(
    number: int,
    config: AnyConfig,
    state: str,
    epoch: int | None = None,
    accuracy: float | None = None,
    reason: str = "",
) -> dict[str, Any]:
    """A report about one item of the work."""
    epochs = config.last_epoch if isinstance(config, TrialConfig) else 0
    return {
        "number": number,
        "state": state,
        "epoch": epochs if epoch is None else epoch,
        "epochs": epochs,
        "test_accuracy": accuracy,
        "reason": reason,
    }
