"""The other studies as a user runs them: two stages, extension, own models, planes of all kinds."""

import json

import pyarrow.parquet as pq
import pytest
import torch
from browser import check_page
from in_process import run_here
from safetensors.torch import load_file, save_file

from dbray.architectures import build_model

SMALL = (
    *("--planes", "5", "--resolution", "12", "--picture-planes", "0"),
    *("--picture-resolution", "20"),
)


def run(script, *arguments, cwd):
    ended = run_here(f"sweeps/{script}.py", *SMALL, *arguments, cwd=cwd)
    assert ended.returncode == 0, ended.stderr
    return ended


def rows(folder, name):
    return pq.read_table(folder / "scores" / f"{name}.parquet").to_pylist()


def configs(folder):
    return {p.parent.name: json.loads(p.read_text()) for p in folder.glob("trials/*/config.json")}


def weights(folder):
    return {p: p.stat().st_mtime_ns for p in folder.glob("trials/*/model.safetensors")}


def test_optimizers_are_compared_and_one_is_added_later(tmp_path):
    small = ("--arch", "resnet", "--seeds", "2", "--epochs", "2")
    run("optimizer_repro", *small, "--optimizers", "sgd", "sam", cwd=tmp_path)
    study = tmp_path / "runs" / "optimizer_repro"
    before = weights(study)
    more = ("--optimizers", "sgd", "sam", "adamw", "--stop-epochs", "1")
    ended = run("optimizer_repro", *small, *more, cwd=tmp_path)
    assert "12 trials, 8 to do" in ended.stderr  # two ends, and all six after one epoch
    assert "resnet/sgd, seed 0, epoch 1 done" in ended.stderr
    assert {p: t for p, t in weights(study).items() if p in before} == before
    found = {row["group_a"] for row in rows(study, "agreement_by_group")}
    assert found == {"resnet/adamw", "resnet/sam", "resnet/sgd"}
    along = {(row["group"], row["epoch"], row["measure"]) for row in rows(study, "along_training")}
    assert along == {
        (group, *of)
        for group in found
        for of in ((1, "between seeds"), (1, "own end"), (2, "between seeds"))
    }
    trained = {c["training"]["optimizer"]: c["training"] for c in configs(study).values()}
    assert trained["sam"]["learning_rate"] == trained["sgd"]["learning_rate"]
    check_page(study / "report" / "index.html", charts=14)


def test_students_learn_from_teachers_of_the_same_study_and_more_are_added(tmp_path):
    small = ("--teachers", "fcnet", "--students", "fcnet", "mlp", "--epochs", "3", "--seeds", "2")
    run("distillation", *small, cwd=tmp_path)
    study = tmp_path / "runs" / "distillation"
    before = weights(study)
    ended = run("distillation", *small, "--losses", "kl", "hard", cwd=tmp_path)
    assert "13 trials, 4 to do" in ended.stderr  # fcnet of seeds 0 to 2, mlp of 1 and 2, 8 students
    assert {p: t for p, t in weights(study).items() if p in before} == before
    found = configs(study)
    students = [c for c in found.values() if "distillation" in c]
    assert len(students) == 8
    for student in students:
        teacher = found[student["distillation"]["teacher"]]
        assert "distillation" not in teacher
        assert teacher["weights_seed"] == student["weights_seed"] - 1
    table = rows(study, "distillation")
    assert {(r["teacher"], r["student"], r["loss"]) for r in table} == {
        ("fcnet", student, loss) for student in ("fcnet", "mlp") for loss in ("kl", "hard")
    }
    for row in table:
        assert row["students"] == 2
        assert row["difference"] == pytest.approx(row["distilled"] - row["from_labels"])
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    check_page(study / "report" / "index.html", charts=14)


def test_a_study_of_widths_is_refined_around_its_thresholds(tmp_path):
    small = ("--epochs", "80", "--stop-epochs", "20", "--line-images", "3")
    run("double_descent", *small, "--widths", "2", "12", "48", "--seeds", "2", cwd=tmp_path)
    study = tmp_path / "runs" / "double_descent"
    before = weights(study)
    assert len(before) == 3 * 2 * 2 * 2  # widths, noises, seeds, epochs
    ended = run("double_descent", *small, "--refine", "1", "--seeds", "3", cwd=tmp_path)
    found = list(configs(study).values())
    widths = {c["width"] for c in found}
    assert {2, 12, 48} < widths
    assert len(widths) <= 3 + 2  # one new width a noise
    assert {c["noise"]["share"] if "noise" in c else 0 for c in found} == {0, 0.2}
    trials = len(widths) * 2 * 3 * 2
    assert f"{trials} trials, {trials - len(before)} to do" in ended.stderr
    assert {p: t for p, t in weights(study).items() if p in before} == before
    assert not list(study.glob("trials/*/training_state.safetensors"))
    kinds = {row["kind"] for row in rows(study, "lines_by_group")}
    assert kinds == {"test", "train_correct", "train_mislabelled"}
    groups = {row["group"] for row in rows(study, "fragmentation_by_group")}
    assert {"mlp@12/no noise", "mlp@12/20 % noise/epoch 20"} < groups
    check_page(study / "report" / "index.html", charts=6)


def test_own_models_are_scored_and_only_changed_ones_again(tmp_path):
    lines = []
    for number, (name, group) in enumerate([("one", "a"), ("two", "a"), ("three", "b")]):
        model = build_model("mlp", input_shape=(1, 8, 8), classes=10, seed=number)
        torch.save(model.state_dict(), tmp_path / f"{name}.pt")
        lines += [f'[[model]]\nname = "{name}"\ngroup = "{group}"']
        lines += [f'factory = "mlp"\nweights = "{name}.pt"']
    (tmp_path / "models.toml").write_text("\n".join(lines))
    run("my_models", cwd=tmp_path)
    study = tmp_path / "runs" / "my_models"
    found = {(r["group_a"], r["group_b"]) for r in rows(study, "agreement_by_group")}
    assert found == {("a", "a"), ("a", "b")}
    kept = {c["model"]: trial for trial, c in configs(study).items()}
    stored = load_file(study / "trials" / kept["one"] / "model.safetensors")
    given = torch.load(tmp_path / "one.pt", weights_only=True)
    assert all(torch.equal(stored[name], given[name]) for name in given)
    check_page(study / "report" / "index.html", charts=10)
    given = {name: tensor + 1 for name, tensor in given.items()}
    save_file(given, tmp_path / "one.safetensors")
    text = (tmp_path / "models.toml").read_text().replace("one.pt", "one.safetensors")
    (tmp_path / "models.toml").write_text(text)
    assert "3 trials, 1 to do" in run("my_models", cwd=tmp_path).stderr
    table = rows(study, "agreement")
    assert len(table) == 2 * 3  # kinds times pairs: the former "one" is gone
    assert kept["one"] not in {row[side] for row in table for side in ("trial_a", "trial_b")}


def test_planes_and_pictures_of_every_kind_grow_without_training(tmp_path):
    small = ("--arch", "fcnet", "resnet", "--seeds", "2", "--epochs", "2")
    run("arch_repro", *small, cwd=tmp_path)
    study = tmp_path / "runs" / "arch_repro"
    before, first = weights(study), rows(study, "agreement")
    kinds = ("test", "train", "uniform", "shuffled", "mixed", "gaussian", "rotated")
    more = ("--plane-kinds", *kinds, "--adversarial-to", "resnet:1", "--picture-images", "30,72,42")
    grown = ("--picture-resolution", "30", "--sheets", "--confidence")
    ended = run("arch_repro", *small, *more, *grown, cwd=tmp_path)
    assert weights(study) == before
    agreement = rows(study, "agreement")
    assert {row["kind"] for row in agreement} == {*kinds, "adversarial"}
    assert [row for row in agreement if row["kind"] in ("test", "train")] == first
    shown = len(kinds) - 2 + 3  # the first of each other kind; test, adversarial and chosen
    sheets = study / "report" / "pictures"
    assert f"pictures: {sheets}" in ended.stdout
    assert len(list(sheets.glob("*.png"))) == 4 + 1
    for path in study.glob("trials/*/committed.json"):
        record = json.loads(path.read_text())
        assert len(record["pictures"]) == shown
        assert record["picture_resolution"] == 30
        (pictures,) = [name for name in record["files"] if name.startswith("pictures")]
        table = pq.read_table(path.parent / pictures)
        assert table.schema.metadata[b"resolution"] == b"30"
        assert {"labels", "confidence"} <= set(table.column_names)
    check_page(study / "report" / "index.html", charts=16)
    refused = run_here(
        "sweeps/arch_repro.py", *SMALL, *small, "--adversarial-to", "resnet:0", cwd=tmp_path
    )
    assert refused.returncode == 2
    assert "its adversarial planes are against trial" in refused.stderr
    assert "0 to do" in run("arch_repro", *small, *more, *grown, cwd=tmp_path).stderr


def test_a_dry_run_tells_the_cost_and_leaves_nothing(tmp_path):
    ended = run("optimizer_repro", "--arch", "mlp", "--dry-run", cwd=tmp_path)
    assert "trials: 9" in ended.stdout
    assert "storage: at most" in ended.stdout
    assert "rough time on this machine" in ended.stdout
    assert list(tmp_path.iterdir()) == []
