"""The contract on storage: committed or nothing, sizes and checksums, one identity a study."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_study import CONFIG, DESCRIBED, commit, labels, predictions, top

from dbray.config import (
    CheckpointConfig,
    DistillationConfig,
    TrainingConfig,
    TrialConfig,
    canonical_json,
    group_label,
    stored_config,
)
from dbray.errors import StorageError, UserError
from dbray.planes import plane_ids_of
from dbray.store import (
    create_or_extend,
    open_folder,
    open_study,
    planned_study,
    read_label_maps,
)
from dbray.store.schemas import (
    confidences_from_table,
    label_maps_from_table,
    label_maps_table,
    parquet_bytes,
    predictions_table,
    probabilities_from_table,
)
from dbray.store.shapes import parse_config
from dbray.store.snapshot import KEPT


def test_a_trial_exists_when_it_is_committed(study):
    assert study.committed() == []
    assert commit(study)
    (trial,) = study.committed()
    assert trial.trial_id == CONFIG.trial_id
    assert trial.config == CONFIG
    assert trial.metrics == {"test_accuracy": 0.9}
    np.testing.assert_array_equal(read_label_maps(study, trial, 0, 3), labels())


def test_files_without_the_commit_are_no_trial(study):
    commit(study)
    (top(study) / "committed.json").unlink()
    assert study.committed() == []
    assert study.inventory().damaged == {}


@pytest.mark.parametrize("name", ["predictions.parquet", "config.json"])
def test_a_missing_file_is_named(study, name):
    commit(study)
    (top(study) / name).unlink()
    inventory = study.inventory()
    assert inventory.committed == []
    assert f"{CONFIG.trial_id}/{name}" in inventory.damaged[CONFIG.trial_id]


def test_a_truncated_file_is_named(study):
    commit(study)
    path = top(study) / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    assert "bytes" in study.inventory().damaged[CONFIG.trial_id]


def test_a_flipped_bit_is_found_by_its_checksum(study):
    commit(study)
    path = top(study) / "predictions.parquet"
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(bytes(data))
    (trial,) = study.committed()
    assert "predictions.parquet" in study.wrong_files([trial])[CONFIG.trial_id]
    with pytest.raises(UserError, match="checksum"):
        study.read_file(trial, "predictions.parquet")
    study.discard(CONFIG.trial_id)
    assert study.committed() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3}'])
def test_a_commit_that_is_no_commit_is_named(study, text):
    commit(study)
    (top(study) / "committed.json").write_text(text)
    assert "not what a trial commits" in study.inventory().damaged[CONFIG.trial_id]


def test_the_first_commit_stands_and_a_different_second_is_reported(study):
    commit(study)
    assert commit(study)  # the same once more
    assert not commit(study, predictions(labels(seed=1)))
    (trial,) = study.committed()
    np.testing.assert_array_equal(read_label_maps(study, trial, 0, 3), labels())


@pytest.mark.parametrize("between", ["predictions.parquet", "config.json", "committed.json"])
def test_of_two_that_commit_at_once_one_stands_whole(study, between):
    class Slow(type(study.folder)):
        """Just before it writes a file, the other commits other contents."""

        def write(self, path, data):
            if path.endswith(between) and not study.is_committed(CONFIG.trial_id):
                commit(study, predictions(labels(seed=1)))
            super().write(path, data)

    slow = dataclasses.replace(study, folder=Slow(study.folder.filesystem, study.folder.root))
    commit(slow)
    (trial,) = study.committed()
    assert study.wrong_files([trial]) == {}
    np.testing.assert_array_equal(read_label_maps(study, trial, 0, 3), labels())


def test_more_planes_go_to_a_file_of_their_own(study):
    commit(study)
    (trial,) = study.committed()
    more = predictions(labels(2, seed=2), first=3)
    renamed = {"predictions-2.parquet": more["predictions.parquet"]}
    commit(study, renamed, planes={"test": 5}, extending=trial)
    (trial,) = study.committed()
    whole = np.concatenate([labels(), labels(2, seed=2)])
    np.testing.assert_array_equal(read_label_maps(study, trial, 0, 5), whole)
    np.testing.assert_array_equal(read_label_maps(study, trial, 2, 4), whole[2:4])


def test_a_failed_trial_is_kept_with_its_reason_until_it_succeeds(study):
    study.record_failure(CONFIG, "the loss became nan")
    (trial,) = study.failed()
    assert trial.reason == "the loss became nan"
    assert study.committed() == []
    commit(study)
    assert study.failed() == []


def test_partial_files_are_not_listed(study):
    (Path(study.location) / "trials").mkdir()
    (Path(study.location) / "trials" / "x.json.1234.partial").write_text("half")
    assert study.folder.files("trials") == {}


def test_a_snapshot_shows_what_was_there_when_it_was_first_looked_at(study):
    commit(study)
    study.write_bytes("large.bin", bytes(2 * KEPT))
    seen = study.snapshot()
    (trial,) = seen.committed()
    with seen.folder.opened("study.json") as stream:
        assert stream.read() == seen.folder.read("study.json")
    study.discard(CONFIG.trial_id)
    study.write_bytes("later.json", b"{}")
    study.write_bytes("study.json", b"other")
    assert seen.committed() == [trial]
    assert not seen.folder.exists("later.json")
    assert seen.folder.files("later.json") == {}
    with pytest.raises(FileNotFoundError):
        seen.folder.read("later.json")
    with seen.folder.opened("large.bin") as stream:
        assert stream.read() == seen.folder.read("large.bin") == bytes(2 * KEPT)
    assert study.snapshot().folder.read("study.json") == b"other"


def test_a_failing_write_leaves_nothing(tmp_path):
    folder = open_folder(str(tmp_path))
    with pytest.raises(TypeError):
        folder.write("a.bin", "text, not bytes")
    assert list(tmp_path.iterdir()) == []


def test_what_is_labelled_stays_and_what_was_only_asked_for_can_be_unasked(tmp_path, study):
    mistaken = described({"counts": {"test": 10**6, "uniform": 2}}, {"plane_ids": [0, 7]})
    counts = create_or_extend(str(tmp_path), "study", mistaken).info["planes"]["counts"]
    assert counts == {"test": 10**6, "uniform": 2}
    commit(study, pictures=[0], picture_resolution=9)  # three test planes
    less = described({"counts": {"test": 1, "train": 7}}, {"plane_ids": [5], "resolution": 4})
    info = create_or_extend(str(tmp_path), "study", less).info
    assert info["planes"]["counts"] == {"test": 3, "train": 7}
    assert info["pictures"] == {"resolution": 9, "plane_ids": [0, 5]}


def test_a_plan_writes_nothing(tmp_path, study):
    before = study.folder.read("study.json")
    _, planned = planned_study(str(tmp_path), "study", described({"counts": {"test": 9}}))
    assert planned["planes"]["counts"] == {"test": 9}
    assert study.folder.read("study.json") == before
    planned_study(str(tmp_path), "another", DESCRIBED)
    assert not (tmp_path / "another").exists()


def test_another_data_set_or_resolution_is_refused_with_what_differs(tmp_path, study):
    before = study.folder.read("study.json")
    other = DESCRIBED | {
        "dataset": DESCRIBED["dataset"] | {"name": "mnist"},
        "planes": {"resolution": 9, "counts": {"test": 3}},
    }
    said = r'dataset.name is "digits" there, "mnist" here; planes.resolution is 4 there, 9 here'
    with pytest.raises(UserError, match=said):
        create_or_extend(str(tmp_path), "study", other)
    assert study.folder.read("study.json") == before


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match=r"no dbray study \(thesis.tex"):
        create_or_extend(str(tmp_path), "study", DESCRIBED)
    assert [p.name for p in (tmp_path / "study").iterdir()] == ["thesis.tex"]


def test_a_study_json_that_is_not_one_is_refused(tmp_path, study):
    study.write_bytes("study.json", b"[1, 2")
    with pytest.raises(UserError, match="not readable"):
        create_or_extend(str(tmp_path), "study", DESCRIBED)

    with pytest.raises(UserError, match=r"study.json: not readable as a study"):
        _ = study.info


@pytest.mark.parametrize("damage", ["bit", "end", "all"])
def test_a_damaged_table_is_one_line_that_names_it(study, damage):
    with study.new_table("scores/some.parquet", pa.schema({"n": pa.int64()})) as writer:
        writer.write_table(pa.table({"n": np.arange(9999)}))
    assert study.read_table("scores/some.parquet").num_rows == 9999
    data = bytearray(study.folder.read("scores/some.parquet"))
    data[len(data) // 2] ^= 1
    damaged = {"bit": data, "end": data[:-1], "all": b"some"}[damage]
    study.write_bytes("scores/some.parquet", bytes(damaged))
    with (
        pytest.raises(StorageError) as raised,
        study.open_table("scores/some.parquet") as file,
    ):
        file.read()
    with pytest.raises(StorageError) as again:
        study.read_table("scores/some.parquet")
    assert str(raised.value) == str(again.value)
    assert str(raised.value).startswith(f"{study.location}/scores/some.parquet: is damaged; ")


def test_a_damaged_record_of_a_command_is_left_out(study):
    whole = {
        "command": "x",
        "started": "now",
        "seconds": 1.5,
        "trials_run": 2,
        "hardware": {"cpu": "c", "cores": 2, "memory_gb": 4, "gpus": []},
    }
    study.write_bytes("invocations/1.json", json.dumps(whole).encode())
    study.write_bytes("invocations/3.json", json.dumps(whole | {"hardware": []}).encode())
    study.write_bytes("invocations/2.json", b'{"command"')
    assert study.info["invocations"] == [whole]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used"):
        create_or_extend(str(tmp_path / "file"), "study", DESCRIBED)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 101, "a b", "<b>"])
def test_names_that_are_no_folder_names(tmp_path, name):
    with pytest.raises(UserError, match="study name"):
        open_study(str(tmp_path), name)


def test_an_absent_study(tmp_path):
    with pytest.raises(UserError, match=r"no study\.json"):
        open_study(str(tmp_path), "nothing")


def test_an_unknown_scheme():
    with pytest.raises(UserError, match="gopher"):
        open_folder("gopher://host/path")


@given(
    st.tuples(st.integers(1, 5), st.integers(2, 6)).flatmap(
        lambda s: st.one_of(
            arrays(np.uint8, (s[0], s[1], s[1])), arrays(np.uint16, (s[0], s[1], s[1]))
        )
    )
)
def test_label_maps_survive_parquet(maps):
    table = label_maps_table("t", list(range(len(maps))), maps, classes=70_000, extent=0.5)
    data = parquet_bytes(table)
    back = label_maps_from_table(pq.read_table(pa.BufferReader(data)))
    np.testing.assert_array_equal(back, maps)
    assert data == parquet_bytes(table)


def test_others_read_a_study_with_pyarrow_alone(study):
    """What the README promises to a reader without dbray."""
    commit(study)
    table = pq.read_table(top(study) / "predictions.parquet")
    metadata = table.schema.metadata
    resolution = int(metadata[b"resolution"])
    raw = b"".join(value.as_py() for value in table["labels"])
    maps = np.frombuffer(raw, metadata[b"dtype"].decode()).reshape(-1, resolution, resolution)
    np.testing.assert_array_equal(maps, labels())


def test_the_id_is_a_function_of_the_config_alone():
    same = TrialConfig("digits", "f" * 64, "resnet", width=4, training=TrainingConfig())
    assert same.trial_id == CONFIG.trial_id
    for field in ("weights_seed", "data_seed", "width"):
        assert dataclasses.replace(CONFIG, **{field: 9}).trial_id != CONFIG.trial_id
    training = dataclasses.replace(CONFIG.training, epochs=3)
    assert dataclasses.replace(CONFIG, training=training).trial_id != CONFIG.trial_id
    # Frozen: a change of this id would orphan every stored trial.
    assert CONFIG.trial_id == "9f1b7c5bf42f"


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_canonical_json_ignores_order(values):
    backwards = dict(reversed(values.items()))
    assert canonical_json(values) == canonical_json(backwards)
    assert json.loads(canonical_json(values)) == values


TAUGHT = DistillationConfig("0123456789ab", "vgg@2", "kl", 2.0)


def test_group_labels():
    config = TrialConfig("digits", "f", "vit")
    assert group_label(config, ["architecture", "training.optimizer"]) == "vit/sgd"
    assert group_label(dataclasses.replace(config, width=7), ["architecture"]) == "vit@7"
    both = ["architecture", "distillation"]
    assert group_label(config, both) == "vit/labels"
    student = dataclasses.replace(config, distillation=TAUGHT)
    assert group_label(student, both) == "vit/kl at 2 from vgg@2"


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        dataclasses.replace(CONFIG, distillation=TAUGHT),
        dataclasses.replace(CONFIG, training=TrainingConfig(optimizer="sam", sam_radius=0.1)),
        CheckpointConfig("digits", "f", "mine", "baseline", "timm:resnet18", "0" * 64),
    ],
)
def test_configs_survive_json(config):
    back = parse_config(canonical_json(stored_config(config)).encode())
    assert back == config
    assert back.trial_id == config.trial_id


def test_fields_that_came_later_are_stored_only_where_they_differ():
    assert not {"distillation", "sam_radius", "mixup"} & set(str(stored_config(CONFIG)).split("'"))
    mixed = dataclasses.replace(CONFIG, training=TrainingConfig(mixup=0.2))
    assert stored_config(mixed)["training"]["mixup"] == 0.2
    assert mixed.trial_id != CONFIG.trial_id


def described(planes=None, pictures=None):
    return DESCRIBED | {
        "planes": DESCRIBED["planes"] | (planes or {}),
        "pictures": DESCRIBED["pictures"] | (pictures or {}),
    }


def test_a_chosen_plane_keeps_its_number_once_it_is_pictured(tmp_path, study):
    create_or_extend(
        str(tmp_path), "study", described({"chosen": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]})
    )
    commit(study, pictures=[plane_ids_of("chosen", 2)[1]])
    info = create_or_extend(str(tmp_path), "study", described({"chosen": [[0, 1, 2]]})).info
    assert info["planes"]["chosen"] == [[1, 2, 3], [4, 5, 6], [0, 1, 2]]


def test_trials_of_another_study_do_not_count_and_are_named(tmp_path, study):
    """One from another data set, one whose planes are others, one of this study."""
    commit(study, planes_of=(None, 4, None))
    elsewhere = described({"seed": 7}) | {"dataset": {**DESCRIBED["dataset"], "fingerprint": "0"}}
    other = create_or_extend(str(tmp_path), "other", elsewhere)
    planes = create_or_extend(str(tmp_path), "planes", described({"seed": 7}))
    for place, config in (
        (other, dataclasses.replace(CONFIG, dataset_fingerprint="0")),
        (planes, dataclasses.replace(CONFIG, weights_seed=1)),
    ):
        files = predictions(labels(), config=config)
        place.commit(config, files, metrics={}, planes={"test": 1}, planes_of=(7, 4, None))
        copied = f"trials/{config.trial_id}"
        shutil.copytree(f"{place.location}/{copied}", f"{study.location}/{copied}")
    study.write_bytes(
        "study.json",
        json.dumps(
            described({"seed": 0}) | {"dataset": {**DESCRIBED["dataset"], "fingerprint": "f" * 64}}
        ).encode(),
    )
    inventory = study.inventory()
    assert [trial.trial_id for trial in inventory.committed] == []
    said = "\n".join(inventory.foreign.values())
    assert "another data set" in said
    assert said.count("other planes") == 2


def test_adversarial_planes_are_against_one_trial_for_good(tmp_path, study):
    create_or_extend(str(tmp_path), "study", described({"adversarial_to": "a"}))
    create_or_extend(str(tmp_path), "study", described())
    assert study.info["planes"]["adversarial_to"] == "a"
    with pytest.raises(UserError, match="against trial a, not b"):
        create_or_extend(str(tmp_path), "study", described({"adversarial_to": "b"}))


def test_one_trial_by_its_id(study):
    commit(study, {**predictions(labels()), "pictures.parquet": b"x"})
    trial = study.trial(CONFIG.trial_id)
    assert trial == study.committed()[0]
    assert set(trial.without("pictures").files) == {"predictions.parquet"}
    with pytest.raises(UserError, match="no finished trial 123"):
        study.trial("123")


def test_confidences_and_probabilities_survive_parquet():
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 5, (3, 4, 4), dtype=np.uint8)
    sure = rng.integers(0, 256, (3, 4, 4), dtype=np.uint8)
    table = label_maps_table("t", [0, 1, 2], maps, classes=5, extent=0.5, confidences=list(sure))
    back = pq.read_table(pa.BufferReader(parquet_bytes(table)))
    np.testing.assert_array_equal(confidences_from_table(back), sure)
    np.testing.assert_array_equal(label_maps_from_table(back), maps)
    probabilities = rng.random((6, 5), dtype=np.float32)
    answers = predictions_table(np.arange(6), np.zeros(6, np.int64), probabilities)
    back = pq.read_table(pa.BufferReader(parquet_bytes(answers)))
    np.testing.assert_array_equal(probabilities_from_table(back), probabilities)
    assert back["predicted"].to_pylist() == probabilities.argmax(axis=1).tolist()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (lambda: label_maps_table("t", [0], labels(1) + 9, classes=10, extent=0.1), "names class"),
        (lambda: label_maps_table("t", [0], labels(1), classes=12, extent=0.1), "classes '12'"),
        (
            lambda: label_maps_table("t", [0], np.zeros((1, 5, 5), np.uint8), classes=10, extent=0),
            "resolution '5'",
        ),
        (lambda: pa.table({"plane_id": [0]}), "resolution ''"),
    ],
)
def test_label_maps_that_are_none_of_the_studys_are_named(study, table, said):
    commit(study, {"predictions.parquet": parquet_bytes(table())})
    found = study.wrong_files(study.committed())
    assert list(found) == [CONFIG.trial_id]
    assert said in found[CONFIG.trial_id]


def test_what_killed_writers_left_is_deleted_when_it_is_old(study):
    old, new = (Path(study.location) / f"x.parquet.{n}.partial" for n in ("old", "new"))
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, 0))
    study.folder.remove_partial_files()
    assert (old.exists(), new.exists()) == (False, True)
