"""Studies that were begun before dbray's models were the paper's go on with what they have."""

import json
from dataclasses import replace

import pytest
from in_process import run_here

from dbray.config import CheckpointConfig, DistillationConfig, TrialConfig
from dbray.study.checkpoints import reads_as_published
from dbray.study.grid import as_begun
from dbray.study.options import StudyOptions
from dbray.study.planes import describe_planes, plane_plan

TEACHER = TrialConfig("digits", "f", "vit", published=True)
SMALL = (
    *("--arch", "mixer", "fcnet", "--epochs", "1", "--planes", "4", "--resolution", "10"),
    *("--picture-planes", "0", "--picture-resolution", "10"),
)


def grid(architecture="vit"):
    """A teacher, a student, and the student's twin."""
    teacher = replace(TEACHER, architecture=architecture)
    twin = TrialConfig("digits", "f", "fcnet", weights_seed=1, data_seed=1, published=True)
    taught = DistillationConfig(teacher.trial_id, architecture)
    return [teacher, twin, replace(twin, distillation=taught)]


def test_trials_of_before_keep_their_ids():
    before = replace(TEACHER, published=False)
    assert before.trial_id == "ee2758c6eb94"
    assert TEACHER.trial_id != before.trial_id


def test_a_new_study_takes_the_papers_models():
    said = []
    configs = grid()
    assert as_begun({"published": True}, configs, said.append) == configs
    assert not said


def test_a_study_of_before_goes_on_as_it_was_begun_and_says_so_once():
    said = []
    teacher, twin, student = as_begun({}, grid(), said.append)
    assert not any(config.published for config in (teacher, twin, student))
    assert student.distillation.teacher == teacher.trial_id
    assert replace(student, distillation=None) == twin
    (line,) = said
    assert "begun with models that are not quite the paper's (vit)" in line


def test_nothing_is_said_of_models_that_are_the_same():
    said = []
    assert not any(config.published for config in as_begun({}, grid("resnet"), said.append))
    assert not said


def test_models_that_were_brought_stay_as_they_are():
    brought = CheckpointConfig("digits", "f", "mine", "a", "vit", "0" * 64, published=True)
    assert as_begun({}, [brought], print) == [brought]


def test_its_noisy_planes_stay_what_they_were():
    described = describe_planes(StudyOptions())
    assert not plane_plan(described).source.published
    assert plane_plan({**described, "published": True}).source.published


@pytest.fixture
def begun_before(tmp_path):
    """The study of a command of before, with no trial yet."""
    assert run_here("sweeps/arch_repro.py", *SMALL, "--seeds", "1", cwd=tmp_path).returncode == 0
    study = tmp_path / "runs" / "arch_repro"
    assert json.loads((study / "study.json").read_text())["published"]
    configs = [json.loads(path.read_text()) for path in study.glob("trials/*/config.json")]
    assert [config["published"] for config in configs] == [True, True]
    described = json.loads((study / "study.json").read_text())
    del described["published"]
    (study / "study.json").write_text(json.dumps(described))
    for path in study.glob("trials/*/*.json"):
        path.unlink()
    return study


def test_an_extended_study_never_mixes_the_two(begun_before):
    place = begun_before.parents[1]
    assert not reads_as_published(str(place / "runs"), "arch_repro")
    assert reads_as_published(str(place / "runs"), "another")
    for seeds, left in (("1", 2), ("2", 2), ("2", 0)):
        ended = run_here("sweeps/arch_repro.py", *SMALL, "--seeds", seeds, cwd=place)
        assert ended.returncode == 0
        assert f"{left} to do" in ended.stderr
        assert ended.stderr.count("not quite the paper's (mixer)") == 1
    paths = list(begun_before.glob("trials/*/config.json"))
    assert len(paths) == 4
    assert not any("published" in json.loads(path.read_text()) for path in paths)
    assert "published" not in json.loads((begun_before / "study.json").read_text())
