"""A page of very many groups shows some of them and says so; it reads no more than it shows."""

import re
import shutil

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_study import write_synthetic_study

from dbray.report import build_report, report
from dbray.report.tables import selection
from dbray.report.tables.score_tables import read_fragmentation, read_pairs, read_scores
from dbray.report.tables.selection import MAX_ROWS, first_of_groups, shown_labels, thinned
from dbray.report.tables.tables import load_tables
from dbray.store import open_study_folder
from dbray.store.schemas import parquet_bytes

GROUPS = {"vit": 0.5, "resnet": 0.8, "vgg": 0.9, "fcnet": 0.7, "mixer": 0.6}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_synthetic_study(tmp_path_factory.mktemp("made"), groups=GROUPS, resolution=10)


def test_the_page_shows_groups_from_the_most_to_the_least_reproducible(study, monkeypatch):
    whole = load_tables(study)
    monkeypatch.setattr(selection, "GROUPS_SHOWN", 3)
    tables = load_tables(study)
    ranked = whole.inside.sort_values("agreement", ascending=False).group_a
    assert tables.shown == [ranked.iloc[place] for place in (0, 2, 4)]
    # Findings and claims are about all of them.
    assert len(tables.groups) == len(whole.groups)
    page = build_report(study).decode()
    assert f"{len(whole.trials)} models in 5 groups" in page
    assert "show 3 of the groups" in page


def test_pictures_are_of_some_groups_and_the_page_says_so(study, monkeypatch):
    monkeypatch.setattr(report, "GROUPS_PICTURED", 2)
    page = build_report(study).decode()
    assert "Only 2 of the groups are shown" in page
    named = set(re.findall(r'"group": "([^"]+)", "model"', page))
    assert len(named) == 2
    assert 'id="agreement-within"' in page


@given(st.integers(1, 200), st.integers(1, 5000))
def test_groups_are_evenly_spaced_and_hold_both_ends(count, trials):
    labels = [f"g{i}" for i in range(count)]
    frame = pd.DataFrame({"label": [labels[i % count] for i in range(max(trials, count))]})
    groups = pd.DataFrame(
        {"group_a": labels, "group_b": labels, "agreement": [i / count for i in range(count)]}
    )
    shown = shown_labels(frame, groups)
    assert len(shown) == min(count, selection.GROUPS_SHOWN) == len(set(shown))
    assert shown[0] == labels[-1]
    assert shown[-1] == (labels[0] if count > 1 else labels[-1])
    kept = first_of_groups(frame, 100)
    assert kept.label.nunique() == count
    assert kept.groupby("label").size().max() <= max(2, 100 // count + 1)
    assert len(thinned(frame)) <= MAX_ROWS


def test_pieces_of_tables_are_what_the_whole_tables_say(study, monkeypatch):
    monkeypatch.setattr("dbray.report.tables.score_tables.ROWS_AT_ONCE", 7)
    trials = load_tables(study).trials
    kept = trials.groupby("label").head(2)
    compared = kept.head(3)
    label = dict(zip(trials.trial_id, trials.label, strict=True))
    every = read_scores(study, "agreement")
    a, b = every.trial_a, every.trial_b
    inside = a.isin(kept.trial_id) & b.isin(kept.trial_id) & (a.map(label) == b.map(label))
    across = a.isin(compared.trial_id) & b.isin(compared.trial_id)
    found = read_pairs(study, "agreement", kept, compared)
    pd.testing.assert_frame_equal(found, every[inside | across].reset_index(drop=True))
    fragments = read_scores(study, "fragmentation").groupby(["trial_id", "kind"]).components
    means = read_fragmentation(study).set_index(["trial_id", "kind"])
    for key, value in fragments.mean().items():
        assert means.components[key] == pytest.approx(value, abs=1e-12)
        assert means.planes[key] == fragments.size()[key]


def test_a_page_says_when_its_scores_are_of_other_trials(study, tmp_path):
    copy = open_study_folder(str(shutil.copytree(study.location, tmp_path / "copy")))
    assert b"out of date" not in build_report(copy)
    table = copy.read_table("scores/agreement.parquet").replace_schema_metadata({"inputs": "0"})
    copy.write_bytes("scores/agreement.parquet", parquet_bytes(table))
    page = build_report(copy)
    assert b"These scores are out of date (agreement): " in page
    assert b"Run the study&#39;s command again" in page
