"""What a command takes with all the processes that it starts, Ray's among them."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

POLL_SECONDS = 0.2


def run_watched(command: Sequence[str]) -> tuple[str, float, int]:
    """Run a command: what it printed, its seconds, and the peak of its memory in bytes.

    Memory is the proportional set size, summed over the process and its descendants at one time:
    what they share counts once.
    """
    started = time.perf_counter()
    peak = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(proportional, family(process.pid))))
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - started
        printed, complaints = process.communicate()
    if process.returncode:
        sys.exit(f"error: {' '.join(command)[:200]}\n{complaints[-2000:]}")
    return printed, seconds, peak


def cpu_seconds() -> float:
    """User and system time that this process and its descendants have taken so far.

    A process that has ended counts where its parent has waited for it.
    """
    total = 0.0
    own = psutil.Process()
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def family(root: int) -> set[int]:
    """A process and its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            stat = (path / "stat").read_text()
            parents[int(path.name)] = int(stat.rpartition(")")[2].split()[1])
    found, grown = {root}, True
    while grown:
        more = {p for p, parent in parents.items() if parent in found} - found
        grown = bool(more)
        found |= more
    return found


def proportional(process: int) -> int:
    """Proportional set size of a process in bytes; 0 if it has ended."""
    with contextlib.suppress(OSError):  # it has ended
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def processor_seconds(process: int) -> float:
    """Processor time that a process has used; 0 if it has ended."""
    with contextlib.suppress(OSError):  # it has ended
        stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
