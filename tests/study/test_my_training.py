"""The command that trains by a user's own code: grid, seeds, resume, more planes, changed code."""

import json
from pathlib import Path

import pytest
from in_process import run_here, run_without_ray
from pyarrow import fs

from dbray import StudyResults
from dbray.errors import UserError
from dbray.own import recipe_of
from dbray.own.recipe import OwnRecipe
from dbray.sources import OWN_SOURCES
from dbray.store import Folder
from dbray.study.own_grid import read_options, seeds_of, settings
from dbray.trial import own_training

SCRIPT = "sweeps/my_training.py"
SMALL = ["--planes", "3", "--resolution", "8", "--picture-planes", "0", "--train", "mine:train"]
MINE = """
import os
import torch
from torch import nn

def make(input_shape, classes, hidden=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, classes))

def train(seeds, folder, report, hidden=8):
    with open("calls", "a") as calls:
        print(hidden, seeds.weights, file=calls)
    if hidden == 4 and seeds.weights == 1:
        raise ValueError("a bad day")
    if hidden == 5 and not (folder / "begun").exists():
        (folder / "begun").write_text("one epoch")
        os._exit(9)
    report(1, 0.5)
    seeds.seed_everything()
    return make((1, 8, 8), 10, hidden)
"""


def calls(folder):
    path = folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "mine.py").write_text(MINE)
    return folder


def test_a_users_function_is_a_study(project):
    asked = [*SMALL, "--options", "hidden=4 hidden=6", "--seeds", "2"]
    ended = run_here(SCRIPT, *asked, cwd=project)
    assert ended.returncode == 1
    assert sorted(calls(project)) == ["4 0", "4 1", "6 0", "6 1"]
    assert "hidden=4, seed 1 failed: mine.py, line 13: ValueError: a bad day" in ended.stderr
    found = StudyResults(project / "runs/my_training")
    assert list(found.trials.label) == ["hidden=4", "hidden=6", "hidden=6"]
    # The output of the one that failed is in the file that is named.
    printed = Path(ended.stderr.partition("what it printed: ")[2].partition(")")[0])
    assert 'raise ValueError("a bad day")' in printed.read_text()

    # Nothing is trained a second time; more seeds train only what is missing.
    again = run_here(SCRIPT, *asked, "--seeds", "3", cwd=project)
    assert again.returncode == 1  # the failed one is still asked for
    assert sorted(calls(project)) == ["4 0", "4 1", "4 2", "6 0", "6 1", "6 2"]


def test_more_planes_take_a_factory_or_a_training(project):
    asked = [*SMALL, "--options", "hidden=6", "--seeds", "1", "--name", "planes"]
    run_here(SCRIPT, *asked, cwd=project)
    before = len(calls(project))
    ended = run_here(SCRIPT, *asked, "--planes", "4", cwd=project)
    assert "1 trials lack what is asked for" in ended.stderr
    assert len(calls(project)) == before + 1
    with_factory = [*asked, "--factory", "mine:make"]
    ended = run_here(SCRIPT, *with_factory, "--planes", "5", cwd=project)
    assert ended.returncode == 0, ended.stderr
    assert len(calls(project)) == before + 1
    assert StudyResults(project / "runs/planes").label_maps(
        StudyResults(project / "runs/planes").trials.trial_id[0]
    ).shape == (5, 8, 8)


def test_a_killed_training_finds_its_folder_again(project):
    asked = [*SMALL, "--options", "hidden=5", "--seeds", "1", "--name", "killed"]
    ended = run_here(SCRIPT, *asked, cwd=project)
    assert ended.returncode == 0, ended.stderr
    assert calls(project)[-2:] == ["5 0", "5 0"]
    trial = StudyResults(project / "runs/killed").trials.trial_id[0]
    assert not list((project / f"runs/killed/trials/{trial}/work").glob("*"))


def test_changed_code_is_never_mixed_in_silence(project):
    asked = [*SMALL, "--options", "hidden=7", "--seeds", "1", "--name", "changed"]
    run_here(SCRIPT, *asked, cwd=project)
    (project / "mine.py").write_text(MINE + "\n# a remark\n")
    try:
        refused = run_without_ray(SCRIPT, *asked, "--seeds", "2", cwd=project)
        assert refused.returncode == 2
        assert "has changed since 1 trials of study changed" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        ended = run_here(SCRIPT, *asked, "--seeds", "2", "--same-code", cwd=project)
        assert ended.returncode == 0, ended.stderr
    finally:
        (project / "mine.py").write_text(MINE)
    found = StudyResults(project / "runs/changed")
    assert list(found.trials.label) == ["hidden=7"] * 2
    described = json.loads((project / "runs/changed/study.json").read_text())
    assert described["group_by"] == ["options", "varied"]


@pytest.mark.parametrize(
    ("given", "grid"),
    [
        (["lr=0.1 lr=0.01", "name=a"], {"lr": [0.1, 0.01], "name": ["a"]}),
        (["on=true", "n=3 n=3.0"], {"on": [True], "n": [3, 3.0]}),
        ([], {}),
    ],
)
def test_options_are_read(given, grid):
    found = read_options(given)
    assert found == grid
    assert [type(v) for vs in found.values() for v in vs] == [
        type(v) for vs in grid.values() for v in vs
    ]


def test_options_of_a_file(tmp_path):
    (tmp_path / "grid.toml").write_text('lr = [0.1, 0.01]\nnet = "small"\n')
    grid = read_options([str(tmp_path / "grid.toml"), "width=2"])
    assert grid == {"lr": [0.1, 0.01], "net": ["small"], "width": [2]}
    assert settings(grid) == [
        (("lr", 0.1), ("net", "small"), ("width", 2)),
        (("lr", 0.01), ("net", "small"), ("width", 2)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr", "write NAME=VALUE"),
        ("lr=", "write NAME=VALUE"),
        ("2=3", "is no name of an argument"),
        ("lr=1 lr=1", "lr=1 is given twice"),
        ("lr=inf", "must be finite"),
        ("lr=99999999999999999999", "too many digits"),
        ("none.toml", "cannot be read: No such file"),
        ("broken.toml", "is no TOML file"),
        ("nested.toml", "must be a number, true, false or a text, not dict"),
    ],
)
def test_options_that_are_none(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.toml").write_text("lr = [")
    (tmp_path / "nested.toml").write_text("[lr]\nx = 1\n")
    with pytest.raises(UserError, match=message):
        read_options([text])


def test_one_source_alone_differs():
    recipe = OwnRecipe("a:b", "", one_seed=False)
    both = seeds_of(recipe, 2, ["all", "order"])
    assert [set(each.values()) for each in both[:2]] == [{0}, {1}]
    assert [each["order"] for each in both[2:]] == [1, 2]
    assert all(each[s] == 0 for each in both[2:] for s in OWN_SOURCES if s != "order")
    with pytest.raises(UserError, match="takes a single seed"):
        seeds_of(OwnRecipe("a:b", "", one_seed=True), 2, ["order"])


def test_a_command_needs_a_factory(tmp_path):
    asked = ["--command", "python t.py {seed} {checkpoint}"]
    ended = run_without_ray(SCRIPT, *asked, cwd=tmp_path)
    assert ended.returncode == 2
    assert "--command: name what builds its model by --factory" in ended.stderr
    assert not (tmp_path / "runs").exists()
    assert recipe_of("", asked[1], ()).one_seed


def test_a_folder_on_object_storage_is_a_copy_that_is_brought_back(tmp_path, monkeypatch):
    monkeypatch.setattr(own_training, "KEEP_SECONDS", 0.0)
    store = Folder(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "bucket")
    tmp_path.joinpath("bucket/work").mkdir(parents=True)
    with own_training.working_folder(store, "work") as (here, keep):
        (here / "state").write_text("epoch 1")
        keep()
        (here / "state").write_text("epoch 2, and killed before this is kept")
    with own_training.working_folder(store, "work") as (here, _):
        assert (here / "state").read_text() == "epoch 1"
