"""Score jobs on real Ray: tables equal to brute force, whatever way the work is cut."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from dbray import jobs
from dbray.config import DistillationConfig, TrialConfig
from dbray.jobs import agreement, pairs, similarity
from dbray.jobs.contrasts import Contrasts
from dbray.store import create_or_extend, is_scored, scope_of
from dbray.store.schemas import label_maps_table, parquet_bytes, predictions_table
from dbray.store.score_schemas import DISTILLATION, SIMILARITY
from dbray.sweep import ray_session

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own

R, P, C = 6, 9, 4
IMAGES = 40
GROUPS = {"vit": 2, "resnet": 3, "vgg": 1}
DESCRIBED = {
    "dataset": {"name": "d", "class_names": [str(c) for c in range(C)]},
    "planes": {"resolution": R, "counts": {"test": P, "train": 4}},
    "pictures": {"resolution": R, "plane_ids": []},
    "group_by": ["architecture"],
}


@pytest.fixture(scope="module")
def local_ray():
    with ray_session():
        yield


@pytest.fixture
def study(tmp_path):
    study = create_or_extend(str(tmp_path), "study", DESCRIBED)
    rng = np.random.default_rng(0)
    common = rng.integers(0, C, (P + 4, R, R))
    labels = rng.integers(0, C, IMAGES)
    for name, seeds in GROUPS.items():
        for seed in range(seeds):
            noise = rng.random(common.shape) < 0.4
            maps = np.where(noise, rng.integers(0, C, common.shape), common).astype(np.uint8)
            config = TrialConfig("d", "f", name, weights_seed=seed)
            right = np.eye(C)[labels] * 0.3
            probabilities = rng.dirichlet(np.ones(C), IMAGES) + right
            probabilities /= probabilities.sum(axis=1, keepdims=True)
            answers = probabilities.astype(np.float32)
            commit(study, config, maps, predictions_table(np.arange(IMAGES), labels, answers))
            MAPS[config.trial_id] = maps
            ANSWERS[config.trial_id] = labels, answers
    return study


def commit(study, config, maps, answers=None):
    """A trial with label maps (P + 4, R, R) and, if they are given, answers on test images."""
    ids = [*range(P), *range(1_000_000, 1_000_004)]
    table = label_maps_table(config.trial_id, ids, maps, classes=C, extent=0.1)
    files = {"predictions.parquet": parquet_bytes(table)}
    if answers is not None:
        files["test_predictions.parquet"] = parquet_bytes(answers)
    study.commit(config, files, metrics={}, planes={"test": P, "train": 4})


MAPS = {}
ANSWERS = {}


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
    name = {t.trial_id: t.config.architecture for t in study.committed()}
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


@pytest.mark.parametrize("cut", [2, 1000])
def test_pairs_within_groups_are_the_same_as_among_all(local_ray, study, monkeypatch, cut):
    jobs.score(study)
    name = {trial.trial_id: trial.config.architecture for trial in study.committed()}
    tables = ("agreement", "agreement_by_group", "similarity")
    before = {table: study.read_table(f"scores/{table}.parquet").to_pylist() for table in tables}
    planes = DESCRIBED["planes"] | {"pairs": "groups"}
    create_or_extend(str(Path(study.location).parent), "study", DESCRIBED | {"planes": planes})
    assert not is_scored(study)
    monkeypatch.setattr(similarity, "TRIALS_PER_BLOCK", cut)
    monkeypatch.setattr(pairs, "TRIALS_PER_BLOCK", cut)
    jobs.score(study)
    for table, rows in before.items():
        a, b = list(rows[0])[:2]
        inside = [row for row in rows if name.get(row[a], row[a]) == name.get(row[b], row[b])]
        found = study.read_table(f"scores/{table}.parquet").to_pylist()
        assert 0 < len(found) < len(rows)
        assert sorted(map(str, found)) == sorted(map(str, inside))
    # A later command that says nothing about pairs changes nothing; one that wants all gets them.
    create_or_extend(str(Path(study.location).parent), "study", DESCRIBED)
    assert is_scored(study)
    planes["pairs"] = "all"
    create_or_extend(str(Path(study.location).parent), "study", DESCRIBED | {"planes": planes})
    jobs.score(study)
    found = study.read_table("scores/similarity.parquet").to_pylist()
    assert sorted(map(str, found)) == sorted(map(str, before["similarity"]))


def test_intervals_and_contrasts_equal_brute_force(local_ray, study):
    """The user's contrast of two groups, by a loop over planes, pairs and trials left out."""
    described = DESCRIBED | {"contrasts": ["resnet - vit"]}
    extra = TrialConfig("d", "f", "vit", weights_seed=7)
    commit(study, extra, MAPS[TrialConfig("d", "f", "vit", weights_seed=1).trial_id][::-1].copy())
    MAPS[extra.trial_id] = MAPS[TrialConfig("d", "f", "vit", weights_seed=1).trial_id][::-1]
    create_or_extend(str(Path(study.location).parent), "study", described)
    jobs.score(study)
    groups = {}
    for trial in study.committed():
        groups.setdefault(trial.config.architecture, []).append(MAPS[trial.trial_id])

    def inside(maps, planes):
        return np.mean(
            [(a[planes] == b[planes]).mean() for a, b in itertools.combinations(maps, 2)]
        )

    def difference(planes=slice(P), **left_out):
        kept = {
            name: [m for place, m in enumerate(groups[name]) if place != left_out.get(name)]
            for name in ("resnet", "vit")
        }
        return inside(kept["resnet"], planes) - inside(kept["vit"], planes)

    by_plane = np.array([difference(slice(plane, plane + 1)) for plane in range(P)])
    variances = [(by_plane.var(ddof=1) / P, P - 1)]
    for name in ("resnet", "vit"):
        without = np.array([difference(**{name: place}) for place in range(3)])
        variances.append((2 / 3 * np.square(without - without.mean()).sum(), 2))
    variance = sum(v for v, _ in variances)
    freedom = variance**2 / sum(v**2 / df for v, df in variances)
    half = stats.t.ppf(0.975, freedom) * variance**0.5
    found = study.read_table("scores/contrasts.parquet").to_pylist()[0]
    assert (found["claim"], found["seeds"], found["planes_only"]) == ("named", 3, False)
    value = difference()
    expected = [value, value - half, value + half, variance**0.5, freedom]
    columns = ("difference", "low", "high", "standard_error", "degrees_of_freedom")
    assert [found[name] for name in columns] == pytest.approx(expected, abs=1e-12)
    rows = study.read_table("scores/agreement_by_group.parquet").to_pylist()
    planes_only = {(r["group_a"], r["group_b"]) for r in rows if r["planes_only"]}
    assert planes_only == {("resnet", "vgg"), ("vgg", "vit")}  # of a single vgg


def test_every_cut_of_the_work_gives_the_same_bytes(local_ray, study, monkeypatch):
    jobs.score(study)
    whole = table_bytes(study)
    monkeypatch.setattr(pairs, "TRIALS_PER_BLOCK", 3)
    monkeypatch.setattr(agreement, "PAIR_POINTS_A_TASK", 200)
    monkeypatch.setattr(similarity, "TERMS_A_TASK", 4**2 * IMAGES * C)
    blocks = pairs.blocks_of(scope_of(study, study.committed()).grouped_trials, C)
    assert len(blocks) == 2
    jobs.score(study)
    cut = table_bytes(study)
    for name in ("agreement", "agreement_by_group", "similarity"):
        order = study.read_table(f"scores/{name}.parquet").column_names[:3]
        study.write_bytes("scores/one.parquet", whole[name])
        study.write_bytes("scores/two.parquet", cut[name])
        one, two = (
            study.read_table(f"scores/{n}.parquet").sort_by([(c, "ascending") for c in order])
            for n in ("one", "two")
        )
        assert one.equals(two)
    assert cut["fragmentation"] == whole["fragmentation"]


@pytest.mark.parametrize("block", [32, 4, 2, 1])
def test_similarity_of_every_pair_equals_brute_force(local_ray, study, monkeypatch, block):
    """Of trials in one group and in two, in one block and in two."""
    monkeypatch.setattr(similarity, "TERMS_A_TASK", block**2 * IMAGES * C)
    scope = scope_of(study, study.committed())
    job = similarity.SimilarityJob(study, scope)
    blocks = -(-len(scope.grouped_trials) // block)
    assert len(job.items) == blocks * (blocks + 1) // 2
    if block == 4:
        jobs.score(study)
    else:
        job.write(map(job.work, job.items), Contrasts([], {}))
    rows = study.read_table("scores/similarity.parquet").to_pylist()
    ids = sorted(trial.trial_id for trial in study.committed())
    found = sorted((row["trial_a"], row["trial_b"]) for row in rows)
    assert found == sorted(itertools.combinations(ids, 2))
    for row in rows:
        labels, p = ANSWERS[row["trial_a"]]
        _, q = ANSWERS[row["trial_b"]]
        a, b = p.argmax(axis=1), q.argmax(axis=1)
        right_a, right_b = (a == labels).mean(), (b == labels).mean()
        wrong = (a != labels), (b != labels)
        assert row["images"] == IMAGES
        assert row["disagreement"] == (a != b).mean()
        expected = right_a * right_b + (1 - right_a) * (1 - right_b) / (C - 1)
        assert row["expected_agreement"] == pytest.approx(expected, abs=1e-12)
        overlap = (wrong[0] & wrong[1]).sum() / (wrong[0] | wrong[1]).sum()
        assert row["error_overlap"] == pytest.approx(overlap, abs=1e-12)
        apart = np.mean([jensenshannon(x, y, base=2) ** 2 for x, y in zip(p, q, strict=True)])
        assert row["js_divergence"] == pytest.approx(apart, abs=1e-5)


def test_trials_without_answers_on_test_images_are_in_no_pair(local_ray, study):
    older = TrialConfig("d", "f", "vgg", weights_seed=9)
    commit(study, older, next(iter(MAPS.values())))
    job = similarity.SimilarityJob(study, scope_of(study, study.committed()))
    job.write(map(job.work, job.items), Contrasts([], {}))
    table = study.read_table("scores/similarity.parquet")
    assert len(table) == 15  # of the six others
    assert older.trial_id not in {*table["trial_a"].to_pylist(), *table["trial_b"].to_pylist()}


STUDENT_SEEDS = 3
# Of the 36 points of every plane: on how many a student differs from its teacher, by seed.
DISTILLED, FROM_LABELS = (4, 6, 8), (15, 12, 9)


def differing(maps, points, rng):
    """Label maps that differ from others on so many points of each plane."""
    changed = maps.reshape(len(maps), -1).copy()
    for plane in changed:
        where = rng.choice(R * R, points, replace=False)
        plane[where] = (plane[where] + rng.integers(1, C, points)) % C
    return changed.reshape(maps.shape)


@pytest.fixture
def students(tmp_path):
    """Three teachers with a student and its twin from labels each; two students that lack one."""
    study = create_or_extend(str(tmp_path), "students", DESCRIBED)
    rng = np.random.default_rng(1)
    for seed in range(STUDENT_SEEDS):
        maps = rng.integers(0, C, (P + 4, R, R)).astype(np.uint8)
        teacher = TrialConfig("d", "f", "resnet", weights_seed=100 + seed)
        commit(study, teacher, maps)
        twin = TrialConfig("d", "f", "vgg", width=2, weights_seed=seed)
        commit(study, twin, differing(maps, FROM_LABELS[seed], rng))
        for loss, more in (("kl", 0), ("hard", 1)):
            taught = DistillationConfig(teacher.trial_id, "resnet", loss)
            student = replace(twin, distillation=taught)
            commit(study, student, differing(maps, DISTILLED[seed] + more, rng))
    orphan = DistillationConfig("f" * 12, "vit")
    commit(study, TrialConfig("d", "f", "vgg", width=2, distillation=orphan), maps)
    alone = DistillationConfig(teacher.trial_id, "resnet")
    commit(study, TrialConfig("d", "f", "mlp", distillation=alone), maps)
    return study


def test_students_are_compared_with_their_teacher_and_their_twin(local_ray, students):
    jobs.score(students)
    table = students.read_table("scores/distillation.parquet")
    assert table.schema.equals(DISTILLATION)
    hard, soft = table.to_pylist()  # the student without a teacher or a twin is in neither
    assert [row["loss"] for row in (hard, soft)] == ["hard", "kl"]
    for row, more in ((soft, 0), (hard, 1)):
        assert (row["teacher"], row["student"]) == ("resnet", "vgg@2")
        assert (row["students"], row["planes"]) == (STUDENT_SEEDS, P)
        distilled = 1 - (np.array(DISTILLED) + more) / R**2
        labels = 1 - np.array(FROM_LABELS) / R**2
        # Planes do not differ, so seeds alone vary, and the difference is that of each seed.
        for name, values in (
            ("distilled", distilled),
            ("from_labels", labels),
            ("difference", distilled - labels),
        ):
            low, high = stats.t.interval(0.95, STUDENT_SEEDS - 1, values.mean(), stats.sem(values))
            found = [row[f"{name}{end}"] for end in ("", "_low", "_high")]
            assert found == pytest.approx([values.mean(), low, min(high, 1)], abs=1e-12)
            assert row[f"{name}_degrees_of_freedom"] == pytest.approx(STUDENT_SEEDS - 1)
        assert not row["planes_only"]


def test_a_twin_that_teaches_is_left_out_of_both_its_places(local_ray, tmp_path):
    """Students of their teacher's architecture: the twin of one seed is the next one's teacher."""
    study = create_or_extend(str(tmp_path), "chain", DESCRIBED)
    rng = np.random.default_rng(2)
    maps = [rng.integers(0, C, (P + 4, R, R)).astype(np.uint8) for _ in range(5)]
    trained = [TrialConfig("d", "f", "resnet", weights_seed=seed) for seed in range(5)]
    for config, labels in zip(trained, maps, strict=True):
        commit(study, config, labels)
    students = []
    for seed in range(4):
        taught = DistillationConfig(trained[seed].trial_id, "resnet")
        students.append(differing(maps[seed], 3 + seed, rng))
        commit(study, replace(trained[seed + 1], distillation=taught), students[seed])
    jobs.score(study)
    (row,) = study.read_table("scores/distillation.parquet").to_pylist()
    shares = [
        (students[s][:P] == maps[s][:P]).mean(axis=(1, 2))
        - (maps[s + 1][:P] == maps[s][:P]).mean(axis=(1, 2))
        for s in range(4)
    ]
    # Without the seed s + 1, whose twin is triple s's and whose teacher is triple s + 1's.
    without = [np.mean([shares[t] for t in range(4) if t not in (s, s + 1)]) for s in range(4)]
    by_plane = np.mean(shares, axis=0)
    v_planes = by_plane.var(ddof=1) / P
    v_seeds = 3 / 4 * np.square(without - np.mean(without)).sum()
    assert row["difference"] == pytest.approx(np.mean(shares))
    assert row["difference_standard_error"] == pytest.approx((v_planes + v_seeds) ** 0.5)


@pytest.mark.parametrize("missing", ["teacher", "twin"])
def test_a_student_that_lost_its_teacher_or_its_twin_is_left_out(students, missing):
    trials = {trial.trial_id: trial.config for trial in students.committed()}
    teacher = TrialConfig("d", "f", "resnet", weights_seed=101)
    twin = TrialConfig("d", "f", "vgg", width=2, weights_seed=1)
    assert {teacher.trial_id, twin.trial_id} <= set(trials)
    students.discard(teacher.trial_id if missing == "teacher" else twin.trial_id)
    scope = scope_of(students, students.committed())
    items = jobs.DistillationJob(students, scope).items
    assert [len(triples) for _, triples in items] == [STUDENT_SEEDS - 1] * 2


def test_tables_of_what_a_study_lacks_are_empty_and_have_their_columns(local_ray, study, students):
    jobs.score(study)
    jobs.score(students)
    distillation = study.read_table("scores/distillation.parquet")
    assert (len(distillation), distillation.schema.equals(DISTILLATION)) == (0, True)
    likeness = students.read_table("scores/similarity.parquet")
    assert (len(likeness), likeness.schema.equals(SIMILARITY)) == (0, True)
    assert is_scored(study)
    assert is_scored(students)


def test_a_lost_or_broken_score_table_is_noticed(local_ray, study):
    jobs.score(study)
    for table in jobs.TABLES:
        data = study.folder.read(f"scores/{table}.parquet")
        study.write_bytes(f"scores/{table}.parquet", data[: len(data) // 2])
        assert not is_scored(study)
        study.folder.delete(f"scores/{table}.parquet")
        assert not is_scored(study)
        study.write_bytes(f"scores/{table}.parquet", data)
        assert is_scored(study)


def test_scores_are_current_until_a_trial_comes_or_goes(local_ray, study):
    assert not is_scored(study)
    jobs.score(study)
    assert is_scored(study)
    study.discard(study.committed()[0].trial_id)
    assert not is_scored(study)
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
    scope = scope_of(study, study.committed())
    block = pairs.blocks_of(scope.grouped_trials, 1)[0]
    ids = scope.plane_ids("test")
    pairs.sum_pairs(study, pairs.PairTask(block, None, ids, ids, C, R * R))
    assert max(read) <= 2


def test_nothing_to_score_says_so(tmp_path):
    from dbray.errors import UserError

    study = create_or_extend(str(tmp_path), "empty", DESCRIBED)
    with pytest.raises(UserError, match="no committed trial"):
        jobs.score(study)


def test_ray_is_shut_down_after_a_session():
    ray.shutdown()
    with ray_session():
        assert ray.is_initialized()
    assert not ray.is_initialized()
