"""What a result came from: the command, the machine and the versions."""

import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from dbray.config import canonical_json
from dbray.store import Study

LIBRARIES = ("dbray", "torch", "torchvision", "timm", "ray", "numpy", "pyarrow", "altair")


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def record_invocation(
    study: Study,
    started: float,
    seconds: float,
    training_seconds: float,
    trials_run: int,
    not_finished: Sequence[str],
) -> None:
    """Leave a record of this command beside the results."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
    record = {
        "command": shlex.join(["python", *sys.argv]),
        "started": stamp,
        "seconds": round(seconds, 1),
        "sweep_seconds": round(training_seconds, 1),
        "trials_run": trials_run,
        "not_finished": list(not_finished),
        "hardware": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "memory_gb": round(_memory_bytes() / 2**30, 1),
            "gpus": gpus,
        },
    }
    name = stamp.replace(":", "").replace("-", "")
    study.write_bytes(f"invocations/{name}.json", canonical_json(record).encode())


def cpu_name() -> str:
    """Name of this machine's processor, as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
