"""Ray for the length of a command, and what its machines can give to trials."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import ray
import torch
from ray._private import ray_constants

from dbray.errors import UserError

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # or Ctrl-C would end the sweep and go on to the scores
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

ON_A_NETWORK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # where it is 0, all ports are of the loopback


@dataclass(frozen=True)
class Resources:
    """What a trial gets, and how many run at once."""

    cpus_per_trial: int = 1  # of each worker, where a trial has several
    gpus_per_trial: float = 0.0
    workers_per_trial: int = 1  # processes that train one model together
    max_concurrent: int = 0  # 0: as many as fit
    max_failures: int = 1  # times that a trial whose process dies is started again
    trainings_per_task: int = 1  # that one process does before it asks for more
    checkpoint_seconds: float = 300.0  # between two saved states of a training


@contextlib.contextmanager
def ray_session() -> Iterator[None]:
    """Ray for the length of a command: the cluster that RAY_ADDRESS names, else one of its own."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.ERROR)
    for name in ("ray.tune.execution.tune_controller", "ray.tune.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # trials that fail get lines of dbray
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if "RAY_ADDRESS" in os.environ:
        ray.init(**quiet)
    else:
        with _loopback_alone():
            ray.init(address="local", include_dashboard=False, **quiet)
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _loopback_alone() -> Iterator[None]:
    """Let a Ray that starts now listen to this machine only, unless it was told otherwise.

    Whoever reaches Ray's ports can run code. Ray reads the variable when it is imported, and the
    processes that it starts read it again.
    """
    if ON_A_NETWORK in os.environ:
        yield
        return
    before = ray_constants.ENABLE_RAY_CLUSTER
    os.environ[ON_A_NETWORK], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        del os.environ[ON_A_NETWORK]
        ray_constants.ENABLE_RAY_CLUSTER = before


def check_resources(resources: Resources) -> None:
    """Refuse what this machine cannot give, before anything is touched.

    Raises
    ------
    UserError
        If one trial asks for more than there is. A cluster is waited for.
    """
    if "RAY_ADDRESS" not in os.environ:
        slots(resources, _machine())


def slots_here(resources: Resources) -> int:
    """How many trials run at once on this machine; 1 where it cannot run any."""
    try:
        return slots(resources, _machine())
    except UserError:
        return 1


def slots_on_ray(resources: Resources, tasks: int) -> int:
    """How many of the tasks to hand to Ray at once, in a session.

    A cluster gets all of them: its machines may come only once there are tasks that wait. But of
    teams it gets as many as fit now, as each of them has a process that waits for its team.

    Raises
    ------
    UserError
        If this machine is not a cluster's and one task asks for more than there is.
    """
    have = ray.cluster_resources()
    if "RAY_ADDRESS" not in os.environ:
        return slots(resources, have)
    try:
        fitting = slots(resources, have)
    except UserError:
        fitting = 1
        print(f"waiting for machines with {_asked(resources)} to join the cluster", file=sys.stderr)  # noqa: T201
    return resources.max_concurrent or (tasks if resources.workers_per_trial == 1 else fitting)


def _machine() -> dict[str, float]:
    return {"CPU": os.cpu_count() or 1, "GPU": torch.cuda.device_count()}


def slots(resources: Resources, have: Mapping[str, float]) -> int:
    """How many trials fit at once on machines that have so much.

    Raises
    ------
    UserError
        If not one does.
    """
    workers = resources.workers_per_trial
    fits = [int(have.get("CPU", 0) // (workers * resources.cpus_per_trial))]
    if resources.gpus_per_trial:
        fits.append(int(have.get("GPU", 0) / (workers * resources.gpus_per_trial) + 1e-9))
    if min(fits) < 1:
        teams = ", --workers-per-trial" if workers > 1 else ""
        raise UserError(
            f"a trial asks for {_asked(resources)}, and there are {have.get('CPU', 0):g} CPUs and "
            f"{have.get('GPU', 0):g} GPUs; lower --cpus-per-trial{teams} or --gpus-per-trial"
        )
    return min(min(fits), resources.max_concurrent or min(fits))


def _asked(resources: Resources) -> str:
    """What one trial takes."""
    cpus, gpus = resources.cpus_per_trial, resources.gpus_per_trial
    if resources.workers_per_trial == 1:
        return f"{cpus} CPUs and {gpus:g} GPUs"
    n = resources.workers_per_trial
    return f"{n} workers x {cpus} = {n * cpus} CPUs and {n} x {gpus:g} = {n * gpus:g} GPUs"
