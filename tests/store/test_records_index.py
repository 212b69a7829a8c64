"""The index of trials' records: it changes no answer, and spares an object store requests."""

import contextlib
import dataclasses
import os
import shutil
import time
from pathlib import Path

import pytest
from object_stores import Proxy, environment, rclone
from tiny_study import CONFIG, DESCRIBED, commit, top

from dbray.config import canonical_json, stored_config
from dbray.store import create_or_extend, open_study

INDEX = "trials/index.parquet"
NAMED = ("history.parquet", "pictures.parquet", "predictions.parquet", "test_predictions.parquet")


def fill(study, trials):
    """Trials of other seeds, like one that was committed, with records of a while ago."""
    commit(study, dict.fromkeys(NAMED, b"some"))
    record = (top(study) / "committed.json").read_text()
    for seed in range(1, trials):
        config = dataclasses.replace(CONFIG, weights_seed=seed)
        folder = top(study).with_name(config.trial_id)
        shutil.copytree(top(study), folder)
        (folder / "config.json").write_text(canonical_json(stored_config(config)))
        (folder / "committed.json").write_text(record.replace(CONFIG.trial_id, config.trial_id))
    age(study)


def age(study, seconds=60):
    """As if the records were written a while ago, at whole seconds, which all storage can tell."""
    for path in Path(study.location).glob("trials/*/*.json"):
        os.utime(path, (int(time.time()) - seconds,) * 2)


def plain_inventory(study):
    """What there is without an index."""
    kept = study.folder.read(INDEX)
    study.folder.delete(INDEX)
    found = study.inventory()
    study.folder.write(INDEX, kept)
    return found


def indexed(study):
    return {row["path"] for row in study.read_table(INDEX).to_pylist()}


@pytest.fixture
def filled(study):
    fill(study, 12)
    failed = dataclasses.replace(CONFIG, weights_seed=99)
    study.record_failure(failed, "the loss became nan")
    age(study)
    study.refresh_index()
    return study


def rewritten(path, text):
    """Another record of the same length, in the file's place."""
    before = path.stat()
    data = path.read_bytes()
    assert len(data) == len(data.replace(*text))
    path.write_bytes(data.replace(*text))
    return before


def test_what_the_index_says_is_what_the_records_say(filled):
    assert len(indexed(filled)) == 2 * 13
    found = filled.inventory()
    assert len(found.committed) == 12
    assert [trial.reason for trial in found.failed] == ["the loss became nan"]
    assert found == plain_inventory(filled)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:99] + b"\x00\xff" + data[101:],
        lambda data: data[: len(data) // 2] + b"\x00\xff" + data[len(data) // 2 + 2 :],
        lambda data: b"no Parquet",
    ],
)
def test_an_index_that_is_no_index_is_passed_over_and_written_again(filled, wrong):
    whole = filled.folder.read(INDEX)
    expected = filled.inventory()
    filled.write_bytes(INDEX, wrong(whole))
    assert filled.inventory() == expected
    filled.refresh_index()
    assert filled.folder.read(INDEX) == whole


def test_an_index_of_another_study_is_passed_over(filled, tmp_path):
    other = create_or_extend(str(tmp_path), "other", DESCRIBED)
    fill(other, 12)
    age(other, seconds=90)
    record = top(other) / "committed.json"
    record.write_bytes(record.read_bytes().replace(b"0.9", b"0.1"))
    shutil.copy(Path(filled.location) / INDEX, Path(other.location) / INDEX)
    assert other.inventory() == plain_inventory(other)
    assert {trial.metrics["test_accuracy"] for trial in other.committed()} == {0.1, 0.9}


def test_a_table_in_the_place_of_the_index_is_passed_over(filled):
    expected = filled.inventory()
    filled.write_bytes(INDEX, filled.folder.read(f"trials/{CONFIG.trial_id}/history.parquet"))
    assert filled.inventory() == expected


def test_a_trial_is_there_if_its_commit_is_whatever_the_index_says(filled):
    filled.discard(CONFIG.trial_id)
    assert f"trials/{CONFIG.trial_id}/committed.json" in indexed(filled)
    assert CONFIG.trial_id not in {trial.trial_id for trial in filled.committed()}
    shutil.rmtree(top(filled))
    assert filled.inventory() == plain_inventory(filled)


def test_a_record_that_has_changed_is_read_again(filled):
    rewritten(top(filled) / "committed.json", (b"0.9", b"0.7"))
    (trial,) = [trial for trial in filled.committed() if trial.trial_id == CONFIG.trial_id]
    assert trial.metrics == {"test_accuracy": 0.7}
    rewritten(top(filled) / "config.json", (b"resnet", b"vgg\\n "))
    assert CONFIG.trial_id in filled.inventory().damaged


def test_a_record_that_may_still_change_unseen_is_not_copied(study):
    """A commit, a look at it and another commit, all within a tick of the storage's clock."""
    fill(study, 12)
    record = top(study) / "committed.json"
    record.touch()
    study.refresh_index()
    assert len(indexed(study)) == 2 * 12 - 1
    before = rewritten(record, (b"0.9", b"0.7"))
    os.utime(record, ns=(before.st_atime_ns, before.st_mtime_ns))
    (trial,) = [trial for trial in study.committed() if trial.trial_id == CONFIG.trial_id]
    assert trial.metrics == {"test_accuracy": 0.7}


def test_an_older_index_in_the_place_of_a_newer_costs_nothing_but_requests(filled):
    """Of two commands, the one that looked first may write last."""
    older = filled.folder.read(INDEX)
    filled.discard(CONFIG.trial_id)
    commit(filled, metrics={"test_accuracy": 0.5})
    age(filled, seconds=30)
    filled.refresh_index()
    assert filled.folder.read(INDEX) != older
    filled.write_bytes(INDEX, older)
    assert filled.inventory() == plain_inventory(filled)
    assert 0.5 in {trial.metrics["test_accuracy"] for trial in filled.committed()}


def test_few_records_make_no_index(study):
    fill(study, 8)
    study.refresh_index()
    assert not study.folder.exists(INDEX)


def test_a_resume_check_of_a_thousand_trials_takes_a_handful_of_requests(tmp_path, monkeypatch):
    """A listing shows a thousand files a page, and these trials have 6,000."""
    here = create_or_extend(str(tmp_path / "studies"), "study", DESCRIBED)
    fill(here, 1000)
    here.refresh_index()
    with rclone(tmp_path) as url, contextlib.closing(Proxy(url)) as front:
        for name, value in environment(front.url).items():
            monkeypatch.setenv(name, value)
        study = open_study("s3://studies", "study")
        front.requests.clear()
        found = study.inventory()
        assert len(front.requests) <= 7 + 4
        assert len(found.committed) == 1000
        study.write_bytes(INDEX, b"torn")
        front.requests.clear()
        assert study.inventory() == found
        assert 4 * 1000 <= len(front.requests) <= 4 * 1000 + 7 + 4
