"""A study on three Ray nodes that share nothing but object storage, one of which is lost."""

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from commands import ROOT
from in_process import run_here
from object_stores import environment, free_port, moto

from dbray.jobs import TABLES
from dbray.store import open_study

RAY = Path(sys.executable).with_name("ray")
SCRIPT = str(ROOT / "sweeps" / "arch_repro.py")
SMALL = (
    *("--arch", "mlp", "fcnet", "--seeds", "2", "--epochs", "60", "--planes", "4"),
    *("--resolution", "12", "--picture-planes", ""),
)


class Node:
    """A machine of a cluster: a raylet with what it has started, in a folder of its own."""

    def __init__(self, home: Path, env: dict[str, str], *options: str) -> None:
        home.mkdir()
        self.home = home
        self.log = home / "ray.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(RAY), "start", "--block", "--num-cpus=1", f"--temp-dir={home}/ray", *options],
                cwd=home,
                env=env | {name: str(home) for name in ("HOME", "TMPDIR", "DBRAY_TEST_NODE")},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it is a part of its cluster."""
        until = time.monotonic() + 90
        while "Ray runtime started" not in self.log.read_text():
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.2)

    def processes(self, named: str = "") -> list[int]:
        """Ids of its processes with that in their command line."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended, or is another user's
                mine = f"DBRAY_TEST_NODE={self.home}\0".encode() in (path / "environ").read_bytes()
                if mine and named.encode() in (path / "cmdline").read_bytes():
                    found.append(int(path.name))
        return found

    def kill(self) -> None:
        """Take all of it away at once, as a lost machine is."""
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()


def run(storage, env):
    return subprocess.Popen(
        [sys.executable, SCRIPT, *SMALL, "--storage", str(storage)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )


def scores(storage):
    study = open_study(str(storage), "arch_repro")
    return {name: study.folder.read(f"scores/{name}.parquet") for name in TABLES}


@pytest.fixture
def nodes(tmp_path, monkeypatch):
    """Three nodes of a cluster and the environment of its drivers; S3 is the storage."""
    with moto() as url, contextlib.ExitStack() as until_the_end:
        token = {
            "PYTHONUNBUFFERED": "1",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }
        env = os.environ | environment(url) | token
        env.pop("RAY_ADDRESS", None)
        env["SLURM_JOB_ID"] = secrets.token_hex(8)  # as if `ray symmetric-run` had started them
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        address = f"127.0.0.1:{free_port()}"
        port = address.partition(":")[2]
        # Not below tmp_path: a socket's path has to be short.
        scratch = Path(until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="dbray-")))
        local = "--node-ip-address=127.0.0.1"
        head = Node(scratch / "head", env, "--head", f"--port={port}", local)
        until_the_end.callback(head.kill)
        head.wait()
        workers = []
        for name in ("one", "two"):  # one after the other: they find free ports by themselves
            workers.append(Node(scratch / name, env, f"--address={address}"))
            until_the_end.callback(workers[-1].kill)
            workers[-1].wait()
        yield [head, *workers], env


def test_a_study_on_three_nodes_outlives_one_of_them(nodes, tmp_path):
    machines, env = nodes
    used, lost = set(), None
    with run("s3://studies/nodes", env) as driver:
        while driver.poll() is None and not lost:
            training = [node for node in machines if node.processes("ray::ImplicitFunc")]
            used |= {node.home.name for node in training}
            busy = [node for node in training if node is not machines[0]]
            if len(used) > 1 and busy:
                lost = busy[0]
                lost.kill()
            time.sleep(0.2)
        _, said = driver.communicate(timeout=500)
    assert driver.returncode == 0, said
    assert lost, said
    assert re.search(r"Ray: cluster \S+ \(found here\), 3 nodes, 3 CPUs, 0 GPUs\n", said)
    assert len(open_study("s3://studies/nodes", "arch_repro").committed()) == 4
    here = ("--storage", str(tmp_path / "here"))
    alone = run_here("sweeps/arch_repro.py", *SMALL, *here, cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert scores("s3://studies/nodes") == scores(tmp_path / "here")
    for node in machines:  # no result lies on a machine
        assert not list(node.home.rglob("*.parquet"))
