"""The README is true: its commands, its options, its links and the tables it documents."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, run_script

from dbray.store import schemas
from dbray.store.score_schemas import SCORE_TABLES

README = (ROOT / "README.md").read_text()
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/differences.md",
    *(f"docs/cluster/{name}.md" for name in ("own", "slurm", "kubernetes", "clouds")),
]


def test_ci_runs_the_readmes_test_command():
    command = 'pip install -e ".[dev]" && python -m pytest'
    assert command in README
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_relative_links_lead_somewhere(document):
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        here = (ROOT / document).parent
        assert target.startswith("https://") or (here / target).exists(), target


def test_every_option_the_readme_names_exists(tmp_path):
    scripts = [path.name for path in sorted((ROOT / "sweeps").glob("*.py"))]
    assert all(f"sweeps/{script}" in README for script in scripts)
    commands = [*(f"sweeps/{script}" for script in scripts), "analysis/export.py"]
    helps = [run_script(command, "--help", cwd=tmp_path).stdout for command in commands]
    benchmarks = [sys.executable, "-m", "benchmarks", "--help"]
    helps.append(subprocess.check_output(benchmarks, cwd=ROOT, text=True))
    known = "\n".join(helps)
    ours = re.sub(r"--command \"[^\"]+\"", "--command", README)
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours)):
        assert option in known, option


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        *(
            (name, getattr(schemas, name))
            for name in ("PLANES", "ANCHORS", "HISTORY", "LINES", "RECORDS")
        ),
        *SCORE_TABLES.items(),
    ],
)
def test_every_column_is_documented(name, schema):
    for column in schema.names:
        # A score's interval has the same columns everywhere.
        shown = re.sub("_(low|high|standard_error|degrees_of_freedom)$", "", column)
        assert f"`{shown}`" in README, f"{name}: {column}"


def test_the_readers_example_runs(tmp_path):
    """The Python in the README, on a real study of the size that it speaks of."""
    from synthetic_study import write_synthetic_study

    found = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (code,) = [code for code in found if "pyarrow" in code]
    write_synthetic_study(tmp_path / "runs", "arch_repro")
    for path in tmp_path.glob("runs/arch_repro/trials/*/pictures.parquet"):
        path.rename(path.with_name("predictions.parquet"))
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(r"0\.\d+\n", ended.stdout)


def test_no_file_is_long():
    for path in [
        p for room in ("dbray", "analysis", "sweeps") for p in Path(ROOT / room).rglob("*.py")
    ]:
        assert len(path.read_text().splitlines()) <= 310, path
