"""Ray for the length of a command, and the conditions under which its workers do a task."""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import ray
from ray._private import ray_constants
from ray._private import utils as ray_utils
from ray._private.node import Node

from dbray.errors import UserError, last_line
from dbray.sweep.cluster import ON_A_NETWORK, Cluster, check_answers, cpus_here, scheduler

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process a training, for news nobody hears
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # or Ctrl-C would end the sweep and go on to the scores
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",  # nobody reads Tune's books
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@contextlib.contextmanager
def ray_session(cluster: Cluster | None = None) -> Iterator[None]:
    """Ray for the length of a command: a cluster, else this machine alone. One line says which.

    A Ray that this process uses already is used again, and left running.

    Raises
    ------
    UserError
        If the cluster does not answer.
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
        _start_alone() if cluster is None else _join(cluster)
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


def _start_alone() -> None:
    try:
        with _loopback_alone(), _no_services():
            ray.init(
                address="local",
                num_cpus=cpus_here(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except Exception as error:  # a bare one: Ray gives up where a machine is very busy
        raise UserError(
            f"Ray did not start on this machine: {last_line(error)} Run the same command again"
        ) from error
    job, nodes = scheduler(), os.environ.get("SLURM_JOB_NUM_NODES", "")
    others = f"; other machines of this {job} job are not used" if job and nodes != "1" else ""
    _say(f"this machine alone, {_resources()}{others}")


def _join(cluster: Cluster) -> None:
    check_answers(cluster)
    if cluster.how == "found here":
        _use_token()
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{cluster}: cannot be joined: {said[0]}") from error
    nodes = sum(node["Alive"] for node in ray.nodes())
    _say(f"cluster {cluster.address} ({cluster.how}), {nodes} nodes, {_resources()}")


def _use_token() -> None:
    """Show the user's token to a cluster, as Ray does to one that it has found by itself."""
    with contextlib.suppress(ImportError):  # a Ray that does so wherever RAY_AUTH_MODE asks for it
        from ray._private.authentication import authentication_token_setup as tokens

        tokens.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _resources() -> str:
    have = ray.cluster_resources()
    return f"{have.get('CPU', 0):g} CPUs, {have.get('GPU', 0):g} GPUs"


def _say(line: str) -> None:
    print(f"Ray: {line}", file=sys.stderr)  # noqa: T201


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


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    """Start no autoscaler, dashboard or log monitor beside the Ray of a single machine.

    Ray starts them whatever ``ray.init`` is told. Nobody asks them anything here, they take three
    of the seven CPU seconds of a start, and the command waits until the dashboard answers.
    """
    names = ("start_monitor", "start_api_server", "start_log_monitor")
    before = {name: getattr(Node, name) for name in names if hasattr(Node, name)}
    for name in before:
        setattr(Node, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(Node, name, method)


def work_in(folder: str) -> None:
    """Make a worker's current folder that of the command; modules in it are found last.

    On another machine of a cluster there may be no such folder.
    """
    if Path(folder).is_dir():
        os.chdir(folder)
        if folder not in sys.path:
            sys.path.append(folder)
