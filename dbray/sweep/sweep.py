"""The sweep: Ray Tune runs the trials that are not committed yet."""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune

from dbray.command_line import last_line
from dbray.config import AnyConfig, group_label
from dbray.datasets import Dataset
from dbray.store import Study, state_folder
from dbray.sweep.progress import Progress, TrialProgress
from dbray.sweep.resources import Resources, slots_on_ray
from dbray.sweep.tasks import Task, Work, batches_of, do_batch, numbered
from dbray.trial import Execution, PlanePlan, covers


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
    progress = Progress({str(n): TrialProgress(w.title) for n, w in enumerate(work)}, at_once)
    state = state_folder(study.folder)
    task = Task(study, dataset, plan, execution, resources, state, str(Path.cwd()))
    trainable = tune.with_parameters(do_batch, batches=batches, task=task)
    needs = {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}
    if resources.workers_per_trial > 1:
        # Ray Train reserves the workers by itself; Tune refuses to reserve nothing at all.
        needs = {"cpu": 0, "memory": 1}
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
        for number, item in numbered(batch)
        if progress.trials[str(number)].state != "done"
    ]
    if not lines:
        with contextlib.suppress(OSError):  # a leftover of bookkeeping harms nobody
            state.filesystem.delete_dir(state.root)
    return lines


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
