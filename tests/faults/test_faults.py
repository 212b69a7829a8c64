"""What a study survives: deaths while it writes, two drivers, a full disk, files that are wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, start_script
from in_process import own_ray, run_here
from object_stores import environment, moto

from dbray.jobs import TABLES
from dbray.store import open_study

SCRIPT = "sweeps/arch_repro.py"
SMALL = (
    *("--arch", "mlp", "fcnet", "--seeds", "2", "--epochs", "2", "--planes", "4"),
    *("--resolution", "12", "--picture-planes", "0", "--picture-resolution", "20"),
)


ONE = ("--max-concurrent", "1")  # a second process would mostly load libraries


def start(storage, *more, **variables):
    return subprocess.Popen(
        [sys.executable, str(ROOT / SCRIPT), *SMALL, "--storage", str(storage), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"} | variables,
    )


def run(storage, *more, **variables):
    """Return code of the command and what it said."""
    command = start(storage, *more, **variables)
    _, said = command.communicate(timeout=400)
    return command.returncode, said


def run_quickly(storage):
    """The same without a process of its own."""
    ended = run_here(SCRIPT, *SMALL, "--storage", str(storage), cwd=Path.cwd())
    return ended.returncode, ended.stderr


def scores(storage):
    study = open_study(str(storage), "arch_repro")
    return {name: study.folder.read(f"scores/{name}.parquet") for name in TABLES}


@pytest.fixture(scope="module", autouse=True)
def server():
    """Object storage that every process of these tests reaches, those of the shared Ray too."""
    with moto() as url, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(url).items():
            patch.setenv(name, value)
        with own_ray({}):
            yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Where a study lies that had no trouble; tests read it and leave it as it is."""
    storage = tmp_path_factory.mktemp("undisturbed")
    code, said = run_quickly(storage)
    assert code == 0, said
    return storage


@pytest.fixture(params=["directory", "s3"])
def storage(request, tmp_path):
    """Where a study can go: a directory, or a server's bucket."""
    return tmp_path / "runs" if request.param == "directory" else "s3://studies/faults"


def test_processes_that_die_while_they_write_cost_no_result(undisturbed, storage, tmp_path):
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    for point in ("predictions.parquet", "committed.json", "scores/agreement.parquet"):
        (deaths / point.replace("/", "-")).touch()
    deadly = {"DBRAY_DEATHS": str(deaths), "PYTHONPATH": str(ROOT / "tests" / "faults")}
    # Two trials die and are tried again; then the driver dies in the midst of a score table.
    code, said = run(storage, **deadly)
    assert code == -signal.SIGKILL, said
    assert list(deaths.iterdir()) == []
    assert len(open_study(str(storage), "arch_repro").committed()) == 4
    code, said = run_quickly(storage)
    assert code == 0, said
    assert "4 trials, 0 to do" in said
    assert scores(storage) == scores(undisturbed)


def test_two_drivers_at_once_make_one_study(undisturbed, tmp_path):
    asked = (*SMALL, "--storage", str(tmp_path), *ONE)
    drivers = [start_script(SCRIPT, *asked, stderr=subprocess.PIPE) for _ in range(2)]
    for driver in drivers:
        _, said = driver.communicate(timeout=400)
        assert driver.returncode == 0, said
    assert scores(tmp_path) == scores(undisturbed)
    code, said = run_quickly(tmp_path)
    assert code == 0
    assert "4 trials, 0 to do" in said
    assert "done again" not in said


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("a small file system can be mounted by root alone, where that is allowed")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_said_and_the_study_goes_on_when_there_is_space(undisturbed, small_disk):
    code, said = run(small_disk, *ONE, "--max-failures", "0")
    assert code != 0, said
    assert "no space is left" in said
    assert "Traceback" not in said
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    code, said = run_quickly(small_disk)
    assert code == 0, said
    assert scores(small_disk) == scores(undisturbed)


def test_wrong_files_are_named_and_their_trials_alone_are_done_again(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    trials = tmp_path / "arch_repro" / "trials"
    flipped, cut, lost, whole = sorted(trials.iterdir())
    data = bytearray((flipped / "predictions.parquet").read_bytes())
    data[len(data) // 2] ^= 4
    (flipped / "predictions.parquet").write_bytes(bytes(data))
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:-1])
    (lost / "history.parquet").unlink()
    before = json.loads((whole / "committed.json").read_text())
    # What is no trial of this study does not disturb it.
    (trials / "notes.txt").write_text("mine")
    (trials / "0123456789ab").mkdir()
    (trials / "0123456789ab" / "committed.json").write_text('{"trial_id": "another"}')
    code, said = run_quickly(tmp_path)
    assert code == 0, said
    assert f"trials/{flipped.name}/predictions.parquet: its checksum" in said
    assert f"trials/{cut.name}/model.safetensors: " in said
    assert f"trials/{lost.name}/history.parquet: is missing" in said
    assert "trials/0123456789ab/" in said
    assert "4 trials, 3 to do" in said
    assert json.loads((whole / "committed.json").read_text()) == before
    assert scores(tmp_path) == scores(undisturbed)
