"""What a trial asks for, and what this machine or a cluster can give."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import ray
import torch

from dbray.errors import UserError
from dbray.sweep.cluster import Cluster, check_answers, cpus_here


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
    cluster: Cluster | None = None  # that gives all this; None: this machine alone


def check_resources(resources: Resources) -> None:
    """Refuse what this machine cannot give, before anything is touched.

    Raises
    ------
    UserError
        If one trial asks for more than there is, or a cluster that is named does not answer. One
        that does is waited for.
    """
    if resources.cluster is None:
        slots(resources, _machine())
    else:
        check_answers(resources.cluster)


def slots_here(resources: Resources) -> int:
    """How many trials run at once on this machine; 1 where it cannot run any."""
    try:
        return slots(resources, _machine())
    except UserError:
        return 1


def slots_on_ray(resources: Resources, tasks: int) -> int:
    """How many of the tasks to hand to Ray at once, in a session.

    A cluster gets all of them: its machines may come only once there are tasks that wait. Of
    trainings by several workers it gets as many as fit now: each has a process that waits for its
    workers.

    Raises
    ------
    UserError
        If this machine is not a cluster's and one task asks for more than there is.
    """
    have = ray.cluster_resources()
    if resources.cluster is None:
        return slots(resources, have)
    try:
        fitting = slots(resources, have)
    except UserError:
        fitting = 1
        print(f"waiting for machines with {_asked(resources)} to join the cluster", file=sys.stderr)  # noqa: T201
    return resources.max_concurrent or (tasks if resources.workers_per_trial == 1 else fitting)


def _machine() -> dict[str, float]:
    return {"CPU": cpus_here(), "GPU": torch.cuda.device_count()}


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
        fewer = ", --workers-per-trial" if workers > 1 else ""
        raise UserError(
            f"a trial asks for {_asked(resources)}, and there are {have.get('CPU', 0):g} CPUs and "
            f"{have.get('GPU', 0):g} GPUs; lower --cpus-per-trial{fewer} or --gpus-per-trial"
        )
    return min(min(fits), resources.max_concurrent or min(fits))


def _asked(resources: Resources) -> str:
    """What one trial takes."""
    cpus, gpus = resources.cpus_per_trial, resources.gpus_per_trial
    if resources.workers_per_trial == 1:
        return f"{cpus} CPUs and {gpus:g} GPUs"
    n = resources.workers_per_trial
    return f"{n} workers x {cpus} = {n * cpus} CPUs and {n} x {gpus:g} = {n * gpus:g} GPUs"
