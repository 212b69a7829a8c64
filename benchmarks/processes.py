"""What a command takes with all the processes that it starts, Ray's among them."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

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


def cpu_seconds(processes: Iterable[int]) -> float:
    """User and system time that processes have taken so far; those that have ended count nothing.

    Of a child that has ended, its parent has the time once it has waited for it.
    """
    ticks = 0
    for process in processes:
        with contextlib.suppress(OSError):  # it has ended
            stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, stat[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


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
