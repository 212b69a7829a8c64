"""Trials of one group differ in nothing but their seeds."""

import pytest
from in_process import run_here, run_without_ray

SMALL = (
    *("--arch", "fcnet", "--planes", "4", "--resolution", "8", "--picture-planes", ""),
    *("--plane-kinds", "test"),
)
SCRIPT = "sweeps/arch_repro.py"


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Where a study lies whose trials have two epochs."""
    folder = tmp_path_factory.mktemp("begun")
    ended = run_here(SCRIPT, *SMALL, "--seeds", "1", "--epochs", "2", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ("--epochs", "3"),
            "fcnet: epochs would be 3, and the study's trials",
        ),
        (("--epochs", "2", "--learning-rate", "0.5"), "fcnet: learning-rate would be 0.5"),
        (("--epochs", "2", "--workers-per-trial", "2"), "fcnet: workers-per-trial would be 2"),
    ],
)
def test_trials_of_another_recipe_are_no_further_seeds(begun, more, said):
    before = sorted(begun.rglob("*"))
    ended = run_without_ray(SCRIPT, *SMALL, "--seeds", "2", *more, cwd=begun)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "--name" in ended.stderr
    assert sorted(begun.rglob("*")) == before


def test_further_seeds_and_looks_on_the_way_are_of_the_same_recipe(begun):
    more = ("--seeds", "2", "--epochs", "2", "--stop-epochs", "1")
    ended = run_here(SCRIPT, *SMALL, *more, cwd=begun)
    assert ended.returncode == 0, ended.stderr
    assert "4 trials, 3 to do" in ended.stderr
