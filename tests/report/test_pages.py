"""A page is made again when, and only when, something that it is made of has changed."""

import shutil
from pathlib import Path

import pytest
from synthetic_study import write_synthetic_study

from dbray.report import write_report
from dbray.store import Study, open_study, pages
from dbray.store.pages import is_up_to_date, page_inputs

GROUPS = {"vit": 0.7, "vgg": 0.8}


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A small study with its page; tests change a copy."""
    storage = tmp_path_factory.mktemp("reported")
    study = write_synthetic_study(storage, groups=GROUPS, seeds=(0, 1), resolution=10, epochs=2)
    return Path(write_report(study)).parents[2]


def fresh(study: Study, *, confidence: bool = False) -> bool:
    return is_up_to_date(study, page_inputs(study, confidence=confidence))


@pytest.fixture
def study(reported):
    return open_study(str(reported), "synthetic")


def changed(reported, change):
    """Whether the page is up to date after a change, which is then taken back."""
    folder, kept = reported / "synthetic", reported / "kept"
    shutil.copytree(folder, kept)
    try:
        change(folder)
        return not fresh(open_study(str(reported), "synthetic"))
    finally:
        shutil.rmtree(folder)
        kept.rename(folder)


def test_a_page_that_was_just_written_is_up_to_date_and_would_be_the_same(reported, study):
    page = (reported / "synthetic" / pages.REPORT).read_bytes()
    assert fresh(study)
    write_report(study)
    assert (reported / "synthetic" / pages.REPORT).read_bytes() == page


@pytest.mark.parametrize(
    "path", ["study.json", "scores/similarity.parquet", "anchors.parquet", pages.REPORT]
)
def test_a_changed_file_is_noticed(reported, path):
    def change(folder):
        data = (folder / path).read_bytes()
        at = data.index(b"synthetic") if b"synthetic" in data else len(data) // 2
        (folder / path).write_bytes(data[:at] + b"S" + data[at + 1 :])

    assert changed(reported, change)


def test_a_trial_that_goes_or_fails_is_noticed(reported):
    trial = next((reported / "synthetic" / "trials").iterdir()).name
    assert changed(reported, lambda folder: shutil.rmtree(folder / "trials" / trial))
    for name in ("committed.json", "history.parquet"):
        assert changed(reported, lambda folder, n=name: (folder / "trials" / trial / n).unlink())


def test_a_page_that_is_missing_or_from_before_is_made(reported):
    assert changed(reported, lambda folder: (folder / pages.REPORT).unlink())
    assert changed(reported, lambda folder: (folder / pages.REPORT).write_text("<html></html>"))
    assert changed(reported, lambda folder: (folder / pages.REPORT).write_text(""))


def test_other_options_places_and_versions_are_noticed(reported, study, tmp_path, monkeypatch):
    assert not fresh(study, confidence=True)
    shutil.copytree(reported, tmp_path / "moved")
    assert not fresh(open_study(str(tmp_path / "moved"), "synthetic"))
    monkeypatch.setattr(pages, "_code", lambda: "another version")
    assert not fresh(study)
