"""A study in other tools: read back by their own readers, and nothing is written twice."""

import json
import shutil
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from in_process import run_without_ray
from synthetic_study import write_synthetic_study

from dbray import StudyResults
from dbray.errors import UserError
from dbray.export import export_study
from dbray.export.runs import exported
from dbray.report import write_report
from dbray.store import create_or_extend, open_study_folder, read_label_maps

GROUPS = {"resnet": 0.84, "vit": 0.63}


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A study of four trials with its page."""
    return made(tmp_path_factory.mktemp("export"), seeds=(0, 1))


def made(storage, seeds):
    study = write_synthetic_study(
        storage, groups=GROUPS, seeds=seeds, resolution=12, epochs=3, predictions=True
    )
    write_report(study)
    return study


@pytest.fixture(scope="module")
def looked_at_early(tmp_path_factory):
    """Two trainings, each with its state after one of three epochs."""
    storage = tmp_path_factory.mktemp("early")
    about = {"resolution": 12, "epochs": 3, "predictions": True, "stops": (1,)}
    study = write_synthetic_study(storage, groups={"vit": 0.63}, seeds=(0, 1), **about)
    write_report(study)
    return study


def times(folder):
    """When each file below a folder was last written."""
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_tensorboard_reads_curves_scores_and_hyperparameters(scored, tmp_path):
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    outcome = export_study(scored, "tensorboard", str(tmp_path))
    assert (outcome.added, outcome.kept) == (4, 0)
    found = StudyResults(scored.location)
    for row in found.trials.itertuples():
        events = accumulators.EventAccumulator(str(tmp_path / row.label / row.trial_id))
        events.Reload()
        curve = events.Scalars("test_accuracy")
        assert [event.step for event in curve] == [1, 2, 3]
        assert curve[-1].value == pytest.approx(row.test_accuracy, abs=1e-6)
        by_group = found.agreement_by_group.query(
            "group_a == group_b == @row.label and kind == 'test'"
        )
        (event,) = events.Scalars("group/test/agreement")
        assert event.value == pytest.approx(by_group.agreement.item(), abs=1e-6)
        assert "_hparams_/session_start_info" in events.PluginTagToContent("hparams")
    assert (tmp_path / "index.html").read_bytes() == scored.folder.read("report/index.html")


def test_what_is_there_is_left_alone_and_what_changed_is_written_again(tmp_path):
    first = made(tmp_path / "first", seeds=(0, 1))
    folder = tmp_path / "out"
    export_study(first, "tensorboard", str(folder))
    before = times(folder)
    outcome = export_study(first, "tensorboard", str(folder))
    assert (outcome.added, outcome.kept) == (0, 4)
    assert times(folder) == before

    (folder / ".partial-left").mkdir()  # by a command that was killed
    more = made(tmp_path / "more", seeds=(0, 1, 2))  # other scores of the groups, too
    outcome = export_study(more, "tensorboard", str(folder))
    assert (outcome.added, outcome.kept) == (6, 0)
    assert len(list(folder.glob("*/*/dbray.json"))) == 6
    assert len(list(folder.rglob("events.*"))) == 6
    assert not list(folder.glob(".partial-*"))


def test_wandb_has_offline_runs(scored, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_DATA_DIR", "")  # which the export sets
    pytest.importorskip("wandb", reason="needs wandb")
    outcome = export_study(scored, "wandb", str(tmp_path))
    assert (outcome.added, outcome.kept) == (4, 0)
    found = StudyResults(scored.location)
    for row in found.trials.itertuples():
        (log,) = tmp_path.glob(f"wandb/offline-run-*/run-{row.trial_id}.wandb")
        run, history, summary = offline_run(log)
        assert (run.run_id, run.run_group, run.project) == (row.trial_id, row.label, scored.name)
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        assert config["training.epochs"] == 3
        assert config["weights_seed"] == row.weights_seed
        assert [step["epoch"] for step in history] == [1, 2, 3]
        assert history[-1]["test_accuracy"] == row.test_accuracy
        assert summary["final/test_accuracy"] == row.test_accuracy
        assert 0 < summary["group/test/agreement"] < 1
    (log,) = tmp_path.glob("wandb/offline-run-*/run-study.wandb")
    page = scored.folder.read("report/index.html")
    assert page in [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]

    before = times(tmp_path)
    outcome = export_study(scored, "wandb", str(tmp_path))
    assert (outcome.added, outcome.kept) == (0, 4)
    assert times(tmp_path) == before


def offline_run(path):
    """Run, history and summary as an offline run's file holds them, in W&B's own records."""
    from wandb.proto.wandb_internal_pb2 import Record

    run, history, summary, ended = None, [], {}, False
    for data in log_records(path.read_bytes()):
        record = Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
        elif kind == "history":
            history.append({name_of(i): json.loads(i.value_json) for i in record.history.item})
        elif kind == "summary":
            summary |= {name_of(i): json.loads(i.value_json) for i in record.summary.update}
        ended = ended or kind == "exit"
    assert ended
    return run, history, summary


def name_of(item):
    return item.key or ".".join(item.nested_key)


def log_records(data):
    """Records of a log in LevelDB's format after a header of 7 bytes.

    A block has 32,768 bytes; a piece of a record begins with its checksum (4 bytes), length (2) and
    type (1: a whole record, 2 to 4: its first, middle and last piece).
    """
    whole, at = b"", 7
    while at + 7 <= len(data):
        left = 32_768 - at % 32_768
        if left < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""


@pytest.mark.filterwarnings(
    "ignore:.*deprecated"
)  # mlcroissant calls rdflib's and pandas' old names
def test_hugging_face_datasets_reads_every_table(scored, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    trials, folder = scored.committed(), tmp_path / "hub"
    outcome = export_study(scored, "huggingface", str(folder))
    assert (outcome.added, outcome.kept) == (4, 0)

    def load(name):
        return datasets.load_dataset(
            str(folder), name, split="train", cache_dir=str(tmp_path / "cache")
        )

    names = datasets.get_dataset_config_names(str(folder))
    assert {"trials", "history", "planes", "anchors", "label_maps", "agreement"} <= set(names)
    assert all(len(load(name)) for name in names)
    groups = {row["trial_id"]: row["group"] for row in load("trials")}
    assert groups == {trial.trial_id: trial.config.architecture for trial in trials}
    kept = load("label_maps").filter(lambda row: row["trial_id"] == trials[0].trial_id)
    maps = read_label_maps(scored, trials[0], 0, 2)
    assert np.array_equal(np.array(kept["labels"])[:2], maps.reshape(2, -1))
    answers = load("test_predictions")
    assert len(answers) == 40
    assert sum(answers[0]["probabilities"]) == pytest.approx(1)
    assert load("anchors")[0]["png"].width  # a picture, to the hub's viewer as well

    before = times(folder)
    outcome = export_study(scored, "huggingface", str(folder))
    assert (outcome.added, outcome.kept) == (0, 4)
    assert times(folder) == before
    check_croissant(folder, trials)


def check_croissant(folder, trials):
    croissant = pytest.importorskip("mlcroissant", reason="needs mlcroissant")
    described = croissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    ids = [row["trials/trial_id"].decode() for row in described.records("trials")]
    assert ids == [trial.trial_id for trial in trials]
    maps = next(iter(described.records("label_maps")))
    assert len(maps["label_maps/labels"]) == 144
    (folder / "trials.parquet").write_bytes((folder / "planes.parquet").read_bytes())
    with pytest.raises(croissant.GenerationError):  # another file's columns
        list(croissant.Dataset(jsonld=str(folder / "croissant.json")).records("trials"))


def test_the_command_says_what_is_new_and_where(scored, tmp_path):
    ran = run_without_ray(
        "analysis/export.py", scored.location, "--to", "huggingface", cwd=tmp_path
    )
    place = tmp_path / "exports" / "huggingface" / scored.name
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[:2] == [
        f"huggingface: {place}",
        "4 trials added, 0 there already",
    ]
    assert (place / "README.md").is_file()


def test_states_on_the_way_cannot_be_taken_for_ends(looked_at_early, tmp_path):
    study = looked_at_early
    early = {t.trial_id for t in study.committed() if t.config.stop_epoch}
    runs = {run.trial_id: run for run in exported(study).runs()}
    assert (len(runs), len(early)) == (4, 2)
    for trial_id, run in runs.items():
        group, epoch = ("vit/epoch 1", "1 of 3") if trial_id in early else ("vit", "3 of 3")
        assert (run.group, run.tags["epoch"]) == (group, epoch)
        assert run.name.startswith(f"{group}, seed ")
        assert any(name.startswith("group/") for name in run.metrics) == (trial_id not in early)
    export_study(study, "huggingface", str(tmp_path))
    rows = pq.read_table(tmp_path / "trials.parquet").to_pylist()
    told = {row["trial_id"]: (row["group"], row["epoch"]) for row in rows}
    assert told == {i: (run.group, run.tags["epoch"]) for i, run in runs.items()}
    card = (tmp_path / "README.md").read_text()
    assert "Decision regions of 2 classifiers of digits" in card
    assert "2 trials more are states of them on their way" in card


@pytest.mark.parametrize(
    ("target", "module", "package"),
    [("mlflow", "mlflow", "mlflow-skinny"), ("wandb", "wandb", "wandb")],
)
def test_a_missing_package_is_named(scored, tmp_path, monkeypatch, target, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    into = "http://127.0.0.1:1" if target == "mlflow" else str(tmp_path)
    with pytest.raises(UserError, match=f"pip install {package}"):
        export_study(scored, target, into)


def test_bad_input_is_one_line_before_anything_is_written(scored, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--to mlflow needs a server"):
        export_study(scored, "mlflow")
    with pytest.raises(UserError, match="a folder of this machine"):
        export_study(scored, "tensorboard", "s3://bucket/events")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: cannot be made: File exists"):
        export_study(scored, "tensorboard", str(tmp_path / "file"))
    shutil.copytree(scored.location, tmp_path / "copy")
    (tmp_path / "copy" / "report" / "index.html").unlink()
    with pytest.raises(UserError, match="write it by python analysis/report"):
        export_study(open_study_folder("copy"), "tensorboard")
    (tmp_path / "copy" / "scores" / "lines.parquet").unlink()
    with pytest.raises(UserError, match=r"missing or out of date \(lines\)"):
        export_study(open_study_folder("copy"), "tensorboard")
    (tmp_path / "none").mkdir()
    empty = create_or_extend(str(tmp_path / "none"), "empty", scored.description())
    with pytest.raises(UserError, match="no committed trial"):
        export_study(empty, "tensorboard")
    assert not (tmp_path / "exports").exists()
