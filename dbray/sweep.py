"""The sweep: Ray Tune runs the trials that are not committed yet."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ray import tune

from dbray.command_line import last_line
from dbray.config import AnyConfig, CheckpointConfig, group_label
from dbray.datasets import Dataset
from dbray.errors import TrialFailedError
from dbray.plan import Execution, PlanePlan, covers
from dbray.progress import Progress, TrialProgress
from dbray.resources import Resources, slots_on_ray
from dbray.store import CommittedTrial, Study
from dbray.store.check import state_folder
from dbray.training import EpochRecord
from dbray.trial import extend_trial, run_trials, same_training

REPORT_EVERY = 1.0  # seconds between a trial's reports: each one is a round trip to the driver


@dataclass(frozen=True)
class Work:
    """One thing that the sweep has to do: train a trial, or label more planes with it."""

    config: AnyConfig
    group: str  # that its trial belongs to
    committed: CommittedTrial | None = None

    @property
    def title(self) -> str:
        """Name of the trial for people."""
        more = ", more planes" if self.committed else ""
        return f"{self.group}, {self.config.member}{more}"


Numbered = tuple[int, Work]  # with its place in the sweep's work
Batch = list[list[Numbered]]  # what one Tune trial does: trainings, each with its trials


def run_sweep(
    study: Study,
    work: Sequence[Work],
    dataset: Dataset,
    plan: PlanePlan,
    resources: Resources,
    *,
    deterministic: bool,
) -> list[str]:
    """Do the work; a trial is committed as soon as it is finished.

    Returns
    -------
    One line for each trial that could not be finished for a reason outside of it (its process
    died too often, storage refused a write); none of these is recorded in the study.

    Raises
    ------
    UserError
        If this machine, without a cluster, has not what one trial asks for.
    """
    execution = Execution(
        device="cuda" if resources.gpus_per_trial else "cpu",
        threads=resources.cpus_per_trial,
        deterministic=deterministic,
        checkpoint_seconds=resources.checkpoint_seconds,
    )
    batches = batches_of(work, resources.trainings_per_task)
    at_once = slots_on_ray(resources, len(batches))
    trainable = tune.with_parameters(
        _do_batch,
        batches=batches,
        study=study,
        dataset=dataset,
        plan=plan,
        execution=execution,
    )
    needs = {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}
    progress = Progress({str(n): TrialProgress(w.title) for n, w in enumerate(work)}, at_once)
    state = state_folder(study.folder)
    tuner = tune.Tuner(
        tune.with_resources(trainable, needs),
        param_space={"batch": tune.grid_search(list(range(len(batches))))},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=min(at_once, len(batches)),
            # A process that has imported torch takes the next batch: seconds saved on each.
            reuse_actors=True,
            trial_dirname_creator=lambda trial: str(trial.config["batch"]),
        ),
        run_config=tune.RunConfig(
            name=time.strftime("%Y%m%dT%H%M%S") + f"-{os.getpid()}",
            storage_path=state.root,
            storage_filesystem=state.filesystem,
            verbose=0,
            callbacks=[_Watcher(progress)],
            failure_config=tune.FailureConfig(max_failures=resources.max_failures),
        ),
    )
    with progress:
        results = tuner.fit()
    lines = [
        f"{item.title}: {last_line(result.error)}"
        for batch, result in zip(batches, results, strict=True)
        if result.error
        for number, item in _numbered(batch)
        if progress.trials[str(number)].state != "done"
    ]
    if not lines:
        with contextlib.suppress(OSError):  # a leftover of bookkeeping harms nobody
            state.filesystem.delete_dir(state.root)
    return lines


def batches_of(work: Sequence[Work], trainings: int) -> list[Batch]:
    """Work in batches of so many trainings; trials that one training gives stay together."""
    by_training: dict[AnyConfig, list[Numbered]] = {}
    for number, item in enumerate(work):
        by_training.setdefault(same_training(item.config), []).append((number, item))
    units = list(by_training.values())
    return [units[at : at + trainings] for at in range(0, len(units), trainings)]


def _numbered(batch: Batch) -> Iterator[Numbered]:
    for unit in batch:
        yield from unit


def _do_batch(
    parameters: dict[str, Any],
    *,
    batches: list[Batch],
    study: Study,
    dataset: Dataset,
    plan: PlanePlan,
    execution: Execution,
) -> None:
    """Body of a Tune trial."""
    for unit in batches[parameters["batch"]]:
        _do_unit(unit, study, dataset, plan, execution)


def _do_unit(
    unit: list[Numbered], study: Study, dataset: Dataset, plan: PlanePlan, execution: Execution
) -> None:
    """Trials of one training. It asks the store first: Tune may start it a second time."""
    waiting: dict[AnyConfig, int] = {}
    for number, item in unit:
        if item.committed:
            _report(number, item.config, "running")
            extend_trial(study, item.committed, dataset, plan, execution)
            _report(number, item.config, "done")
        elif study.is_committed(item.config.trial_id):
            _report(number, item.config, "done")
        else:
            waiting[item.config] = number
            _report(number, item.config, "running", epoch=0)
    last = time.monotonic()

    def on_epoch(record: EpochRecord) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_EVERY:
            last = time.monotonic()
            for config, number in waiting.items():
                _report(number, config, "running", record.epoch, record.test_accuracy)

    try:
        for config, metrics in run_trials(study, [*waiting], dataset, plan, execution, on_epoch):
            _report(waiting.pop(config), config, "done", accuracy=metrics["test_accuracy"])
    except TrialFailedError as error:
        for config, number in waiting.items():
            study.record_failure(config, str(error))
            _report(number, config, "failed", reason=str(error))


def _report(
    number: int,
    config: AnyConfig,
    state: str,
    epoch: int | None = None,
    accuracy: float | None = None,
    reason: str = "",
) -> None:
    epochs = 0 if isinstance(config, CheckpointConfig) else config.last_epoch
    tune.report(
        {
            "number": number,
            "state": state,
            "epoch": epochs if epoch is None else epoch,
            "epochs": epochs,
            "test_accuracy": accuracy,
            "reason": reason,
        }
    )


class _Watcher(tune.Callback):  # type: ignore[misc]
    """Tells the progress display what Tune sees."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune saves its callbacks, and a terminal cannot be saved."""
        return {}

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,  # noqa: ANN401
        result: dict[str, Any],
        **_info: Any,  # noqa: ANN401
    ) -> None:
        key, state = str(result["number"]), result["state"]
        accuracy = result.get("test_accuracy")
        self.progress.advance(key, result["epoch"], result["epochs"], accuracy)
        if state != "running":
            self.progress.finish(key, state, result["reason"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_info: Any) -> None:  # noqa: ANN401
        last = trial.last_result or {}
        if last.get("state") == "running":
            self.progress.finish(str(last["number"]), "failed", "its process ended")


def missing_work(study: Study, configs: Sequence[AnyConfig], plan: PlanePlan) -> list[Work]:
    """What a study still lacks: trials that are not committed, or lack planes of the plan."""
    inventory = study.inventory()
    committed = {trial.trial_id: trial for trial in inventory.committed}
    failed = {trial.trial_id for trial in inventory.failed}
    group_by = study.info["group_by"]
    work = []
    for config in configs:
        group = group_label(config, group_by)
        trial = committed.get(config.trial_id)
        if trial is None and config.trial_id not in failed:
            work.append(Work(config, group))
        elif trial is not None and not covers(trial, plan):
            work.append(Work(trial.config, group, trial))
    return work
