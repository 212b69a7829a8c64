"""What others may put into a study's storage, or try on this machine's ports, does no harm."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_study import CONFIG, commit, top

LISTENING = """
import contextlib
import os
from pathlib import Path

import ray

from dbray.sweep import ray_session

with ray_session():
    ray.get([ray.remote(lambda: None).remote() for _ in range(2)])
    parents, ours, sockets = {}, {os.getpid()}, set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    for _ in range(5):
        ours |= {process for process, parent in parents.items() if parent in ours}
    for process in ours:
        with contextlib.suppress(OSError):
            for path in Path(f"/proc/{process}/fd").iterdir():
                with contextlib.suppress(OSError):
                    sockets.add(os.readlink(path))
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                print(fields[1].partition(":")[0])
"""
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "0" * 24 + "01000000"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's list of sockets")
def test_the_embedded_ray_listens_to_this_machine_only():
    ended = subprocess.run(
        [sys.executable, "-c", LISTENING], capture_output=True, text=True, check=True, timeout=300
    )
    addresses = ended.stdout.split()
    assert len(addresses) > 3
    assert set(addresses) <= LOOPBACK


@pytest.mark.parametrize("name", ["../../../mine.parquet", "/etc/passwd", "a/b.parquet", "run.sh"])
def test_a_record_cannot_name_files_elsewhere(study, name):
    commit(study)
    mine = Path(study.location).parent / "mine.parquet"
    mine.write_text("mine")
    path = top(study) / "committed.json"
    record = json.loads(path.read_text())
    record["files"][name] = {"size": 4, "sha256": "0" * 64}
    path.write_text(json.dumps(record))
    inventory = study.inventory()
    assert inventory.committed == []
    assert "names a file that is none of a trial's" in inventory.damaged[CONFIG.trial_id]
    study.discard(CONFIG.trial_id)
    assert mine.read_text() == "mine"


def test_a_trial_under_another_ones_id_is_none(study):
    """Its config, and the code that this would import, is not what the id stands for."""
    commit(study)
    trials = f"{study.folder.root}/trials"
    shutil.copytree(f"{trials}/{CONFIG.trial_id}", f"{trials}/0123456789ab")
    inventory = study.inventory()
    assert [trial.trial_id for trial in inventory.committed] == [CONFIG.trial_id]
    assert "0123456789ab" in inventory.damaged


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"reason"', '{"reason": 1}'])
def test_a_failure_that_is_none_is_named(study, text):
    study.folder.write("trials/0123456789ab/failed.json", text.encode())
    inventory = study.inventory()
    assert inventory.failed == []
    assert "trials/0123456789ab/failed.json" in inventory.damaged["0123456789ab"]
