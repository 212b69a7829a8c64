"""Score jobs on real Ray: tables equal to brute force, whatever way the work is cut."""

import itertools

import numpy as np
import pytest
import ray

from dbray import jobs
from dbray.config import TrialConfig
from dbray.jobs import agreement, pairs
from dbray.store import create_or_extend
from dbray.store.schemas import label_maps_table, parquet_bytes
from dbray.sweep import ray_session

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own

R, P, C = 6, 9, 4
GROUPS = {"vit": 2, "resnet": 3, "vgg": 1}


@pytest.fixture(scope="module")
def local_ray():
    with ray_session():
        yield


@pytest.fixture
def study(tmp_path):
    described = {
        "dataset": {"class_names": [str(c) for c in range(C)]},
        "planes": {"resolution": R, "counts": {"test": P, "train": 4}},
        "pictures": {"plane_ids": []},
        "group_by": ["architecture"],
    }
    study = create_or_extend(str(tmp_path), "study", described)
    rng = np.random.default_rng(0)
    common = rng.integers(0, C, (P + 4, R, R))
    for name, seeds in GROUPS.items():
        for seed in range(seeds):
            noise = rng.random(common.shape) < 0.4
            maps = np.where(noise, rng.integers(0, C, common.shape), common).astype(np.uint8)
            config = TrialConfig("d", "f", name, weights_seed=seed)
            ids = [*range(P), *range(1_000_000, 1_000_004)]
            table = label_maps_table(config.trial_id, ids, maps, classes=C, extent=0.1)
            files = {"predictions.parquet": parquet_bytes(table)}
            study.commit(config, files, metrics={}, planes={"test": P, "train": 4})
            MAPS[config.trial_id] = maps
    return study


MAPS = {}


def table_bytes(study):
    return {name: study.folder.read(f"scores/{name}.parquet") for name in jobs.TABLES}


def test_pairs_equal_brute_force(local_ray, study):
    jobs.score(study)
    rows = study.read_table("scores/agreement.parquet").to_pylist()
    ids = [trial.trial_id for trial in study.committed()]
    assert len(rows) == 2 * len(list(itertools.combinations(ids, 2)))
    for row in rows:
        part = slice(0, P) if row["kind"] == "test" else slice(P, None)
        a, b = MAPS[row["trial_a"]][part], MAPS[row["trial_b"]][part]
        assert row["agreements"] == (a == b).sum()
        assert row["points"] == a.size
        assert row["planes"] == len(a)
        assert row["agreement"] == (a == b).mean()
        observed = (a == b).mean()
        expected = sum((a == c).mean() * (b == c).mean() for c in range(C))
        assert row["kappa"] == pytest.approx((observed - expected) / (1 - expected), abs=1e-12)
        jaccard = [((a == c) & (b == c)).sum() / ((a == c) | (b == c)).sum() for c in range(C)]
        assert row["jaccard"] == pytest.approx(np.mean(jaccard), abs=1e-12)


def test_groups_are_means_of_their_pairs(local_ray, study):
    jobs.score(study)
    pairs_table = study.read_table("scores/agreement.parquet").to_pandas()
    groups = study.read_table("scores/agreement_by_group.parquet").to_pandas()
    name = {t.trial_id: t.config["architecture"] for t in study.committed()}
    named = [
        tuple(sorted((name[a], name[b])))
        for a, b in zip(pairs_table.trial_a, pairs_table.trial_b, strict=True)
    ]
    expected = pairs_table.assign(pair=named).groupby(["kind", "pair"])
    assert len(groups) == 2 * 5  # one trial of vgg has no pair within
    for row in groups.itertuples():
        found = expected.get_group((row.kind, (row.group_a, row.group_b)))
        assert row.pairs == len(found)
        for measure in ("agreement", "kappa", "jaccard"):
            assert getattr(row, measure) == pytest.approx(found[measure].mean(), abs=1e-12)
        assert 0 <= row.low <= row.agreement <= row.high <= 1


def test_every_cut_of_the_work_gives_the_same_bytes(local_ray, study, monkeypatch):
    jobs.score(study)
    whole = table_bytes(study)
    monkeypatch.setattr(pairs, "TRIALS_PER_BLOCK", 3)
    monkeypatch.setattr(agreement, "PAIR_POINTS_A_TASK", 200)
    blocks = pairs.blocks_of(jobs.scope_of(study, study.committed()).grouped_trials, C)
    assert len(blocks) == 2
    jobs.score(study)
    cut = table_bytes(study)
    for name in ("agreement", "agreement_by_group"):
        order = study.read_table(f"scores/{name}.parquet").column_names[:3]
        study.write_bytes("scores/one.parquet", whole[name])
        study.write_bytes("scores/two.parquet", cut[name])
        one, two = (
            study.read_table(f"scores/{n}.parquet").sort_by([(c, "ascending") for c in order])
            for n in ("one", "two")
        )
        assert one.equals(two)
    assert cut["fragmentation"] == whole["fragmentation"]


def test_scores_are_current_until_a_trial_comes_or_goes(local_ray, study):
    assert not jobs.is_scored(study)
    jobs.score(study)
    assert jobs.is_scored(study)
    study.discard(study.committed()[0].trial_id)
    assert not jobs.is_scored(study)
    jobs.score(study)
    left = {trial.trial_id for trial in study.committed()}
    assert set(study.read_table("scores/fragmentation.parquet")["trial_id"].to_pylist()) == left


def test_fragmentation_table(local_ray, study):
    jobs.score(study)
    rows = study.read_table("scores/fragmentation.parquet").to_pylist()
    assert len(rows) == sum(GROUPS.values()) * (P + 4)
    for row in rows:
        index = row["plane_id"] if row["kind"] == "test" else row["plane_id"] - 1_000_000 + P
        assert row["classes_present"] == len(np.unique(MAPS[row["trial_id"]][index]))
        assert row["classes_present"] <= row["components"] <= R * R


def test_memory_is_bounded_by_cutting_planes(study, monkeypatch):
    """A part never reads more label maps than its share of the working memory."""
    read = []
    real = pairs.read_label_maps

    def watch(study, trial, first, stop):
        read.append(stop - first)
        return real(study, trial, first, stop)

    monkeypatch.setattr(pairs, "read_label_maps", watch)
    monkeypatch.setattr(pairs, "WORKING_BYTES", 2 * 12 * R * R)
    scope = jobs.scope_of(study, study.committed())
    block = pairs.blocks_of(scope.grouped_trials, 1)[0]
    ids = scope.plane_ids("test")
    pairs.sum_pairs(study, pairs.PairTask(block, None, ids, ids, C, R * R))
    assert max(read) <= 2


def test_nothing_to_score_says_so(tmp_path):
    from dbray.errors import UserError

    described = {k: {} for k in ("dataset", "planes", "pictures")} | {"group_by": []}
    study = create_or_extend(str(tmp_path), "empty", described)
    with pytest.raises(UserError, match="no committed trial"):
        jobs.score(study)


def test_ray_is_shut_down_after_a_session():
    ray.shutdown()
    with ray_session():
        assert ray.is_initialized()
    assert not ray.is_initialized()
