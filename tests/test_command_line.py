"""The command line: quick help, and one line with status 2 for whatever cannot be."""

import dataclasses
import importlib.util
import inspect
import sys
import time

import numpy as np
import pytest
from commands import ROOT, run_script
from in_process import run_without_ray

SCRIPT = "sweeps/arch_repro.py"
OPTIONS = "dbray.study.options"


def script_options():
    """Options classes of every script in sweeps/ and analysis/."""
    scripts = (path for room in ("sweeps", "analysis") for path in (ROOT / room).glob("[a-z]*.py"))
    for path in sorted(scripts):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module  # where inspect looks for a class's source
        spec.loader.exec_module(module)
        yield from (
            value
            for value in vars(module).values()
            if dataclasses.is_dataclass(value) and value.__module__ in (path.stem, OPTIONS)
        )


def test_help_comes_at_once_and_explains_every_option(tmp_path):
    started = time.monotonic()
    shown = run_script(SCRIPT, "--help", cwd=tmp_path)
    assert shown.returncode == 0
    # Far below what loading torch takes: the bound is on what is imported, not on the machine.
    assert time.monotonic() - started < 5
    (options,) = (o for o in script_options() if o.__name__ == "ArchRepro")
    for field in dataclasses.fields(options):
        assert f"--{field.name.replace('_', '-')}" in shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_parsing_loads_neither_torch_nor_ray(tmp_path):
    code = (
        "import sys, dbray.command_line, dbray.study, dbray.architectures; "
        "sys.exit(bool({'torch', 'ray', 'timm', 'pandas'} & sys.modules.keys()))"
    )
    (tmp_path / "check.py").write_text(code)
    assert run_script(str(tmp_path / "check.py"), cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("options", list(script_options()), ids=lambda o: o.__name__)
def test_every_option_is_documented(options):
    for owner in options.__mro__[:-1]:
        source = inspect.getsource(owner)
        for name in getattr(owner, "__annotations__", {}):
            after = source.split(f"    {name}: ", 1)[1]
            assert after.split("\n", 1)[1].lstrip().startswith('"""'), f"{owner.__name__}.{name}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nope"], "Unrecognized options: --nope"),
        (["--seeds", "many"], "--seeds"),
        (["--seeds", "0"], "--seeds 0: must be at least 1"),
        (["--planes", "-5"], "--planes -5"),
        (["--max-failures", "-1"], "--max-failures -1"),
        (["--learning-rate", "-0.1"], "--learning-rate"),
        (["--size", "huge"], "'small', 'paper'"),
        (["--arch", "lenet"], "choose one of fcnet, mlp, vit"),
        (["--arch", "vit@wide"], "positive number"),
        (["--dataset", "imagenet"], "choose one of digits"),
        (["--picture-planes", "odd:9"], "no kind of planes"),
        (["--picture-images", "1,2"], "give three image ids"),
    ],
)
def test_bad_options_get_one_line_and_touch_nothing(tmp_path, arguments, said):
    ended = run_script(SCRIPT, *arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert said in ended.stderr
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dataset", "npz:absent.npz"], "cannot be read"),
        (["--name", "../escape"], "study name"),
        (["--storage", "gopher://host"], "gopher"),
        (["--cpus-per-trial", "4000"], "asks for 4000 CPUs"),
        (["--arch", "absent_module:make"], "cannot be imported"),
        (["--dataset", "npz:two.npz"], "three different classes"),
    ],
)
def test_what_cannot_work_is_refused_before_a_study_is_made(tmp_path, arguments, said):
    images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 1, 8, 8)
    labels = np.array([0, 1, 0, 1])
    data = {f"{s}_images": images for s in ("train", "test")}
    np.savez(tmp_path / "two.npz", **data, **{f"{s}_labels": labels for s in ("train", "test")})
    ended = run_without_ray(SCRIPT, *arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert said in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["two.npz"]


def test_a_report_of_nothing(tmp_path):
    ended = run_script("analysis/report.py", "runs/absent", cwd=tmp_path)
    assert ended.returncode == 2
    assert "no study.json" in ended.stderr
