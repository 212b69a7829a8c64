"""What several tests share: the embedded data set and a way to run commands as a user does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from dbray.datasets import Dataset, load_dataset

ROOT = Path(__file__).parents[1]

# Timings are for benchmarks: the first call of a compiled function takes a second.
settings.register_profile("dbray", deadline=None)
settings.load_profile("dbray")

# Tests that run whole commands take most of the time: begun last, they would end alone.
FIRST = ("test_studies", "test_study", "test_faults", "test_team", "test_nodes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST.index(name) if (name := item.path.stem) in FIRST else 9)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")


def run_script(
    *arguments: str, cwd: Path, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run a Python script of the project with its arguments, away from the project's folder."""
    script, *rest = arguments
    return subprocess.run(
        [sys.executable, str(ROOT / script), *rest],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )
