"""Whole studies against their trials' own compute, divided by the cores."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import Result
from dbray.store import open_study

SWEEPS = Path(__file__).parents[1] / "sweeps"
LIMIT = "trials' own compute / cores"


def run() -> list[Result]:
    """Run the main job once."""
    return of_study("arch_repro", "main job", "<= 1.5 of it", "")


def of_study(script: str, what: str, whole: str, sweep: str, *options: str) -> list[Result]:
    """Lines of a whole command, and of its sweep: from Ray's start to the last trial.

    ``whole`` and ``sweep`` say what they aim at.
    """
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        command = [sys.executable, str(SWEEPS / f"{script}.py"), "--storage", folder, *options]
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - started
        study = open_study(folder, script)
        trials, (invocation,) = study.committed(), study.info["invocations"]
    compute = sum(t.metrics["train_seconds"] + t.metrics["label_seconds"] for t in trials)
    limit = compute / (os.cpu_count() or 1)
    return [
        Result(f"{what}, {len(trials)} trials, {part}", (time_,), (limit,), LIMIT, aim)
        for part, time_, aim in (
            ("the whole command", seconds, whole),
            ("the sweep", invocation["sweep_seconds"], sweep),
        )
    ]
