"""The whole main job against its trials' own compute, divided by the cores."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.__main__ import Result
from dbray.store import open_study

SCRIPT = Path(__file__).parents[1] / "sweeps" / "arch_repro.py"


def run() -> list[Result]:
    """Run the default study once, from the start of the command to its report."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        command = [sys.executable, str(SCRIPT), "--storage", folder]
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - started
        trials = open_study(folder, "arch_repro").committed()
    compute = sum(t.metrics["train_seconds"] + t.metrics["label_seconds"] for t in trials)
    limit = compute / (os.cpu_count() or 1)
    about = f"main job, {len(trials)} trials (takes {seconds / limit:.2f} of the limit)"
    return [Result(about, seconds, limit, "trials' own compute / cores", "<= 1.5 of it")]
