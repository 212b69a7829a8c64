"""Options of studies: what they mean, what is refused, and how presets give way."""

import dataclasses
import runpy
import sys
from pathlib import Path

import pytest
from commands import ROOT

from dbray.command_line import parse
from dbray.errors import UserError
from dbray.planes import plane_kind
from dbray.study import StudyOptions, TrainingOptions, presets_with
from dbray.study.options import PRESETS


def test_pictures_by_id_by_kind_and_one_of_each_further_kind():
    options = StudyOptions(picture_planes="30, 72,train:4", plane_kinds=("test", "uniform"))
    assert options.pictured == [30, 72, 1_000_004, 2_000_000]
    assert StudyOptions(picture_planes="", plane_kinds=("test", "uniform")).pictured == []
    assert StudyOptions(picture_images=("30,72,42",)).chosen_images == [[30, 72, 42]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"picture_resolution": 1001}, "--picture-resolution 1001: must be at most 1000"),
        ({"picture_images": ("1,2",)}, "--picture-images 1,2: give three image ids"),
        ({"picture_images": ("1,2,x",)}, "--picture-images 1,2,x"),
        ({"picture_planes": "nothing:1"}, "no kind of planes"),
        ({"picture_planes": "adversarial:0"}, "come by --adversarial-to"),
        ({"picture_planes": "test:1000000"}, "give an id such as 30"),
        ({"picture_planes": "11000000"}, "give an id such as 30"),
        ({"picture_planes": "9" * 5000}, "give an id such as 30"),
        ({"picture_planes": "-1"}, "give an id such as 30"),
        ({"picture_planes": "²"}, "give an id such as 30"),
        ({"picture_planes": "٣"}, "give an id such as 30"),
        ({"picture_planes": ":3"}, "no kind of planes"),
        ({"picture_planes": "train_correct:0"}, "need label noise"),
        ({"picture_images": ("1,2,²",)}, "give three image ids"),
        ({"picture_images": ("1,2,٣",)}, "give three image ids"),
        ({"picture_images": ("1,2," + "9" * 5000,)}, "give three image ids"),
        ({"picture_images": ("1,2,-3",)}, "give three image ids"),
        ({"planes": 0}, "--planes 0: must be at least 1"),
        ({"mixup": -1.0}, "--mixup -1.0: must be at least 0"),
        ({"sam_radius": 0.0}, "--sam-radius 0.0: must be above 0"),
        ({"learning_rate": float("nan")}, "--learning-rate nan: must be a finite number"),
    ],
)
def test_what_cannot_be_is_named(change, message):
    with pytest.raises(UserError, match=message):
        TrainingOptions(**change).validate()


def test_pictures_that_are_asked_for_twice_are_one():
    options = StudyOptions(
        picture_planes="0,test:0,2000000",
        plane_kinds=("test", "uniform"),
        picture_images=("1,2,3", "1, 2, 3"),
    )
    assert options.pictured == [0, 2_000_000]
    assert options.chosen_images == [[1, 2, 3]]


def test_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert StudyOptions(data_dir=Path("~/data")).data_dir == tmp_path / "data"
    assert StudyOptions(data_dir=Path("~nobody-here/data")).data_dir == Path("~nobody-here/data")


def test_presets_change_options_that_there_are():
    names = {field.name for field in dataclasses.fields(TrainingOptions)}
    for preset in PRESETS.values():
        assert set(preset) <= names
        TrainingOptions(**preset).validate()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], (50, "digits", "study")),
        (["--preset", "paper"], (500, "cifar10", "own")),
        (["--preset", "paper", "--planes", "7"], (7, "cifar10", "own")),
        (["--dataset", "svhn", "--preset", "quick"], (100, "svhn", "study")),
    ],
)
def test_a_given_option_wins_over_the_preset(monkeypatch, arguments, expected):
    monkeypatch.setattr(sys, "argv", ["study", *arguments])
    found = parse(TrainingOptions, presets_with({"paper": {"name": "own"}}))
    assert (found.planes, found.dataset, found.name) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {("kl", 4)}),
        ({"size": "paper"}, {("mse", 4)}),  # which no temperature softens
        ({"size": "paper", "losses": ("kl", "mse")}, {("kl", 30), ("mse", 4)}),
        ({"losses": ("kl", "hard"), "temperature": 2.0}, {("kl", 2), ("hard", 4)}),
    ],
)
def test_what_students_learn_follows_the_size(digits, arguments, expected):
    script = runpy.run_path(str(ROOT / "sweeps" / "distillation.py"))
    options = script["Distillation"](teachers=("fcnet",), students=("mlp",), seeds=1, **arguments)
    taught = [config.distillation for config in script["grid"](options, digits)]
    assert {(each.loss, each.temperature) for each in taught if each} == expected


def test_double_descent_shows_training_images(digits):
    options = runpy.run_path(str(ROOT / "sweeps" / "double_descent.py"))["DoubleDescent"]()
    assert [plane_kind(plane_id) for plane_id in options.pictured] == ["train"]
    assert options.plane_kinds == ("test", "train")
