"""Which Ray a command uses: one that is named, one of its own job, none; and what answers there."""

import contextlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from uuid import uuid4

import pytest
from object_stores import free_port

from dbray.errors import UserError
from dbray.sweep import cluster, session
from dbray.sweep.cluster import Cluster, check_answers, cpus_here, find_cluster
from dbray.sweep.session import ray_session


@pytest.fixture(autouse=True)
def no_job(monkeypatch):
    """Whatever runs the tests, no scheduler and no cluster is seen."""
    for name in ("RAY_ADDRESS", "SLURM_CPUS_ON_NODE", "SLURM_JOB_NUM_NODES", *cluster.SCHEDULERS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def job(monkeypatch):
    """Number of the SLURM job in which the test is."""
    monkeypatch.setenv("SLURM_JOB_ID", number := uuid4().hex)
    return number


@pytest.fixture
def start(tmp_path):
    """Start a process that is called as Ray's on a node are."""
    (raylet := tmp_path / "raylet").symlink_to(sys.executable)
    with contextlib.ExitStack() as until_the_end:

        def start_one(address, *options, **environment):
            words = (f"--gcs-address={address}", "--temp-dir=/tmp/ray", *options)
            body = "print(flush=True); import time; time.sleep(60)"
            process = subprocess.Popen(
                [str(raylet), "-c", body, *words], env=environment, stdout=subprocess.PIPE
            )
            until_the_end.enter_context(process)
            until_the_end.callback(process.kill)
            process.stdout.readline()

        yield start_one


@pytest.fixture
def silent():
    """A server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted = []

        def accept():
            with contextlib.suppress(OSError):  # it is closed
                while True:
                    accepted.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for connection in accepted:
            connection.close()


@pytest.fixture
def web():
    """A server that speaks HTTP as browsers do."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("server", ["silent", "web"])
def test_what_listens_there_is_no_ray(request, monkeypatch, server):
    monkeypatch.setenv("RAY_ADDRESS", address := request.getfixturevalue(server))
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 2.0)
    monkeypatch.setattr(session.ray, "is_initialized", lambda: False)
    started = time.monotonic()
    with pytest.raises(UserError, match=f"RAY_ADDRESS {address}: what listens there is no Ray"):
        ray_session(find_cluster()).__enter__()
    assert time.monotonic() - started < 15


def test_the_time_that_it_takes_to_be_refused():
    assert 2 * cluster.ANSWER_SECONDS < 30  # to connect, then to answer


@pytest.mark.parametrize(
    "port", ["free", "99999999", "9" * 5000], ids=["free", "too large", "endless"]
)
def test_nothing_listens_there(port):
    port = port.replace("free", str(free_port()))
    with pytest.raises(UserError, match=r"--cluster .*: nothing answers there"):
        check_answers(Cluster(f"127.0.0.1:{port}", "--cluster"))


def test_a_host_that_cannot_be():
    with pytest.raises(UserError, match="nothing answers there"):
        check_answers(Cluster(f"{'a' * 100}:6379", "--cluster"))


@pytest.mark.parametrize(
    ("asked", "named", "expected"),
    [
        (None, None, None),
        (None, "", None),
        (None, " local ", None),
        (None, "a:1", Cluster("a:1", "RAY_ADDRESS")),
        ("auto", "a:1", Cluster("a:1", "RAY_ADDRESS")),
        ("auto", "local", None),
        ("local", "a:1", None),
        ("b:2", "a:1", Cluster("b:2", "--cluster")),
    ],
)
def test_which_cluster_is_named(monkeypatch, asked, named, expected):
    if named is not None:
        monkeypatch.setenv("RAY_ADDRESS", named)
    assert find_cluster(asked) == expected


def test_a_ray_of_the_same_job_is_found(start, job):
    """As `ray symmetric-run` starts one on each node, and sets no RAY_ADDRESS."""
    start("10.0.0.1:6379", SLURM_JOB_ID=job)
    assert find_cluster() == find_cluster("auto") == Cluster("10.0.0.1:6379", "found here")
    assert find_cluster("local") is None


def test_nobody_elses_ray_is_joined(start, job, monkeypatch):
    start("10.0.0.1:6379", SLURM_JOB_ID="another")
    start("10.0.0.2:6379")
    start("10.0.0.3:6379", SLURM_JOB_ID=job, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")  # a command's
    start("10.0.0.4:6380", "--temp-dir=/tmp/ray_skypilot", SLURM_JOB_ID=job)
    assert find_cluster() is None
    start("10.0.0.5:6379", SLURM_JOB_ID=job)
    assert find_cluster() == Cluster("10.0.0.5:6379", "found here")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert find_cluster() is None


def test_without_a_scheduler_no_ray_is_looked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(cluster, "_own_rays", lambda: asked.append(1) or ["10.0.0.1:6379"])
    assert find_cluster() is None
    assert not asked
    assert find_cluster("auto") == Cluster("10.0.0.1:6379", "found here")


def test_several_rays_are_for_the_user_to_choose_from(start, job):
    start("10.0.0.2:6379", SLURM_JOB_ID=job)
    start("10.0.0.1:6379", SLURM_JOB_ID=job)
    start("10.0.0.1:6379", SLURM_JOB_ID=job)  # two nodes of one cluster on this machine
    with pytest.raises(UserError, match=r"run here: 10\.0\.0\.1:6379, 10\.0\.0\.2:6379; name one"):
        find_cluster()


def test_ray_address_auto_asks_for_a_ray_that_runs_here(start, job, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(UserError, match="RAY_ADDRESS auto: no Ray of yours runs here"):
        find_cluster()
    start("10.0.0.1:6379", SLURM_JOB_ID=job)
    assert find_cluster() == Cluster("10.0.0.1:6379", "found here")


def test_what_a_job_has_not_been_given_is_not_used(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    monkeypatch.setattr(cluster.ray_utils, "get_num_cpus", lambda **_: 8.0)
    assert cpus_here() == 3
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "2")
    assert cpus_here() == 2


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ""),
        ({"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "1"}, ""),
        ({"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "8"}, "SLURM"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "Kubernetes"),
        ({"SKYPILOT_TASK_ID": "1"}, "SkyPilot"),
    ],
)
def test_machines_that_are_not_used_are_said(monkeypatch, capsys, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(session.ray, "init", lambda **_: None)
    monkeypatch.setattr(session.ray, "cluster_resources", lambda: {"CPU": 4.0, "GPU": 1.0})
    session._start_alone()
    (line,) = capsys.readouterr().err.splitlines()
    others = f"; other machines of this {expected} job are not used" if expected else ""
    assert line == f"Ray: this machine alone, 4 CPUs, 1 GPUs{others}"


def test_a_ray_that_does_not_start_is_one_line(monkeypatch):
    """On a machine that is very busy, Ray gives up with an exception of no kind of its own."""

    def give_up(**_):
        raise Exception("The current node timed out during startup.")  # noqa: TRY002

    monkeypatch.setattr(session.ray, "init", give_up)
    with pytest.raises(UserError, match=r"did not start on this machine: .* timed out .* again$"):
        session._start_alone()
