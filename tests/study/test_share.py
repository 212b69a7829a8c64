"""A study in shares: who does what, and that the last to end makes the page."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import run_here

from dbray.config import DistillationConfig, TrialConfig
from dbray.errors import UserError
from dbray.jobs import TABLES
from dbray.store import open_study
from dbray.study import StudyOptions, TrainingOptions
from dbray.study.share import shares

SMALL = (
    *("--arch", "mlp", "fcnet", "--seeds", "2", "--epochs", "1", "--planes", "3"),
    *("--resolution", "8", "--picture-planes", "", "--plane-kinds", "test"),
)


def grid(architectures, seeds):
    return [
        TrialConfig("digits", "f" * 64, f"net{a}", weights_seed=s, data_seed=s)
        for a in range(architectures)
        for s in range(seeds)
    ]


def all_shares(configs, of):
    return [shares(configs, f"{number}/{of}") for number in range(1, of + 1)]


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 8))
def test_shares_are_disjoint_even_and_cover_all(architectures, seeds, of):
    configs = grid(architectures, seeds)
    dealt = all_shares(configs, of)
    assert sorted((c for mine, _ in dealt for c in mine), key=configs.index) == configs
    for mine, others in dealt:
        assert sorted([*mine, *others], key=configs.index) == configs
    sizes = [len(mine) for mine, _ in dealt]
    assert max(sizes) - min(sizes) <= 1


def test_what_an_extension_adds_is_dealt_to_all_shares():
    """Dealt in the grid's order, seeds 3 and 4 would all fall to two of five shares."""
    configs = grid(7, 5)
    for mine, _ in all_shares(configs, 5):
        assert 1 <= sum(c.weights_seed > 2 for c in mine) <= 5


def test_trials_of_one_training_and_students_stay_together():
    teachers = grid(2, 3)
    stopped = [replace(config, stop_epoch=2) for config in teachers]
    students = [
        replace(c, distillation=DistillationConfig(teacher.trial_id, teacher.name, loss))
        for teacher in teachers
        for c in grid(1, 2)
        for loss in ("kl", "mse")
    ]
    for mine, _ in all_shares([*stopped, *teachers, *students], 4):
        ids = {config.trial_id for config in mine}
        for before, teacher in zip(stopped, teachers, strict=True):
            assert (before.trial_id in ids) == (teacher.trial_id in ids)
        for student in students:
            assert (student.trial_id in ids) == (student.distillation.teacher in ids)


@pytest.mark.parametrize("text", ["", "2", "0/4", "5/4", "1/0", "a/b", "-1/4", "1/4/2", "²/3"])
def test_what_is_no_share_is_named(text):
    with pytest.raises(UserError, match=f"--share {text}: give a number and how many"):
        StudyOptions(share=text).validate()


def test_seeds_are_not_added_in_shares():
    with pytest.raises(UserError, match="leave out --until-decided"):
        TrainingOptions(share="1/2", until_decided=8).validate()


def test_the_command_that_ends_last_scores_as_one_machine_does(tmp_path):
    def command(storage, *more):
        where = ("--storage", str(tmp_path / storage))
        ended = run_here("sweeps/arch_repro.py", *SMALL, *where, *more, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        return ended

    first = command("shared", "--share", "1/2")
    assert "2 trials in share 1/2, 2 to do" in first.stderr
    assert "2 trials of other shares are to do" in first.stderr
    assert first.stdout == ""
    study = open_study(str(tmp_path / "shared"), "arch_repro")
    assert len(study.committed()) == 2
    again = command("shared", "--share", "1/2")
    assert "2 trials in share 1/2, 0 to do" in again.stderr
    second = command("shared", "--share", "2/2")
    assert "scoring" in second.stderr
    assert second.stdout.startswith("report: ")
    command("alone")
    alone = open_study(str(tmp_path / "alone"), "arch_repro")
    for name in TABLES:
        path = f"scores/{name}.parquet"
        assert study.folder.read(path) == alone.folder.read(path)
