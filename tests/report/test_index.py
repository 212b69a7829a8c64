"""One page over all studies of a storage location."""

import html
import json
import time
from dataclasses import replace

import pytest
from browser import blank_page
from synthetic_study import write_synthetic_study
from tiny_study import CONFIG, DESCRIBED, labels, predictions

from dbray.errors import UserError
from dbray.report import LIVE, write_index, write_live, write_report
from dbray.store import create_or_extend
from dbray.study.live import live_page

HOSTILE = "</style><script>alert(1)</script>"


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """Two studies, one of them without a page, a third that cannot be read, and no study.

    The first has looked at its trainings on the way, too, which is in none of its numbers.
    """
    top = tmp_path_factory.mktemp("studies")
    groups = {"resnet": 0.85, "vgg": 0.8, "vit": 0.6}
    made = write_synthetic_study(top, "first", groups=groups, resolution=10, epochs=2, stops=(1,))
    write_report(made)
    options = {"resolution": 10, "epochs": 2, "title": HOSTILE, "failures": ("vit",)}
    other = write_synthetic_study(top, "second", groups={"vit": 0.6}, **options)
    other.folder.delete("scores/agreement_by_group.parquet")
    for name, text in (("damaged", "{"), ("other", "")):
        (top / name).mkdir()
        (top / name / ("study.json" if text else "notes.txt")).write_text(text)
    return top


@pytest.fixture(scope="module")
def page(storage):
    location = write_index(str(storage))
    assert location == f"{storage}/index.html"
    return html.unescape((storage / "index.html").read_text())


def test_each_study_has_its_question_data_result_state_and_date(page):
    assert "digits, 120 planes, 3 groups, 9 trials · 2025-01-02 03:04" in page
    assert "Agreement between seeds: ViT 0.600 [" in page
    assert "] to ResNet 0.850 [" in page
    assert "Claims: C1 " in page
    for state in ("finished", "1 trials failed; not scored yet", "cannot be read: "):
        assert f'<p class="note">{state}' in page
    assert "<h2>other" not in page


def test_a_study_of_which_no_training_has_ended_says_so(tmp_path):
    study = create_or_extend(str(tmp_path), "early", DESCRIBED | {"title": "A study"})
    early = replace(CONFIG, stop_epoch=1)
    files = predictions(labels(), config=early)
    study.commit(early, files, metrics={"test_accuracy": 0.9}, planes={"test": 3})
    write_index(str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    assert "digits, 3 planes, 0 groups, 0 trials" in page
    assert '<p class="note">no finished trial yet' in page


def test_a_study_is_linked_where_it_has_a_page(page):
    assert 'href="first/report/index.html">Architectures and seeds' in page
    assert "second/report" not in page


def test_the_page_in_a_browser(storage, page):
    assert page
    said = []
    with blank_page(390) as window:
        window.on("console", lambda message: said.append(message.text))
        window.on("request", lambda request: said.append(request.url))
        window.goto((storage / "index.html").as_uri())
        assert window.locator("h2").all_inner_texts()[:2] == ["Architectures and seeds", HOSTILE]
        assert window.locator("img").count() == 2
        assert window.evaluate("document.documentElement.scrollWidth") <= 390
        assert [url for url in said if not url.startswith("data:")] == [
            (storage / "index.html").as_uri()
        ]
        window.get_by_role("link").click()
        window.wait_for_selector("#explorer[data-shown]")


def test_a_place_without_studies_is_refused(tmp_path):
    (tmp_path / "study.json").write_text(json.dumps({}))
    with pytest.raises(UserError, match="no study here"):
        write_index(str(tmp_path))


def test_a_live_page_shows_what_is_there_and_what_is_missing(tmp_path):
    """Without any score; and it goes when the work is done."""
    made = write_synthetic_study(tmp_path, groups={"vit": 0.7}, resolution=10, epochs=2)
    for path in list(made.folder.files("scores")):
        made.folder.delete(path)
    ids = [trial.trial_id for trial in made.committed()]
    asked = {ids[0]: "ViT, seed 0", "0" * 12: "ViT, seed 7"}
    said = []
    with live_page(made, asked, said.append, every=0.05):
        path = tmp_path / "synthetic" / LIVE
        until = time.monotonic() + 60
        while not path.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        written = path.read_text()
    page = html.unescape(written)
    assert said == [f"live: {path}"]
    assert not path.exists()
    assert "3 trials are finished, 1 are missing, which may take" in page
    assert "<td>ViT, seed 7</td>" in page
    assert "<td>ViT, seed 0</td>" not in page
    assert '<meta http-equiv="refresh" content="60">' in page
    copy = tmp_path / "copy.html"
    copy.write_text(written)
    with blank_page() as window:
        window.goto(copy.as_uri())
        window.wait_for_selector("#explorer[data-shown]")
        assert window.locator("#explorer .maps .map").count() == 3


def test_a_live_page_of_no_trial_yet(tmp_path):
    study = create_or_extend(str(tmp_path), "empty", DESCRIBED | {"title": "A study"})
    write_live(study, {"0" * 12: "ViT, seed 0"}, time.time())
    page = study.folder.read(LIVE).decode()
    assert "0 trials are finished, 1 are missing." in page
    assert 'id="explorer"' not in page
