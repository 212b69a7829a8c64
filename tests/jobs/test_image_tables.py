"""Tables of images and ensembles against what is stored, read by hand."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic_study import write_synthetic_study

from dbray import StudyResults
from dbray.config import TrialConfig
from dbray.jobs import answers, ensembles, score
from dbray.sources import share_nothing
from dbray.store.schemas import probabilities_from_table
from dbray.study.designs import design

GROUPS = {"resnet": 0.8, "vit": 0.6}


def scored(study):
    score(study, run=lambda tasks: (task.job.work(task.item) for task in tasks))
    return StudyResults(study.location)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_synthetic_study(
        tmp_path_factory.mktemp("runs"), groups=GROUPS, seeds=range(4), predictions=True
    )


@pytest.fixture(scope="module")
def found(study):
    return scored(study)


def stored(study, found, group):
    ids = sorted(found.trials.trial_id[found.trials.label == group])
    paths = [f"{study.location}/trials/{i}/test_predictions.parquet" for i in ids]
    return [pq.read_table(path) for path in paths]


@pytest.mark.parametrize("group", GROUPS)
def test_images_have_what_each_model_of_the_group_names(study, found, group):
    tables = stored(study, found, group)
    rows = found.images[found.images.group == group].set_index("image_id")
    assert rows.index.tolist() == tables[0]["image_id"].to_pylist()
    for at, (image, label) in enumerate(zip(rows.index, rows.label, strict=True)):
        named = [table["predicted"][at].as_py() for table in tables]
        row = rows.loc[image]
        assert dict(zip(row.classes, row.counts, strict=True)) == Counter(named)
        assert row.counts.tolist() == sorted(row.counts, reverse=True)
        assert row.share_right == pytest.approx(np.mean([name == label for name in named]))
        assert row.models == 4


def test_ensembles_of_one_and_of_all(study, found):
    rows = found.ensembles.set_index(["group", "measure", "size"])
    pairs = found.similarity.set_index(["trial_a", "trial_b"]).disagreement
    for group in GROUPS:
        tables = stored(study, found, group)
        labels = tables[0]["label"].to_numpy()
        together = np.mean([probabilities_from_table(table) for table in tables], axis=0)
        all_four = rows.loc[group, "accuracy", 4]
        assert all_four.value == pytest.approx((together.argmax(axis=1) == labels).mean())
        assert all_four.planes_only  # nothing is left when one is left out
        alone = [table["predicted"].to_numpy() == labels for table in tables]
        one = rows.loc[group, "accuracy", 1]
        assert one.value == pytest.approx(np.mean(alone))
        assert not one.planes_only
        assert rows.loc[group, "accuracy_gain", 4].value == pytest.approx(
            all_four.value - one.value
        )
        ids = set(found.trials.trial_id[found.trials.label == group])
        inside = [value for pair, value in pairs.items() if set(pair) <= ids]
        assert rows.loc[group, "churn", 1].value == pytest.approx(np.mean(inside))
        assert (group, "churn", 2) in rows.index
        assert (group, "churn", 4) not in rows.index  # that takes eight


def test_memory_does_not_change_what_is_found(study, found, monkeypatch):
    monkeypatch.setattr(ensembles, "WORKING_BYTES", 1)  # one image at a time
    again = scored(study).ensembles
    kept = found.ensembles
    assert again.value.tolist() == pytest.approx(kept.value.tolist(), rel=1e-12)
    assert again.value_low.tolist() == pytest.approx(kept.value_low.tolist(), nan_ok=True)


def test_no_ensembles_of_models_that_share_some_seeds():
    base = TrialConfig("d", "f", "resnet")
    trials = design(base, ("order", "bit"), 3)
    by = {varied: [c.seeds for c in trials if c.varied == varied] for varied in ("", "one bit")}
    assert share_nothing(by[""])
    assert share_nothing(by["one bit"])
    assert not share_nothing([c.seeds for c in trials if c.varied == "order alone"])
    sampled = [replace(base, sample_seed=seed).seeds for seed in (1, 2)]
    assert share_nothing(sampled)


def test_probabilities_are_read_some_images_at_a_time(study, found):
    trials = [t for t in study.committed() if t.config.architecture == "vit"]
    pieces = list(answers.read_probabilities(study, trials, 10, 4 * 10 * 4 * 3))
    assert [len(labels) for _, labels in pieces] == [3, 3, 3, 1]
    assert pieces[0][0].shape == (4, 3, 10)
    table = pa.table({"x": np.concatenate([labels for _, labels in pieces])})
    assert table["x"].to_pylist() == stored(study, found, "vit")[0]["label"].to_pylist()
