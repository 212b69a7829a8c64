"""Every number that a script takes: an odd one is sensible or one line; and lists are sets."""

import dataclasses
import importlib.util
import sys
import typing

import pytest
from commands import ROOT
from in_process import run_without_ray

from dbray.errors import UserError
from dbray.study.bounds import BOUNDS

ODD = (float("inf"), float("-inf"), float("nan"), 1e30, 10**30, -1, 2**64, 10**4000)


def study_options():
    """Options classes of the scripts in sweeps/, each with the script's name."""
    for path in sorted((ROOT / "sweeps").glob("[a-z]*.py")):
        spec = importlib.util.spec_from_file_location(f"options_of_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        (options,) = (
            value
            for value in vars(module).values()
            if dataclasses.is_dataclass(value) and value.__module__ == spec.name
        )
        yield path.stem, options


STUDIES = dict(study_options())


def kinds_in(hint):
    """The plain types in a type with its unions and tuples taken apart."""
    parts = [part for part in typing.get_args(hint) if part is not Ellipsis]
    if typing.get_origin(hint) is typing.Literal:
        return set()
    return set().union(*map(kinds_in, parts)) if parts else {hint}


def options_of(kind):
    """(script, option) for every option of these types."""
    return [
        (script, name)
        for script, options in STUDIES.items()
        for name, hint in typing.get_type_hints(options).items()
        if kinds_in(hint) & kind
    ]


def with_value(script, name, value):
    """The script's options with one changed, as a list where it is one."""
    options = STUDIES[script]
    listed = "tuple" in str(typing.get_type_hints(options)[name])
    given = {"models": ROOT / "pyproject.toml"} if script == "my_models" else {}
    return options(**given | {name: (value,) if listed else value})


NUMBERS = options_of({int, float})


def test_every_number_has_bounds():
    assert {name for _, name in NUMBERS} == set(BOUNDS)


@pytest.mark.parametrize(("script", "name"), NUMBERS)
def test_an_odd_number_is_refused_by_its_options_name(script, name):
    least, most = BOUNDS[name]
    option = f"--{name.replace('_', '-')} "
    for value in ODD:
        with pytest.raises(UserError) as caught:
            with_value(script, name, value).validate()
        assert str(caught.value).startswith(option)
        assert "must be" in str(caught.value)
    for value in (least - 1, most + 1, least - 1e-9):
        with pytest.raises(UserError, match=option):
            with_value(script, name, value).validate()


@pytest.mark.parametrize(("script", "name"), NUMBERS)
def test_the_bounds_themselves_are_accepted(script, name):
    if name in ("learning_rate", "sam_radius", "temperature", "label_noise"):
        with_value(script, name, 0.5).validate()
        return
    for value in BOUNDS[name]:
        with_value(script, name, value).validate()


@pytest.mark.parametrize("gpus", [1.5, 0.00001, 2.25])
def test_a_share_of_gpus_that_ray_cannot_give(gpus):
    with pytest.raises(UserError, match="a share of one GPU"):
        with_value("arch_repro", "gpus_per_trial", gpus).validate()


@pytest.mark.parametrize(
    "arguments",
    [
        ("arch_repro", "--seeds", "1e30"),
        ("arch_repro", "--seeds", "nan"),
        ("arch_repro", "--seeds", "9" * 5000),
        ("arch_repro", "--planes", "1000001"),
        ("arch_repro", "--learning-rate", "inf"),
        ("arch_repro", "--plane-seed", str(2**64)),
        ("arch_repro", "--arch", f"resnet@{'9' * 5000}"),
        ("double_descent", "--label-noise", "nan"),
        ("double_descent", "--widths", "4", str(10**30)),
        ("double_descent", "--stop-epochs", "-1"),
        ("distillation", "--temperature", "inf"),
    ],
    ids=lambda a: " ".join(a)[:40],
)
def test_the_command_says_one_line_and_touches_nothing(tmp_path, arguments):
    script, *rest = arguments
    ended = run_without_ray(f"sweeps/{script}.py", *rest, cwd=tmp_path)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    assert len(line) < 1200
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


LISTS = [
    (script, field.name)
    for script, options in STUDIES.items()
    for field in dataclasses.fields(options)
    if "tuple" in str(typing.get_type_hints(options)[field.name])
]


def test_the_lists_are_those_that_we_know():
    assert {name for _, name in LISTS} == {
        *("arch", "optimizers", "losses", "teachers", "students", "widths", "label_noise"),
        *(
            "noise_kinds",
            "stop_epochs",
            "plane_kinds",
            "picture_images",
            "contrast",
            "options",
            "vary",
            "sources",
            "branch_epochs",
        ),
    }


@pytest.mark.parametrize(("script", "name"), LISTS)
def test_what_is_listed_twice_is_taken_once_and_in_order(script, name):
    twice = (3, 1, 3, 1, 2)
    assert getattr(STUDIES[script](**{name: twice}), name) == (3, 1, 2)


@pytest.mark.parametrize(("script", "name"), LISTS)
def test_an_empty_list_is_refused_unless_that_is_its_default(script, name):
    options = STUDIES[script]
    given = {"models": ROOT / "pyproject.toml"} if script == "my_models" else {}
    empty = options(**given | {name: ()})
    # Contrasts that were asked for are taken back by naming none.
    if getattr(options(), name) == () or name == "contrast":
        empty.validate()
        return
    with pytest.raises(UserError, match=f"--{name.replace('_', '-')}: give at least one value"):
        empty.validate()


@pytest.mark.parametrize("option", ["--arch", "--plane-kinds"])
def test_a_list_option_without_a_value(tmp_path, option):
    ended = run_without_ray("sweeps/arch_repro.py", option, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == f"error: {option}: give at least one value\n"
    assert list(tmp_path.iterdir()) == []


def test_one_architecture_under_two_spellings():
    with pytest.raises(UserError, match="--arch resnet@02: is resnet@2 again"):
        STUDIES["arch_repro"](arch=("resnet@2", "resnet@02")).validate()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": "mlp@3"}, "--widths says its widths"),
        ({"arch": "lenet", "widths": (3,)}, "unknown"),
        ({"arch": "fcnet"}, "say at which --widths"),
    ],
)
def test_a_family_that_cannot_be(change, message):
    with pytest.raises(UserError, match=message):
        STUDIES["double_descent"](**change).validate()
