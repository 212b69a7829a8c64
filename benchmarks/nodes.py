"""A study on a cluster of many nodes, whose command is killed half way.

``python -m benchmarks nodes [NODES] [TRIALS] [--slots SLOTS] [--s3]``; without numbers, 4 nodes and
100 trials.

Nodes are Ray's own processes (``ray.cluster_utils``) on this machine, beside a head. As many as
there are slots have one CPU each for a trial, the others none: a process with torch takes half a
gigabyte, a node a tenth. Trials go the ordinary way from the command to their commit and cost
little: a network of a few units, one epoch of one step on digits, 2 planes of 4 x 4 points; groups
of five seeds, ``--pairs groups``. The command is killed once half of the trials are done and given
again; when it has ended it is given a third time. S3 is a local server, whose log has the requests.

As on any cluster, who reaches the nodes' ports can run code: use a network that you trust.

Memory is the proportional set size. The driver's processor seconds are what it takes wherever it
runs; all other seconds share this machine's cores with all nodes.
"""

import argparse
import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ray.cluster_utils import Cluster

from benchmarks.processes import cpu_seconds, family, proportional
from dbray.errors import UserError
from dbray.store import open_study

SCRIPT = Path(__file__).parents[1] / "sweeps" / "arch_repro.py"
NAME, SEEDS = "arch_repro", 5
CHEAP = (
    *("--seeds", str(SEEDS), "--epochs", "1", "--batch-size", "1437", "--pairs", "groups"),
    *("--planes", "2", "--plane-kinds", "test", "--resolution", "4", "--picture-planes", ""),
)
STORE_BYTES = 80 * 2**20  # of each node's object store
SAMPLE_SECONDS = 2.0  # between two looks at the memory
# Very many processes start on few cores: what is slow is not lost.
SETTINGS = {
    "RAY_worker_register_timeout_seconds": "1800",
    "RAY_health_check_timeout_ms": "600000",
    "RAY_health_check_failure_threshold": "100",
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
DONE = re.compile(r"\[\d+/\d+\] (.*) done in ")
TO_DO = re.compile(r"trials, (\d+) to do")
REQUEST = re.compile("(GET|HEAD|PUT|POST|DELETE) (\\S+) HTTP")

Count = Callable[[], Counter[str]]  # of the storage's requests so far, by what they are


@dataclass
class Watched:
    """One run of the command, seen from outside; times are seconds since its start."""

    requests: Counter[str]
    lines: list[tuple[float, str]] = field(default_factory=list)  # that it has said
    seconds: float = 0.0
    peaks: dict[str, int] = field(default_factory=dict)  # bytes, by what they are of
    cpu: list[tuple[float, float]] = field(default_factory=list)  # the driver's so far

    def said(self, pattern: re.Pattern[str]) -> list[tuple[float, str]]:
        """When it said such lines, and what the pattern's group is in them."""
        found = [(at, pattern.search(line)) for at, line in self.lines]
        return [(at, match[1]) for at, match in found if match]

    def cpu_at(self, moment: float) -> float:
        """Processor seconds of the driver until a moment."""
        return max((cpu for at, cpu in self.cpu if at <= moment), default=0.0)


def main(arguments: list[str]) -> None:
    """Print a table: what, and its figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks nodes")
    parser.add_argument("nodes", type=int, nargs="?", default=4)
    parser.add_argument("trials", type=int, nargs="?", default=100)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--s3", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.trials < 2 * SEEDS or not 1 <= asked.slots <= asked.nodes:
        raise UserError(
            f"{asked.trials} trials by {asked.slots} slots on {asked.nodes} nodes: take "
            f"{2 * SEEDS} trials or more, and from 1 slot to as many as there are nodes"
        )
    os.environ |= SETTINGS
    with (
        tempfile.TemporaryDirectory() as scratch,
        _s3(Path(scratch)) if asked.s3 else _directory(Path(scratch)) as (storage, count),
        _cluster(asked.nodes, asked.slots) as (address, seconds),
    ):
        kind = "S3" if asked.s3 else "a directory"
        print(f"| {asked.nodes} nodes, {asked.slots} slots, {asked.trials} trials in {kind} | |")
        print("| --- | --- |")
        _print("all nodes are up", f"{seconds:.0f} s")
        command = _command(storage, address, asked.trials)
        killed = _watch(command, count, until=asked.trials // 2)
        _print_run("killed half way", killed)
        resumed = _watch(command, count)
        _print_run("again", resumed)
        both = [{title for _, title in run.said(DONE)} for run in (killed, resumed)]
        _print("trials that both have done", f"{len(set.intersection(*both))}")
        last = open_study(storage, NAME).info["invocations"][-1]
        _print("all scores", f"{last['seconds'] - last['sweep_seconds']:.0f} s")
        _print_run("a third time", _watch(command, count))


@contextlib.contextmanager
def _cluster(nodes: int, slots: int) -> Iterator[tuple[str, float]]:
    """Its address, and the seconds until all nodes were there."""
    started = time.monotonic()
    small = {"object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    try:
        for number in range(nodes):
            cluster.add_node(num_cpus=int(number < slots), wait=False, **small)
        cluster.wait_for_nodes(timeout=1800)
        yield cluster.address, time.monotonic() - started
    finally:
        cluster.shutdown()


@contextlib.contextmanager
def _directory(scratch: Path) -> Iterator[tuple[str, Count]]:
    """Where studies go; nothing counts what they ask of a disk."""
    yield str(scratch / "runs"), Counter


@contextlib.contextmanager
def _s3(scratch: Path) -> Iterator[tuple[str, Count]]:
    """A server's bucket, where studies go, and what counts the requests."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    log, url = scratch / "requests.log", f"http://127.0.0.1:{port}"
    program = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
    with log.open("w") as sink:
        server = subprocess.Popen(program, stdout=sink, stderr=sink)
    try:
        while b"Running on" not in log.read_bytes():
            time.sleep(0.1)
        bucket = urllib.request.Request(f"{url}/studies", method="PUT")  # noqa: S310
        urllib.request.urlopen(bucket).close()  # noqa: S310
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        os.environ |= {"AWS_ENDPOINT_URL": url, **dict.fromkeys(keys, "benchmark")}
        yield "s3://studies", lambda: _requests(log)
    finally:
        server.terminate()
        server.wait()


def _requests(log: Path) -> Counter[str]:
    """Requests in a server's log: those for Tune's own state, and the others by method."""
    found = REQUEST.findall(log.read_text())
    return Counter("Tune's state" if ".tune" in path else method for method, path in found)


def _command(storage: str, address: str, trials: int) -> list[str]:
    networks = [f"mlp@{width}" for width in range(1, trials // SEEDS + 1)]
    where = ("--storage", storage, "--name", NAME, "--cluster", address)
    return [sys.executable, str(SCRIPT), *CHEAP, *where, "--arch", *networks]


def _watch(command: list[str], count: Count, until: int = 0) -> Watched:
    """Run a command, or kill it when it has done so many trials."""
    before, started, done = count(), time.monotonic(), 0
    run = Watched(Counter())
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
    ) as process:
        sampler = threading.Thread(target=_sample, args=(process, run, started))
        sampler.start()
        for line in process.stderr or ():
            run.lines.append((time.monotonic() - started, line))
            done += bool(DONE.match(line))
            if done == until > 0:
                process.kill()
                break
        process.wait()
        sampler.join()
    run.seconds = time.monotonic() - started
    run.requests = count() - before
    if process.returncode and not until:
        sys.exit(f"error: the command ended with {process.returncode}: {run.lines[-20:]}")
    return run


def _sample(process: subprocess.Popen[str], run: Watched, started: float) -> None:
    """Note the driver's memory and processor time, and the memory of all, while it runs."""
    while process.poll() is None:
        run.cpu.append((time.monotonic() - started, cpu_seconds([process.pid])))
        scores = any(line.startswith("scoring") for _, line in run.lines)
        memory = {
            "driver" + (", scores and page" if scores else ""): proportional(process.pid),
            "all processes": sum(map(proportional, family(os.getpid()))),
        }
        for name, size in memory.items():
            run.peaks[name] = max(size, run.peaks.get(name, 0))
        time.sleep(SAMPLE_SECONDS)


def _print_run(name: str, run: Watched) -> None:
    _print(f"{name}: the whole", f"{run.seconds:.0f} s")
    for at, todo in run.said(TO_DO):
        _print(f"{name}: knows what is to do ({todo} trials)", f"{at:.0f} s")
    done = [at for at, _ in run.said(DONE)]
    if done:
        _print(f"{name}: first trial is done", f"{done[0]:.0f} s")
        settled, last = done[len(done) // 4], done[-1]
        trials = len(done) - len(done) // 4 - 1
        _print(f"{name}: trials a second", f"{trials / (last - settled):.2f}")
        cpu = (run.cpu_at(last) - run.cpu_at(settled)) / trials
        _print(f"{name}: driver's processor, a trial", f"{1000 * cpu:.0f} ms")
    for what, size in run.peaks.items():
        _print(f"{name}: peak memory, {what}", f"{size / 1e6:.0f} MB")
    for what, number in sorted(run.requests.items()):
        _print(f"{name}: requests, {what}", f"{number}")


def _print(what: str, figure: str) -> None:
    print(f"| {what} | {figure} |", flush=True)
