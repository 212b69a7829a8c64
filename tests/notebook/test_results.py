"""A finished study in a notebook: frames and arrays, without Ray and without torch."""

import subprocess
import sys

import numpy as np
import pytest
from synthetic_study import ARCHITECTURES, write_synthetic_study

from dbray import StudyResults
from dbray.errors import UserError
from dbray.store import read_label_maps
from dbray.store.score_schemas import SCORE_TABLES


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_synthetic_study(tmp_path_factory.mktemp("results"), resolution=12)


def test_every_table_is_a_frame_with_its_columns(study):
    found = StudyResults(study.location)
    for name, schema in SCORE_TABLES.items():
        frame = getattr(found, name)
        assert list(frame.columns) == schema.names
        assert len(frame) == study.read_table(f"scores/{name}.parquet").num_rows
        assert name in dir(found)
    with pytest.raises(AttributeError, match="no 'agreements'; the score tables are agreement,"):
        _ = found.agreements


def test_trials_and_claims(study):
    found = StudyResults(study.location)
    assert set(found.trials.label) == set(ARCHITECTURES)
    assert len(found.trials) == 3 * len(ARCHITECTURES)
    outcomes = dict(zip(found.claims.claim, found.claims.outcome, strict=True))
    assert outcomes == {
        "C1": "does not hold",
        "C2": "holds",
        "C3": "cannot be told",
        "C4": "does not hold",
    }
    assert "21 trials, 7 groups" in repr(found)
    assert "does not hold" in found._repr_html_()
    assert len(found.planes()) == 3
    assert found.planes().coordinates[0].shape == (3, 2)


def test_label_maps_are_those_that_are_stored(tmp_path):
    from width_study import grid, write_width_study  # a study that has labelled score planes

    from dbray.datasets import load_dataset

    digits = load_dataset("digits")
    configs = grid(digits, widths=(2,), noises=(None,), seeds=(0,), stops=(None,))
    study = write_width_study(tmp_path, digits, configs)
    found, (trial,) = StudyResults(tmp_path / "widths"), study.committed()
    maps = found.label_maps(trial.trial_id)
    assert maps.shape == (4, 12, 12)
    assert np.array_equal(maps, read_label_maps(study, trial, 0, 4))
    with pytest.raises(UserError, match="no planes of kind 'uniform'; it has test, train"):
        found.label_maps(trial.trial_id, "uniform")
    with pytest.raises(UserError, match="no finished trial 0000"):
        found.label_maps("0000")


def test_what_is_no_study_is_said(tmp_path):
    with pytest.raises(UserError, match="no study here"):
        StudyResults(tmp_path)


def test_neither_ray_nor_torch_is_loaded(study):
    code = (
        "import sys\nfrom dbray import StudyResults\n"
        f"found = StudyResults({study.location!r})\nfound.claims, found.agreement\n"
        "print({'ray', 'torch'} & set(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.stdout.strip() == "set()", ended.stderr
