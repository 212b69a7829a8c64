"""Ray for the length of a command, and the conditions under which its workers do a task."""

import contextlib
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import ray
from ray._private import ray_constants
from ray._private import utils as ray_utils
from ray._private.services import canonicalize_bootstrap_address as find_cluster

from dbray.errors import UserError

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process a training, for news nobody hears
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # or Ctrl-C would end the sweep and go on to the scores
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

ON_A_NETWORK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # where it is 0, all ports are of the loopback
ANSWER_SECONDS = 10.0  # that a cluster's address gets to accept a connection
SETTINGS = b"\x04"  # the kind of a frame of HTTP/2, after three bytes that say its length
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + SETTINGS + b"\0" * 5
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
    with contextlib.chdir("/"), _own_signals():
        _start()
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep Ray from handling SIGTERM, which is to end a command as Ctrl-C does.

    It has a handler in Python, and one in C++ that prints a stack; a Ray that installs the latter
    in spite of the constant loses it when Python's is set again.
    """
    before, handler = ray_utils.set_sigterm_handler, signal.getsignal(signal.SIGTERM)
    ray_utils.set_sigterm_handler = lambda _: None
    ray_constants.RAY_DISABLE_FAILURE_SIGNAL_HANDLER = True
    try:
        yield
    finally:
        ray_utils.set_sigterm_handler = before
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


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
    """Refuse an address where no Ray listens; Ray itself would try for minutes.

    Raises
    ------
    UserError
        If no connection can be made, or who answers does not speak as Ray's servers do.
    """
    try:
        # "auto" is a cluster of this machine, which may have ended.
        found = find_cluster("auto") if address == "auto" else address
        host, _, port = found.rpartition("://")[2].rpartition(":")
        if not re.fullmatch("[0-9]+", port):  # which Ray refuses at once
            return
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS) as connection:
            speaks = _speaks_grpc(connection)
    except (OSError, OverflowError, ValueError) as error:
        raise UserError(
            f"RAY_ADDRESS {address}: nothing answers there ({error}); is the cluster up? Unset "
            "RAY_ADDRESS to use this machine alone"
        ) from error
    if not speaks:
        raise UserError(
            f"RAY_ADDRESS {address}: what listens there is no Ray; give the address that "
            "`ray start --head` has said, or unset RAY_ADDRESS to use this machine alone"
        )


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other side begins as every gRPC server does: with its settings for HTTP/2."""
    if os.environ.get("RAY_USE_TLS", "0").lower() not in ("", "0", "false"):
        return True  # it says nothing without a certificate
    connection.settimeout(ANSWER_SECONDS)
    try:
        connection.sendall(HELLO)
        return connection.recv(9)[3:4] == SETTINGS
    except OSError:
        return False


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
