"""The randomness table is what its definitions give, pair by pair."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from tiny_study import described

from dbray import StudyResults
from dbray.config import NoiseConfig, TrainingConfig, TrialConfig
from dbray.errors import UserError
from dbray.jobs import score
from dbray.report.explorer.models import shown_models
from dbray.report.sections.randomness import (
    errors_section,
    randomness_findings,
    randomness_section,
)
from dbray.report.tables.score_tables import read_scores
from dbray.report.tables.tables import load_tables
from dbray.scores.randomness import pairs_by_design
from dbray.store import create_or_extend
from dbray.store.schemas import label_maps_table, parquet_bytes, predictions_table
from dbray.study.designs import design, one_alone, without_effect
from sweeps.randomness import Randomness, run

R, P, C, IMAGES, BASES = 6, 8, 4, 20, 3
SOURCES = ("weights", "order", "augmentation", "sample", "machine", "bit")
DESCRIBED = described(R, P, C, IMAGES, ["architecture", "varied"])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    study = create_or_extend(str(tmp_path_factory.mktemp("runs")), "study", DESCRIBED)
    base = TrialConfig("d", "f", "resnet")
    truth = np.random.default_rng(0).integers(0, C, IMAGES)
    for config in design(base, SOURCES, BASES):
        # Half of the points follow the weights, half all seeds at once, and a bit some of these.
        seeds = [*config.seeds.values(), int(config.one_bit)]
        own = np.random.default_rng([1, config.weights_seed]).integers(0, C, (P, R, R))
        mixed = np.random.default_rng([2, *seeds]).integers(0, C, (P, R, R))
        maps = np.where(np.random.default_rng(3).random((P, R, R)) < 0.5, own, mixed)
        table = label_maps_table(
            config.trial_id, range(P), maps.astype(np.uint8), classes=C, extent=0.1
        )
        shares = np.random.default_rng(seeds).dirichlet(np.ones(C), IMAGES).astype(np.float32)
        files = {
            "predictions.parquet": parquet_bytes(table),
            "test_predictions.parquet": parquet_bytes(
                predictions_table(np.arange(IMAGES), truth, shares)
            ),
        }
        metrics = {"test_accuracy": float((shares.argmax(axis=1) == truth).mean()), "parameters": 1}
        study.commit(config, files, metrics=metrics, planes={"test": P})
    score(study, run=lambda tasks: (task.job.work(task.item) for task in tasks))
    return study


NAMES = ("weights", "order", "augmentation", "dropout", "sample")


def what_differs(one, other):
    """What is different between two trials, as the table names it."""
    differ = {name for name in NAMES if one.seeds[name] != other.seeds[name]}
    bit, again = one.one_bit != other.one_bit, one.run != other.run
    if bit or again:
        return "nothing that counts" if differ or (bit and again) else "bit" if bit else "machine"
    if len(differ) == len(NAMES) - 1:
        return ("shared", *(set(NAMES) - differ))
    return {1: next(iter(differ), ""), len(NAMES): "all"}.get(len(differ), "some")


def pairs_of(study):
    """Disagreement of every two trials, by what differs between them."""
    found = StudyResults(study.location)
    trials = {trial.trial_id: trial.config for trial in study.committed()}
    maps = {trial_id: found.label_maps(trial_id) for trial_id in trials}
    values: dict[object, list[float]] = {}
    for a, b in combinations(sorted(trials), 2):
        values.setdefault(what_differs(trials[a], trials[b]), []).append(
            float((maps[a] != maps[b]).mean())
        )
    return values


def test_shares_are_those_of_pairs_one_by_one(study):
    values, rows = pairs_of(study), StudyResults(study.location).randomness.set_index("source")
    together = np.mean(values["all"])
    for source in rows.index:
        alone = np.mean(values[source])
        assert rows.disagreement[source] == pytest.approx(alone)
        if source != "all":
            assert rows.total_share[source] == pytest.approx(alone / together)
        if ("shared", source) in values:
            first = 1 - np.mean(values["shared", source]) / together
            assert rows.first_order_share[source] == pytest.approx(first)
    assert rows.disagreement["machine"] == 0
    assert rows.total_share["weights"] > 0.9
    assert 0.4 < rows.total_share["order"] < 0.6
    assert (rows.bases == BASES).all()


def test_errors_are_those_of_pairs_that_share_no_seed(study):
    trials = {trial.trial_id: trial for trial in study.committed()}
    tables = {i: study.read_table(f"trials/{i}/test_predictions.parquet") for i in trials}
    predicted = {i: table["predicted"].to_numpy() for i, table in tables.items()}
    pairs = [
        (a, b)
        for a, b in combinations(sorted(trials), 2)
        if what_differs(trials[a].config, trials[b].config) == "all"
    ]
    (row,) = read_scores(study, "errors").to_dict("records")
    assert (row["architecture"], row["pairs"], row["bases"]) == ("resnet", len(pairs), BASES)
    errors = [1 - trials[i].metrics["test_accuracy"] for pair in pairs for i in pair]
    assert row["error"] == pytest.approx(np.mean(errors))
    apart = [(predicted[a] != predicted[b]).mean() for a, b in pairs]
    assert row["disagreement"] == pytest.approx(np.mean(apart))
    assert row["error_low"] < row["error"] < row["error_high"]
    slope, _ = np.polyfit(np.mean(np.reshape(errors, (-1, 2)), axis=1), apart, 1)
    assert row["slope"] == pytest.approx(slope)


def test_claims_and_page(study):
    claims = StudyResults(study.location).claims.set_index("claim")
    assert claims.outcome["R1"] in ("holds", "cannot be told")  # order is made to be one half
    assert "Each source of randomness alone" in claims.statement["R1"]
    tables = load_tables(study)
    section = randomness_section(tables)
    assert "ResNet: each source alone gives" in section.figures[0].caption
    assert section.tables[0].rows[0][1] == "everything"
    assert len(section.tables[0].rows) == 1 + len(SOURCES)
    said = errors_section(read_scores(study, "errors"), tables)
    (points,) = [
        rows
        for rows in json.loads(said.figures[0].spec)["datasets"].values()
        if "disagreement" in rows[0]
    ]
    assert str(len(points)) == said.tables[0].rows[0][-1]  # the table's pairs, and no others
    assert [row[0] for row in said.tables[0].rows] == ["ResNet"]
    assert section.figures[0].spec
    found = randomness_findings(tables)
    assert found[0].meaning.startswith("of points differ between two trainings")
    assert "last bit of one weight" in found[-1].meaning


def test_the_explorer_says_of_a_source_what_it_does_alone(study):
    """The trials of such a group come from several bases, and differ in more than the source."""
    tables, values = load_tables(study), pairs_of(study)
    shown, _ = shown_models(tables)
    groups = dict(zip(shown.rows, shown.groups, strict=True))
    for name, source in (("order alone", "order"), ("one bit", "bit"), ("again", "machine")):
        group = groups[f"ResNet / {name}"]
        assert group["mixed"]
        assert group["agreement"].startswith(f"{1 - np.mean(values[source]):.2f} [")
    assert not groups["ResNet"]["mixed"]


def test_a_study_of_nothing_is_refused(tmp_path):
    options = Randomness(arch=("resnet",), sources=("noise", "dropout"), storage=str(tmp_path))
    with pytest.raises(
        UserError, match="--sources noise dropout: resnet has nothing of it to vary"
    ):
        run(options)
    assert list(tmp_path.iterdir()) == []


def test_a_design_trains_each_trial_once_and_grows():
    base = TrialConfig("d", "f", "resnet")
    few, more = design(base, SOURCES, 2), design(base, SOURCES, 3)
    assert len(set(few)) == len(few) == 2 + 4 * 2 + 2 * 2
    assert len(set(more)) == len(more) == 3 + 4 * 6 + 2 * 3
    assert set(few) < set(more)
    assert len({config.trial_id for config in more}) == len(more)
    assert {config.varied for config in more} == {
        "",
        *(f"{source} alone" for source in SOURCES[:4]),
        *("again", "one bit"),
    }


def test_one_source_alone_has_a_group_of_its_own():
    base = TrialConfig("d", "f", "resnet")
    weights, sample = (one_alone(base, source, 2) for source in ("weights", "sample"))
    assert [config.seeds for config in weights] == [
        {"weights": 1, "order": 0, "augmentation": 0, "dropout": 0},
        {"weights": 2, "order": 0, "augmentation": 0, "dropout": 0},
    ]
    assert [config.sample_seed for config in sample] == [1, 2]
    assert {config.varied for config in weights} == {"weights alone"}


def test_sources_that_a_training_lacks():
    from torch import nn

    plain = TrialConfig("d", "f", "x", training=TrainingConfig(crop_padding=0, flip=False))
    assert set(without_effect(plain, nn.Linear(2, 2))) == {"augmentation", "dropout", "noise"}
    noisy = replace(plain, noise=NoiseConfig(0.2))
    dropping = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1))
    assert set(without_effect(noisy, dropping)) == {"augmentation"}
    mixed = replace(noisy, training=replace(plain.training, mixup=0.1))
    assert set(without_effect(mixed, nn.Dropout(0.0))) == {"dropout"}


def test_which_labels_are_wrong_is_a_source_where_some_are():
    base = TrialConfig("d", "f", "resnet", noise=NoiseConfig(0.2))
    found = design(base, ("order", "noise"), 2)
    assert len(set(found)) == 2 + 2 * 2
    alone = [config for config in found if config.varied == "noise alone"]
    assert {(config.weights_seed, config.noise.seed) for config in alone} == {(0, 1), (1, 0)}
    assert [config.seeds["noise"] for config in found if config.varied == ""] == [0, 1]
    pairs = pairs_by_design([config.seeds for config in found], [{}] * len(found))
    assert len(pairs["all", ""]) == 1 + 2  # the bases; an order with the noise of the other base
    assert [config.noise.seed for config in one_alone(base, "noise", 2)] == [1, 2]
    assert "noise" not in TrialConfig("d", "f", "resnet").seeds
    assert len({config.member for config in found}) == len(found)
