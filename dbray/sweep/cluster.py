"""Which Ray a command uses: a cluster that is named, one of its own job, or none."""

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from ray._private import utils as ray_utils
from ray._private.services import psutil  # which Ray brings along

from dbray.errors import UserError

ON_A_NETWORK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # where it is 0, all ports are of the loopback
ANSWER_SECONDS = 10.0  # that a cluster's address gets to accept a connection
SETTINGS = b"\x04"  # the kind of a frame of HTTP/2, after three bytes that say its length
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + SETTINGS + b"\0" * 5
SCHEDULERS = {
    "SLURM_JOB_ID": "SLURM",
    "KUBERNETES_SERVICE_HOST": "Kubernetes",
    "SKYPILOT_TASK_ID": "SkyPilot",
}
JOB = "SLURM_JOB_ID"  # several jobs of a user may share a machine
ALONE = "--cluster local uses this machine alone"
SKYPILOTS_OWN = "/tmp/ray_skypilot"  # noqa: S108 - where the Ray that manages SkyPilot's nodes lies


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster."""

    address: str
    how: str  # it is known: RAY_ADDRESS, --cluster, found here

    def __str__(self) -> str:
        return f"{self.how} {self.address}"


def find_cluster(asked: str | None = None) -> Cluster | None:
    """The cluster that a command uses; None where it uses this machine alone.

    Parameters
    ----------
    asked
        ``local``, ``auto`` or an address. ``auto`` is the cluster that RAY_ADDRESS names (an empty
        value and ``local`` name none), else a Ray that runs on this machine for this user and, in
        SLURM, this job. None is ``auto`` in a job of a scheduler, and else RAY_ADDRESS alone.

    Raises
    ------
    UserError
        If several Rays could be meant, or RAY_ADDRESS is ``auto`` and none runs here.
    """
    if asked not in (None, "auto"):
        return None if asked in ("", "local") else Cluster(asked, "--cluster")
    named = os.environ.get("RAY_ADDRESS", "").strip()
    if named == "auto":
        found = _found_here()
        if found is None:
            raise UserError(f"RAY_ADDRESS auto: no Ray of yours runs here; {ALONE}")
        return found
    if "RAY_ADDRESS" in os.environ:
        return None if named in ("", "local") else Cluster(named, "RAY_ADDRESS")
    return _found_here() if asked == "auto" or scheduler() else None


def _found_here() -> Cluster | None:
    found = sorted(set(_own_rays()))
    if len(found) > 1:
        names = ", ".join(found)
        raise UserError(f"several Rays of yours run here: {names}; name one by --cluster; {ALONE}")
    return Cluster(found[0], "found here") if found else None


def scheduler() -> str | None:
    """Name of the scheduler whose job this is; None where it is none's."""
    return next((name for variable, name in SCHEDULERS.items() if variable in os.environ), None)


def _own_rays() -> Iterator[str]:
    """Addresses of the clusters whose nodes run on this machine for this user and job."""
    for process in psutil.process_iter(["name", "uids"]):
        with contextlib.suppress(psutil.Error, OSError):  # it has ended
            if process.info["name"] != "raylet" or process.info["uids"].real != os.getuid():
                continue
            words, has = " ".join(process.cmdline()).split(), process.environ()
            if f"--temp-dir={SKYPILOTS_OWN}" in words or has.get(ON_A_NETWORK) == "0":
                continue  # SkyPilot's own, or that of another command alone
            if has.get(JOB) == os.environ.get(JOB):
                yield from (w.partition("=")[2] for w in words if w.startswith("--gcs-address="))


def cpus_here() -> int:
    """CPUs of this machine that this process may use, by its container, affinity and SLURM job."""
    bounds = [int(ray_utils.get_num_cpus(override_docker_cpu_warning=True))]
    if hasattr(os, "sched_getaffinity"):
        bounds.append(len(os.sched_getaffinity(0)))
    allotted = os.environ.get("SLURM_CPUS_ON_NODE", "")
    if allotted.isdecimal():
        bounds.append(int(allotted))
    return max(1, min(bounds))


def check_answers(cluster: Cluster) -> None:
    """Refuse an address where no Ray listens; Ray itself would try for minutes.

    Raises
    ------
    UserError
        If no connection can be made, or who answers does not speak as Ray's servers do.
    """
    host, _, port = cluster.address.rpartition("://")[2].rpartition(":")
    if not re.fullmatch("[0-9]+", port):  # which Ray refuses at once
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS) as connection:
            speaks = _speaks_grpc(connection)
    except (OSError, OverflowError, ValueError) as error:
        raise UserError(
            f"{cluster}: nothing answers there ({error}); is the cluster up? {ALONE}"
        ) from error
    if not speaks:
        raise UserError(
            f"{cluster}: what listens there is no Ray; give the address that `ray start --head` "
            f"has said; {ALONE}"
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
