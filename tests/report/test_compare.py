"""Two studies side by side: what is the same, what differs, and what cannot be compared."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from browser import open_page
from in_process import run_without_ray
from tiny_study import predictions, write_planes

from dbray.config import TrialConfig
from dbray.errors import UserError
from dbray.report import build_comparison
from dbray.report.tables.two_studies import compare_groups, differences, read_side
from dbray.store import create_or_extend, open_study_folder, read_label_maps

ARCHITECTURES = ("vit", "resnet")
SEEDS, PLANES, SIDE = 3, 6, 10
DESCRIBED = {
    "study": "made",
    "dataset": {"name": "digits", "fingerprint": "f" * 64, "class_names": list("0123456789")},
    "planes": {"seed": 0, "resolution": SIDE, "extent": 0.1, "counts": {"test": PLANES}},
    "pictures": {"resolution": SIDE, "plane_ids": []},
    "group_by": ["architecture"],
    "versions": {"torch": "2.11.0"},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of a study of two groups of three models."""
    study = create_or_extend(str(tmp_path_factory.mktemp("made")), "made", DESCRIBED)
    rng = np.random.default_rng(0)
    for architecture in ARCHITECTURES:
        for seed in range(SEEDS):
            config = TrialConfig(
                "digits", "f" * 64, architecture, weights_seed=seed, data_seed=seed
            )
            maps = rng.integers(0, 3, (PLANES, SIDE, SIDE)).astype(np.uint8)
            files = predictions(maps, config=config)
            study.commit(config, files, metrics={"test_accuracy": 0.9}, planes={"test": PLANES})
    write_planes(study, PLANES, rng)
    return study.location


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def test_a_study_and_its_copy_are_the_same_models(made, copy):
    one, two = open_study_folder(made), open_study_folder(str(copy))
    pairs, planes = compare_groups(read_side(one), read_side(two))
    assert {pair.label for pair in pairs} == set(ARCHITECTURES)
    for pair in pairs:
        assert pair.same_seed.value == 1
        assert (pair.change.value, pair.p_holm) == (0, 1)
        assert pair.within[0] == pair.within[1]
        assert pair.other_seed.value == pytest.approx(pair.within[0].value)
    assert planes == PLANES
    assert differences(read_side(one), read_side(two)) == []
    assert b"they are the same models" in build_comparison(one, two)


def test_the_shares_are_those_of_the_label_maps(made, copy):
    """Models are swapped in the copy, so that same seeds are other models."""
    one = open_study_folder(made)
    trials = {t.config.member: t for t in one.committed() if t.config.architecture == "vit"}
    swap(copy, trials["seed 0"].trial_id, trials["seed 1"].trial_id)
    two = open_study_folder(str(copy))
    pairs, planes = compare_groups(read_side(one), read_side(two))
    (found,) = [pair for pair in pairs if pair.label == "vit"]
    maps = [
        {
            t.config.member: read_label_maps(study, t, 0, planes)
            for t in study.committed()
            if t.config.architecture == "vit"
        }
        for study in (one, two)
    ]
    same = [(maps[0][s] == maps[1][s]).mean() for s in maps[0]]
    other = [(maps[0][s] == maps[1][t]).mean() for s in maps[0] for t in maps[1] if s != t]
    within = [(maps[0][s] == maps[0][t]).mean() for s in maps[0] for t in maps[0] if s < t]
    assert found.same_seed.value == pytest.approx(np.mean(same))
    assert found.other_seed.value == pytest.approx(np.mean(other))
    assert found.within[0].value == pytest.approx(np.mean(within))
    assert found.change.value == pytest.approx(0, abs=1e-12)


def test_models_on_their_way_are_not_compared(made, copy):
    """Early states of every training answer in another way, and change no number."""
    rng = np.random.default_rng(1)
    both = [read_side(open_study_folder(made)), read_side(open_study_folder(str(copy)))]
    before = compare_groups(*both)
    study = open_study_folder(str(copy))
    for trial in study.committed():
        config = replace(trial.config, stop_epoch=1)
        maps = rng.integers(0, 3, (PLANES, SIDE, SIDE)).astype(np.uint8)
        files = predictions(maps, config=config)
        study.commit(config, files, metrics={"test_accuracy": 0.1}, planes={"test": PLANES})
    assert compare_groups(both[0], read_side(study)) == before
    assert differences(both[0], read_side(study)) == []


def swap(study, a, b):
    """Give two trials each other's label maps, as if they had been trained so."""
    tops = [study / "trials" / trial for trial in (a, b)]
    name = "predictions.parquet"
    data = [(top / name).read_bytes() for top in tops]
    records = [json.loads((top / "committed.json").read_text()) for top in tops]
    files = [record["files"][name] for record in records]
    for top, record, theirs, file in zip(tops, records, data[::-1], files[::-1], strict=True):
        (top / name).write_bytes(theirs)
        record["files"][name] = file
        (top / "committed.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("section", "field", "value", "said"),
    [
        ("dataset", "fingerprint", "0" * 64, "data set"),
        ("planes", "seed", 7, "--plane-seed"),
        ("planes", "resolution", 12, "--resolution (10 there, 12 here)"),
    ],
)
def test_studies_that_cannot_be_compared_are_refused(made, copy, section, field, value, said):
    info = json.loads((copy / "study.json").read_text())
    info[section][field] = value
    (copy / "study.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="cannot be compared") as refused:
        build_comparison(open_study_folder(made), open_study_folder(str(copy)))
    assert said in str(refused.value)


def test_what_differs_is_listed(made, copy):
    info = json.loads((copy / "study.json").read_text())
    info["versions"]["torch"] = "99.0"
    (copy / "study.json").write_text(json.dumps(info))
    one = open_study_folder(made)
    before = one.info["versions"]["torch"]
    assert differences(read_side(one), read_side(open_study_folder(str(copy)))) == [
        ("versions torch", before, "99.0")
    ]


def test_the_command_writes_a_page_that_draws(made, copy, tmp_path):
    ended = run_without_ray("analysis/compare.py", made, str(copy), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "comparison: compare.html\n"
    with open_page(tmp_path / "compare.html") as page:
        assert page.drawn == 1
        assert page.complaints == []
        assert "they are the same models" in page.text
        assert page.width <= 1280
    html = (tmp_path / "compare.html").read_text()
    (data,) = re.findall(r'data-part="data">(.*?)</script>', html, re.DOTALL)
    explored = json.loads(data)
    assert sorted(explored["rows"]) == ["ResNet, copy", "ResNet, made", "ViT, copy", "ViT, made"]
    assert len(explored["models"]) == 2 * SEEDS * len(ARCHITECTURES)
    assert len(explored["slices"]) == PLANES
    ended = run_without_ray("analysis/compare.py", made, "nowhere/none", cwd=tmp_path)
    assert ended.returncode == 2
    assert "no study here" in ended.stderr
