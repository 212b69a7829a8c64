"""The main job as a user runs it: in a process of its own, killed, extended, damaged, looked at."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from browser import check_page
from commands import run_script, start_script
from in_process import run_here, run_without_ray

SCRIPT = "sweeps/arch_repro.py"
SMALL = (
    *("--arch", "fcnet", "resnet", "--seeds", "2", "--epochs", "2", "--planes", "6"),
    *("--resolution", "12", "--picture-planes", "1", "--picture-resolution", "20"),
)
TABLES = ("agreement", "agreement_by_group", "fragmentation")


def run(*arguments, cwd, by=run_here):
    ended = by(SCRIPT, *SMALL, *arguments, cwd=cwd)
    assert ended.returncode == 0, ended.stderr
    return ended


def scores(folder):
    return {name: (folder / "scores" / f"{name}.parquet").read_bytes() for name in TABLES}


def commit_times(folder):
    return {p.parent.name: p.stat().st_mtime_ns for p in folder.glob("trials/*/committed.json")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A study that was run once, without any trouble; tests read it and leave it as it is."""
    place = tmp_path_factory.mktemp("undisturbed")
    ended = run(cwd=place, by=run_script)
    return place / "runs" / "arch_repro", ended


def test_it_makes_trials_scores_and_a_report(undisturbed):
    folder, ended = undisturbed
    assert ended.stdout == f"report: {folder}/report/index.html\n"
    assert len(commit_times(folder)) == 4
    groups = pq.read_table(folder / "scores" / "agreement_by_group.parquet").to_pylist()
    found = {(row["group_a"], row["group_b"], row["kind"]) for row in groups}
    pairs = [("fcnet", "fcnet"), ("fcnet", "resnet"), ("resnet", "resnet")]
    assert found == {(*pair, kind) for pair in pairs for kind in ("test", "train")}
    assert not (folder / ".tune").exists()
    info = json.loads((folder / "study.json").read_text())
    assert info["planes"]["counts"] == {"test": 6, "train": 6}


def test_progress_is_plain_lines_without_rays_noise(undisturbed):
    _, ended = undisturbed
    about, *lines = ended.stderr.splitlines()
    assert about.startswith("digits: ")
    assert lines[0].endswith("4 trials, 4 to do")
    assert re.fullmatch(r"Ray: this machine alone, \d+ CPUs, \d+ GPUs", lines[1])
    assert [line.split("]")[0] for line in lines[2:6]] == [f"[{n}/4" for n in (1, 2, 3, 4)]
    assert lines[6:] == ["scoring"]


def test_the_same_command_again_does_nothing_and_loads_little(undisturbed):
    folder, first = undisturbed
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    watched = {"PYTHONPROFILEIMPORTTIME": "1"}
    ended = run_script(SCRIPT, *SMALL, cwd=folder.parents[1], env=watched)
    assert "0 to do" in ended.stderr
    assert ended.stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    loaded = {line.split("|")[-1].strip() for line in ended.stderr.splitlines() if "|" in line}
    assert "pyarrow" in loaded
    unneeded = {"altair", "numba", "pandas", "ray.tune", "torch._dynamo", "torchvision"}
    assert not loaded & unneeded


def test_a_page_over_all_studies_is_kept_true_where_there_is_one(undisturbed):
    folder, _ = undisturbed
    index = folder.parent / "index.html"
    assert not index.exists()
    index.write_text("old")
    run_without_ray(SCRIPT, *SMALL, cwd=folder.parents[1])
    assert "arch_repro" in index.read_text()
    index.unlink()


def test_killed_twice_and_run_again_gives_the_same_scores(undisturbed, tmp_path):
    folder, _ = undisturbed
    chance, study = random.Random(0), tmp_path / "runs" / "arch_repro"

    def made():
        return [*study.glob("trials/*/committed.json"), *study.glob("scores/*.parquet")]

    for _ in range(2):
        before = len(made())
        driver = start_script(
            *(SCRIPT, *SMALL, "--max-concurrent", "1"),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda n=before: len(made()) > n, driver)  # killed earlier, it has lost nothing
        time.sleep(chance.uniform(0, 0.5))
        driver.kill()
        driver.wait()
    survived = commit_times(study)
    assert survived
    run(cwd=tmp_path)
    again = commit_times(study)
    assert {trial: again[trial] for trial in survived} == survived
    assert scores(study) == scores(folder)


def test_more_seeds_and_planes_extend_a_study_to_what_it_would_have_been(undisturbed, tmp_path):
    folder, _ = undisturbed
    study = tmp_path / "runs" / "arch_repro"
    shutil.copytree(folder.parent, study.parent)
    more = ("--seeds", "3", "--planes", "8")
    first = {p: p.read_bytes() for p in study.glob("trials/*/predictions.parquet")}
    run(*more, cwd=tmp_path)
    assert len(first) == 4
    assert {p: p.read_bytes() for p in first} == first
    at_once = tmp_path / "at_once"
    at_once.mkdir()
    run(*more, cwd=at_once)
    for name in TABLES:
        one, two = (
            pq.read_table(place / "runs" / "arch_repro" / "scores" / f"{name}.parquet")
            for place in (tmp_path, at_once)
        )
        assert one.equals(two)


def test_damaged_tables_of_a_study_are_made_again(undisturbed, tmp_path):
    folder, _ = undisturbed
    study = tmp_path / "runs" / "arch_repro"
    shutil.copytree(folder.parent, study.parent)
    for name in ("planes", "scores/agreement"):
        flip_a_bit(study / f"{name}.parquet")
    for name in ("anchors", "scores/fragmentation"):
        table = study / f"{name}.parquet"
        table.write_bytes(table.read_bytes()[:-9])
    (record,) = (study / "invocations").iterdir()
    record.write_text("{")
    ended = run(cwd=tmp_path)
    assert ended.stderr.splitlines()[1].endswith("0 to do")
    assert scores(study) == scores(folder)
    for name in ("planes", "anchors"):
        assert (study / f"{name}.parquet").read_bytes() == (folder / f"{name}.parquet").read_bytes()


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 4
    path.write_bytes(bytes(data))


def wait_until(happens, process, seconds=120):
    """Until something has happened while a process runs."""
    until = time.monotonic() + seconds
    while not happens():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)


def test_ctrl_c_says_how_to_go_on(tmp_path):
    long = ("--epochs", "3000", "--checkpoint-seconds", "0", "--max-concurrent", "1")
    driver = start_script(
        *(SCRIPT, *SMALL, *long),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        # A shell lets its background jobs ignore the signal, and they hand that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    trials = tmp_path / "runs" / "arch_repro" / "trials"
    wait_until(lambda: list(trials.glob("*/training_state.safetensors")), driver)
    os.kill(driver.pid, signal.SIGINT)
    try:
        _, said = driver.communicate(timeout=120)
    finally:
        driver.kill()
    assert driver.returncode == 130
    assert "interrupted; run the same command again to resume" in said
    assert "Traceback" not in said


def test_a_trial_that_fails_is_kept_with_its_reason_and_left_out(tmp_path):
    (tmp_path / "users_models.py").write_text(OWN_MODELS)
    one = ("--arch", "users_models:linear", "users_models:broken", "--seeds", "2")
    ended = run_here(SCRIPT, *SMALL, *one, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("broken, seed 0 failed: the loss became nan") == 1
    assert "failed: users_models:broken, seed 1: the loss became nan" in ended.stderr
    study = tmp_path / "runs" / "arch_repro"
    assert len(commit_times(study)) == 2
    assert len(list(study.glob("trials/*/failed.json"))) == 2
    groups = pq.read_table(study / "scores" / "agreement_by_group.parquet").to_pylist()
    assert {row["group_a"] for row in groups} == {"users_models:linear"}
    again = run_here(SCRIPT, *SMALL, *one, cwd=tmp_path)
    assert "0 to do" in again.stderr
    assert again.returncode == 1  # it was asked for, and has no result
    page = (study / "report" / "index.html").read_text()
    assert "the loss became nan in epoch 1" in page


OWN_MODELS = """
import math
from torch import nn

def linear(*, input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), classes))

class Diverges(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner, self.steps = inner, 0

    def forward(self, inputs):
        self.steps += self.training
        return self.inner(inputs) * (math.nan if self.steps > 4 else 1)

def broken(*, input_shape, classes):
    return Diverges(linear(input_shape=input_shape, classes=classes))
"""


def test_a_model_that_raises_is_left_over_with_its_reason_whatever_its_place(tmp_path):
    """Ray moves a trial that it starts again to the end of its list."""
    (tmp_path / "raising_models.py").write_text(RAISING_MODELS)
    one = ("--arch", "raising_models:late", "mlp", "--seeds", "1", "--epochs", "2")
    ended = run_here(SCRIPT, *SMALL, *one, cwd=tmp_path)
    assert ended.returncode == 1
    assert "not finished: raising_models:late, seed 0: ArithmeticError: no more" in ended.stderr
    study = tmp_path / "runs" / "arch_repro"
    assert len(commit_times(study)) == 1
    page = (study / "report" / "index.html").read_text()
    assert "raising_models:late, seed 0: ArithmeticError: no more" in page


RAISING_MODELS = """
import math
from torch import nn

class Late(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.net, self.steps = nn.Sequential(nn.Flatten(), nn.Linear(inputs, classes)), 0

    def forward(self, inputs):
        self.steps += self.training
        if self.steps > 4:
            raise ArithmeticError("no more")
        return self.net(inputs)

def late(*, input_shape, classes):
    return Late(math.prod(input_shape), classes)
"""


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--picture-planes", "train_mislabelled:0"), "need label noise"),
        (("--line-images", "1500"), "at most 1437 images of a kind"),
        (("--picture-images", "1,2,9999"), "test images 0 to 359"),
    ],
)
def test_a_refused_request_leaves_the_study_as_it_was(undisturbed, tmp_path, asked, said):
    folder, _ = undisturbed
    study = tmp_path / "runs" / "arch_repro"
    shutil.copytree(folder.parent, study.parent)
    before = {p: p.read_bytes() for p in study.rglob("*") if p.is_file()}
    ended = run_here(SCRIPT, *SMALL, *asked, cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert {p: p.read_bytes() for p in study.rglob("*") if p.is_file()} == before
    assert "0 to do" in run(cwd=tmp_path).stderr


def test_modules_of_the_current_folder_shadow_nothing(tmp_path):
    """A user's project may have a folder and files of any name."""
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "__init__.py").write_text("")
    for name in ("ray", "statistics", "pandas", "pyarrow", "torch", "report", "distillation"):
        (tmp_path / f"{name}.py").write_text("raise SystemError('shadowed')")
    (tmp_path / "users_models.py").write_text(OWN_MODELS)
    one = ("--arch", "users_models:linear", "--seeds", "1", "--epochs", "1")
    run(*one, "--dry-run", cwd=tmp_path, by=run_script)  # loads all but Ray
    run(*one, cwd=tmp_path)
    code = "from dbray import compare; print(compare.__name__)"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "analysis", capture_output=True, check=True
    )
    assert ended.stdout == b"compare\n"


def test_the_page_in_a_browser(undisturbed):
    folder, _ = undisturbed
    check_page(folder / "report" / "index.html", charts=12)


def test_the_report_can_be_made_again(undisturbed, tmp_path):
    folder, _ = undisturbed
    subprocess.run(["cp", "-r", folder.parent, tmp_path], check=True)
    page = tmp_path / "runs" / "arch_repro" / "report" / "index.html"
    page.unlink()
    ended = run_script("analysis/report.py", "runs/arch_repro", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert page.exists()
