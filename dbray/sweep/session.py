"""Ray for the length of a command, and the conditions under which its workers do a task."""

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import ray
from ray._private import ray_constants

from dbray.errors import UserError

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # or Ctrl-C would end the sweep and go on to the scores
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

ON_A_NETWORK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # where it is 0, all ports are of the loopback
ANSWER_SECONDS = 10.0  # that a cluster's address gets to accept a connection
SCHEDULERS = {
    "SLURM_JOB_ID": "SLURM",
    "KUBERNETES_SERVICE_HOST": "Kubernetes",
    "SKYPILOT_TASK_ID": "SkyPilot",
}


def cluster_address() -> str | None:
    """The cluster that RAY_ADDRESS names; None where there is none, and this machine works alone.

    An empty value, and ``local``, name no cluster.
    """
    address = os.environ.get("RAY_ADDRESS", "").strip()
    return None if address in ("", "local") else address


@contextlib.contextmanager
def ray_session() -> Iterator[None]:
    """Ray for the length of a command: the cluster that RAY_ADDRESS names, else one of its own.

    A Ray that this process uses already is used again, and left running.

    Raises
    ------
    UserError
        If RAY_ADDRESS names a cluster that does not answer.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.ERROR)
    for name in ("ray.tune.execution.tune_controller", "ray.tune.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # trials that fail get lines of dbray
    if ray.is_initialized():
        yield
        return
    # Ray puts the current folder first on the workers' import path, where a file of the user's
    # would stand for a library of its name. ``work_in`` puts it last.
    with contextlib.chdir("/"):
        _start()
    try:
        yield
    finally:
        ray.shutdown()


def _start() -> None:
    address = cluster_address()
    if address is None:
        say_when_alone()
        with _loopback_alone():
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        return
    check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"RAY_ADDRESS {address}: cannot be joined: {said[0]}") from error


def say_when_alone() -> None:
    """Say so if a scheduler gave this job more than one machine may be, and no cluster is named."""
    for variable, name in SCHEDULERS.items():
        if variable in os.environ:
            print(  # noqa: T201
                f"{name} job without RAY_ADDRESS: this machine is used alone; set RAY_ADDRESS to "
                "the address of a Ray cluster to use the others",
                file=sys.stderr,
            )
            return


def check_answers(address: str) -> None:
    """Refuse an address where nothing listens; Ray itself would try for minutes.

    Raises
    ------
    UserError
        If no connection can be made.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdecimal():  # such as "auto": Ray knows where to look
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"RAY_ADDRESS {address}: nothing answers there ({error}); is the cluster up? Unset "
            "RAY_ADDRESS to use this machine alone"
        ) from error


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


def work_in(folder: str) -> None:
    """Make a worker's current folder that of the command; modules in it are found last.

    On another machine of a cluster there may be no such folder.
    """
    if Path(folder).is_dir():
        os.chdir(folder)
        if folder not in sys.path:
            sys.path.append(folder)
