"""The sweep: Ray Tune runs the trials that are not committed yet."""

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from ray import tune
from ray.exceptions import OutOfMemoryError, RayActorError

from dbray.config import OwnTrainingConfig
from dbray.datasets import Dataset
from dbray.errors import UserError, last_line
from dbray.store import Study, state_folder
from dbray.sweep.progress import Progress, TrialProgress
from dbray.sweep.resources import Resources, slots_on_ray
from dbray.sweep.tasks import Task, batches_of, do_batch, numbered, packed
from dbray.sweep.work import Work
from dbray.trial import Execution, PlanePlan


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
    One line with the reason for each item that was not finished (its process died too often, its
    model raised, storage refused a write); none of these is recorded in the study.

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
    trainable = tune.with_parameters(do_batch, packs=packed(batches), task=task)
    needs = {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}
    if resources.workers_per_trial > 1:
        # Ray Train reserves the workers by itself; Tune refuses to reserve nothing at all.
        needs = {"cpu": 0, "memory": 1}
    with tempfile.TemporaryDirectory(prefix="dbray-") as books, progress:
        tuner = tune.Tuner(
            tune.with_resources(trainable, needs),
            param_space={"batch": tune.grid_search(list(range(len(batches))))},
            tune_config=tune.TuneConfig(
                max_concurrent_trials=min(at_once, len(batches)),
                # A process that has imported torch takes the next batch: seconds saved on each. A
                # user's own training gets a fresh one: what it leaves behind is gone with it.
                reuse_actors=not any(isinstance(w.config, OwnTrainingConfig) for w in work),
                trial_dirname_creator=lambda trial: str(trial.config["batch"]),
            ),
            run_config=tune.RunConfig(
                name="sweep",
                # Tune's books are never read again: the study says what is committed. On an
                # object store it would look for the folders of all trials every ten seconds.
                storage_path=books,
                verbose=0,
                callbacks=[_Watcher(progress)],
                failure_config=tune.FailureConfig(max_failures=resources.max_failures),
            ),
        )
        results = tuner.fit()
        # Tune moves a trial that it starts again to the end of its list: place says nothing.
        errors = {int(PurePath(result.path).name): result.error for result in results}
    lines = [
        f"{item.title}: {reason(errors.get(place))}"
        for place, batch in enumerate(batches)
        for number, item in numbered(batch)
        if not progress.trials[str(number)].ended
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
        if result["state"] == "note":
            self.progress.say(result["reason"])
            return
        key, state = str(result["number"]), result["state"]
        accuracy = result.get("test_accuracy")
        self.progress.advance(key, result["epoch"], result["epochs"], accuracy)
        if state != "running":
            self.progress.finish(key, state, result["reason"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_info: Any) -> None:  # noqa: ANN401
        last = trial.last_result or {}
        if last.get("state") == "running":
            self.progress.finish(str(last["number"]), "unfinished", reason(_error_of(trial)))


def reason(error: BaseException | None) -> str:
    """Why a task did not end well, in one line."""
    if error is None:
        return "it was not begun; run the same command again"
    if isinstance(error, OutOfMemoryError):
        return "its process was ended, as the machine ran out of memory"
    if isinstance(error, RayActorError):
        return "its process ended"
    cause = getattr(error, "cause", None) or error
    said = last_line(cause)
    if isinstance(cause, (UserError, OSError)):
        return said
    name = type(cause).__name__
    return said if said.startswith(name) else f"{name}: {said}"


def _error_of(trial: Any) -> BaseException | None:  # noqa: ANN401 - Tune's
    """What ended a task, as far as Tune has kept it."""
    try:
        error: BaseException | None = trial.get_pickled_error()
    except Exception:  # storage that fails, an exception that cannot be unpickled
        return None
    return error
