"""Agreement along the training is that of label maps compared by hand; ends alone are scored."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from tiny_study import described

from dbray import StudyResults
from dbray.config import TrainingConfig, TrialConfig
from dbray.jobs import score
from dbray.report.sections.along_training import along_section
from dbray.report.tables.score_tables import read_scores
from dbray.report.tables.tables import load_tables
from dbray.store import create_or_extend
from dbray.store.schemas import label_maps_table, parquet_bytes
from dbray.study.grid import with_stops

R, P, C, EPOCHS = 6, 20, 4, 8
DESCRIBED = described(R, P, C, 20, ["architecture"])
BASE = TrialConfig("d", "f", "resnet", training=TrainingConfig(epochs=EPOCHS))
SEEDS = [replace(BASE, weights_seed=seed, data_seed=seed) for seed in range(3)]


def maps_of(config):
    """Until its last epoch, a training has moved so far from what all have to what it ends as."""
    common = np.random.default_rng(0).integers(0, C, (P, R, R))
    own = np.random.default_rng([1, config.weights_seed]).integers(0, C, (P, R, R))
    moved = np.random.default_rng([2, config.weights_seed]).random((P, R, R))
    return np.where(moved < config.last_epoch / EPOCHS, own, common).astype(np.uint8)


def commit(study, configs):
    for config in configs:
        table = label_maps_table(config.trial_id, range(P), maps_of(config), classes=C, extent=0.1)
        files = {"predictions.parquet": parquet_bytes(table)}
        metrics = {"test_accuracy": 0.5, "parameters": 1}
        study.commit(config, files, metrics=metrics, planes={"test": P})
    score(study, run=lambda tasks: (task.job.work(task.item) for task in tasks))


@pytest.fixture
def study(tmp_path):
    return create_or_extend(str(tmp_path), "study", DESCRIBED)


def test_agreement_between_seeds_and_with_the_own_end(study):
    commit(study, with_stops(SEEDS, [2, 4, 30], print))
    rows = read_scores(study, "along_training").set_index(["measure", "epoch"])
    assert set(rows.index) == {
        *(("between seeds", epoch) for epoch in (2, 4, 8)),
        *(("own end", epoch) for epoch in (2, 4)),
    }
    for (measure, epoch), row in rows.iterrows():
        at = [maps_of(replace(config, stop_epoch=epoch)) for config in SEEDS]
        if measure == "own end":
            each = [(a == maps_of(config)).mean() for a, config in zip(at, SEEDS, strict=True)]
        else:
            each = [(a == b).mean() for a, b in combinations(at, 2)]
        assert row.value == pytest.approx(np.mean(each))
        assert row.value_low < row.value < row.value_high
        assert (row.group, row.trials, row.planes) == ("resnet", 3, P)
    said = along_section(read_scores(study, "along_training"), load_tables(study))
    assert said.figures[0].spec
    assert (
        "At epoch 2 of 8, a model of ResNet agrees with its own end on" in said.figures[0].caption
    )


def test_other_scores_are_of_the_ends_alone_and_stay_what_they_were(study):
    commit(study, SEEDS)
    before = {name: read_scores(study, name) for name in ("agreement", "agreement_by_group")}
    assert not len(read_scores(study, "along_training"))
    commit(study, with_stops(SEEDS, [4], print))
    for name, frame in before.items():
        assert frame.equals(read_scores(study, name))
    assert len(StudyResults(study.location).trials) == 3
    tables = load_tables(study)
    assert len(tables.trials) == 3
    assert tables.stale == []


def test_stops_come_before_their_ends_which_keep_their_ids():
    said = []
    found = with_stops(SEEDS, [2, 8, 9], said.append)
    assert said == ["--stop-epochs 9: no training is that long; they have 8 epochs"]
    assert [config.stop_epoch for config in found] == [2, None] * 3
    assert [config for config in found if config.stop_epoch is None] == SEEDS
