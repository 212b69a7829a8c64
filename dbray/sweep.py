"""The sweep: Ray Tune runs the trials that are not committed yet."""

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray import tune

from dbray.config import AnyConfig, CheckpointConfig, group_label
from dbray.datasets import Dataset
from dbray.errors import TrialFailedError, UserError
from dbray.progress import Progress, TrialProgress
from dbray.store import CommittedTrial, Study
from dbray.training import EpochRecord
from dbray.trial import Execution, PlanePlan, covers, extend_trial, run_trial

REPORT_EVERY = 1.0  # seconds between a trial's reports: each one is a round trip to the driver
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # or Ctrl-C would end the sweep and go on to the scores
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@dataclass(frozen=True)
class Resources:
    """What a trial gets, and how many run at once."""

    cpus_per_trial: int = 1
    gpus_per_trial: float = 0.0
    max_concurrent: int = 0  # 0: as many as fit
    max_failures: int = 1  # times that a trial whose process dies is started again


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


@contextlib.contextmanager
def ray_session() -> Iterator[None]:
    """Ray for the length of a command: the cluster that RAY_ADDRESS names, else one of its own."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if "RAY_ADDRESS" in os.environ:
        ray.init(**quiet)
    else:
        ray.init(address="local", include_dashboard=False, **quiet)
    try:
        yield
    finally:
        ray.shutdown()


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
        If the machines have not what one trial asks for.
    """
    slots = _slots(resources, ray.cluster_resources())
    execution = Execution(
        device="cuda" if resources.gpus_per_trial else "cpu",
        threads=resources.cpus_per_trial,
        deterministic=deterministic,
    )
    trainable = tune.with_parameters(
        _do_work,
        work=list(work),
        study=study,
        dataset=dataset,
        plan=plan,
        execution=execution,
    )
    needs = {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}
    progress = Progress({str(n): TrialProgress(w.title) for n, w in enumerate(work)}, slots)
    tuner = tune.Tuner(
        tune.with_resources(trainable, needs),
        param_space={"number": tune.grid_search(list(range(len(work))))},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=min(slots, len(work)),
            # A process that has imported torch takes the next trial: seconds saved on each.
            reuse_actors=True,
            trial_dirname_creator=lambda trial: str(trial.config["number"]),
        ),
        run_config=tune.RunConfig(
            name=time.strftime("%Y%m%dT%H%M%S") + f"-{os.getpid()}",
            # Tune's own bookkeeping lies beside the study's files and is no part of them.
            storage_path=f"{study.folder.root}/.tune",
            storage_filesystem=study.folder.filesystem,
            verbose=0,
            callbacks=[_Watcher(progress)],
            failure_config=tune.FailureConfig(max_failures=resources.max_failures),
        ),
    )
    with progress:
        results = tuner.fit()
    lines = [
        f"{work[n].title}: {_last_line(result.error)}"
        for n, result in enumerate(results)
        if result.error
    ]
    if not lines:
        with contextlib.suppress(OSError):  # a leftover of bookkeeping harms nobody
            study.folder.filesystem.delete_dir(f"{study.folder.root}/.tune")
    return lines


def _do_work(
    parameters: dict[str, Any],
    *,
    work: list[Work],
    study: Study,
    dataset: Dataset,
    plan: PlanePlan,
    execution: Execution,
) -> None:
    """Body of a Tune trial. It asks the store first: Tune may start it a second time."""
    item = work[parameters["number"]]
    config = item.config
    if item.committed:
        extend_trial(study, item.committed, dataset, plan, execution)
        tune.report(_report(config, _epochs(config), None))
        return
    if study.is_committed(config.trial_id):
        tune.report(_report(config, _epochs(config), None))
        return
    last = 0.0

    def on_epoch(record: EpochRecord) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_EVERY:
            last = time.monotonic()
            tune.report(_report(config, record.epoch, record.test_accuracy))

    try:
        metrics = run_trial(study, config, dataset, plan, execution, on_epoch)
    except TrialFailedError as error:
        study.record_failure(config, str(error))
        tune.report({**_report(config, 0, None), "failed": str(error)})
        return
    tune.report(_report(config, _epochs(config), metrics["test_accuracy"]))


def _report(config: AnyConfig, epoch: int, accuracy: float | None) -> dict[str, Any]:
    return {"epoch": epoch, "epochs": _epochs(config), "test_accuracy": accuracy}


def _epochs(config: AnyConfig) -> int:
    return 0 if isinstance(config, CheckpointConfig) else config.training.epochs


class _Watcher(tune.Callback):  # type: ignore[misc]
    """Tells the progress display what Tune sees."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune saves its callbacks, and a terminal cannot be saved."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_info: Any) -> None:  # noqa: ANN401
        self.progress.start(str(trial.config["number"]))

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,  # noqa: ANN401
        result: dict[str, Any],
        **_info: Any,  # noqa: ANN401
    ) -> None:
        self.progress.advance(
            str(trial.config["number"]),
            result["epoch"],
            result["epochs"],
            result.get("test_accuracy"),
        )

    def on_trial_complete(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,  # noqa: ANN401
        **_info: Any,  # noqa: ANN401
    ) -> None:
        reason = trial.last_result.get("failed", "")
        key = str(trial.config["number"])
        self.progress.finish(key, "failed" if reason else "done", reason)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_info: Any) -> None:  # noqa: ANN401
        self.progress.finish(str(trial.config["number"]), "failed", "its process ended")


def check_resources(resources: Resources) -> None:
    """Refuse what this machine cannot give, before anything is touched.

    Raises
    ------
    UserError
        If one trial asks for more than there is. A cluster's machines are asked when it is there.
    """
    if "RAY_ADDRESS" not in os.environ:
        _slots(resources, _machine())


def slots_here(resources: Resources) -> int:
    """How many trials run at once on this machine; 1 where it cannot run any."""
    try:
        return _slots(resources, _machine())
    except UserError:
        return 1


def _machine() -> dict[str, float]:
    return {"CPU": os.cpu_count() or 1, "GPU": torch.cuda.device_count()}


def _slots(resources: Resources, have: Mapping[str, float]) -> int:
    """How many trials fit at once on machines that have so much."""
    fits = [int(have.get("CPU", 0) // resources.cpus_per_trial)]
    if resources.gpus_per_trial:
        fits.append(int(have.get("GPU", 0) / resources.gpus_per_trial + 1e-9))
    if min(fits) < 1:
        raise UserError(
            f"a trial asks for {resources.cpus_per_trial} CPUs and {resources.gpus_per_trial:g} "
            f"GPUs, and there are {have.get('CPU', 0):g} CPUs and {have.get('GPU', 0):g} GPUs; "
            "lower --cpus-per-trial or --gpus-per-trial"
        )
    return min(min(fits), resources.max_concurrent or min(fits))


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


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
