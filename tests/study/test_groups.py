"""Trials of one group differ in nothing but their seeds."""

import pytest
from in_process import run_here, run_without_ray

from dbray.config import NoiseConfig, TrainingConfig, TrialConfig
from dbray.errors import UserError
from dbray.store import CommittedTrial
from dbray.study.checks import _check_recipes

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


def config(noise=None, epochs=5):
    """A trial whose recipe is looked at."""
    return TrialConfig("digits", "f", "mlp", training=TrainingConfig(epochs=epochs), noise=noise)


def committed(config):
    """The same as a finished trial."""
    return CommittedTrial(config.trial_id, config, metrics={}, files={}, planes={})


@pytest.mark.parametrize(
    ("before", "asked", "said"),
    [
        (config(), config(NoiseConfig(0.2)), "noise share would be 0.2, and .* have none"),
        (config(NoiseConfig(0.2)), config(), "noise share would be none, and .* have 0.2"),
        (config(NoiseConfig(0.2)), config(NoiseConfig(0.2, "asymmetric")), "noise kind would be"),
    ],
)
def test_label_noise_is_a_part_of_the_recipe_where_groups_do_not_tell_it(before, asked, said):
    finished = [committed(before)]
    with pytest.raises(UserError, match=said):
        _check_recipes(finished, {"group_by": ["architecture"]}, [asked])
    _check_recipes(finished, {"group_by": ["architecture", "noise"]}, [asked, before])


def test_a_study_that_has_both_already_goes_on_with_either():
    finished = [committed(config()), committed(config(epochs=6))]
    for each in finished:
        _check_recipes(finished, {"group_by": ["architecture"]}, [each.config])
