"""Adding seeds until contrasts are told from zero, with a stopping rule that keeps its error."""

import re
from dataclasses import asdict

import pyarrow as pa
import pytest
from in_process import run_here, run_without_ray

from dbray.claims import Result
from dbray.errors import UserError
from dbray.store import study_at
from dbray.store.schemas import parquet_bytes
from dbray.store.score_schemas import CONTRASTS
from dbray.study.options import TrainingOptions
from dbray.study.until_decided import add_seeds, planned_looks, seeds_in_words, undecided

SMALL = ("--planes", "2", "--resolution", "8", "--picture-planes", "", "--epochs", "1")


def result(name, *, told, claim="C1", seeds=3, decides=True, needed=9):
    p = 0.001 if told else 0.3
    numbers = {"difference": 0.1, "low": -0.1, "high": 0.3, "standard_error": 0.1}
    about = {"claim": claim, "name": name, "decides": decides, "p": p, "p_holm": p}
    more = {"degrees_of_freedom": 4.0, "level": 0.95, "planes_only": False}
    return Result(**about, **numbers, **more, seeds=seeds, seeds_needed=needed)


def write(study, results):
    table = pa.Table.from_pylist([asdict(each) for each in results], schema=CONTRASTS)
    study.write_bytes("scores/contrasts.parquet", parquet_bytes(table))


@pytest.mark.parametrize(
    ("most", "looks"),
    [(3, [3]), (4, [3, 4]), (5, [3, 5]), (8, [3, 5, 8]), (20, [3, 5, 8, 12, 18, 20])],
)
def test_looks_grow_by_half_up_to_the_most(most, looks):
    assert planned_looks(most) == looks


@pytest.mark.parametrize(
    ("told_at", "most", "first", "runs"),
    [(5, 12, 3, [3, 5]), (3, 12, 3, [3]), (99, 8, 3, [3, 5, 8]), (99, 8, 4, [5, 8])],
)
def test_seeds_are_added_until_all_is_told_or_there_are_enough(
    tmp_path, told_at, most, first, runs
):
    options = TrainingOptions(storage=str(tmp_path), until_decided=most, seeds=first)
    asked = []

    def run(now):
        asked.append(now.seeds)
        write(
            study_at(now.storage, now.name),
            [
                result("told", told=True),
                result("open", told=now.seeds >= told_at),
                result("beside", told=False, decides=False),
            ],
        )
        return 0

    assert add_seeds(options, run) == 0
    assert asked == runs


def test_a_run_that_is_left_unfinished_ends_the_looking(tmp_path):
    options = TrainingOptions(storage=str(tmp_path), until_decided=9)
    assert add_seeds(options, lambda _: 1) == 1


def test_a_study_that_compares_nothing_says_so(tmp_path, capsys):
    options = TrainingOptions(storage=str(tmp_path), until_decided=9)

    def run(now):
        write(study_at(now.storage, now.name), [])
        return 0

    assert add_seeds(options, run) == 0
    assert "there is nothing to decide; name a difference by --contrast" in capsys.readouterr().err


def test_what_a_user_names_decides_alone(tmp_path):
    study = study_at(str(tmp_path), "study")
    write(study, [result("mine", told=True, claim="named"), result("theirs", told=False)])
    assert undecided(study) == []
    write(study, [result("theirs", told=False)])
    assert [each.name for each in undecided(study)] == ["theirs"]
    assert "C1, theirs: +0.100 [-0.100, +0.300] of 3 seeds; 9 seeds" in seeds_in_words(study)[1]
    write(study, [result("a", told=False, needed=None), result("b", told=False, seeds=2)])
    said = "\n".join(seeds_in_words(study))
    assert "more than 100 seeds" in said
    assert "at least 3 seeds" in said


def test_the_option_is_checked():
    with pytest.raises(UserError, match="--until-decided 4: must be at least 5"):
        TrainingOptions(until_decided=4, seeds=5).validate()
    with pytest.raises(UserError, match="must be at least 3"):
        TrainingOptions(until_decided=2, seeds=1).validate()


def test_a_study_that_goes_on_until_its_contrast_is_told(tmp_path):
    """Two looks at a difference that one epoch cannot make; page and store keep to the rule."""
    grid = ("sweeps/arch_repro.py", "--arch", "fcnet", "mlp", *SMALL)
    refused = run_without_ray(*grid, "--contrast", "fcnet - vgg", cwd=tmp_path)
    assert refused.returncode == 2
    assert "has no group 'vgg'; it has fcnet, mlp" in refused.stderr
    assert not (tmp_path / "runs").exists()
    ended = run_here(*grid, "--contrast", "fcnet - mlp", "--until-decided", "4", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    study = study_at(str(tmp_path / "runs"), "arch_repro")
    (mine, *_) = study.read_table("scores/contrasts.parquet").to_pylist()
    looked = len(study.committed()) // 2
    assert looked == (3 if mine["p"] < 0.025 else 4)
    assert (mine["claim"], mine["seeds"], mine["level"]) == ("named", looked, 0.975)
    page = study.folder.read("report/index.html").decode()
    assert page.index("What this study was asked") < page.index("Decision regions")
    assert "looks at 3 and 4 seeds" in page
    dry = run_without_ray(*grid, "--dry-run", cwd=tmp_path)
    assert (re.search(r"FCNet . MLP: .* of \d seeds; ", dry.stdout) is not None) == (
        mine["p"] >= 0.025
    )
    # Another contrast takes its place; the looks stay.
    ended = run_here(*grid, "--contrast", "mlp - fcnet", "--seeds", str(looked), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    (turned, *_) = study.read_table("scores/contrasts.parquet").to_pylist()
    assert turned["difference"] == pytest.approx(-mine["difference"])
    assert turned["level"] == 0.975
