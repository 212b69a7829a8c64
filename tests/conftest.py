"""What tests of several rooms share; more of it is in fixtures/."""

import os
import sys
from pathlib import Path

import pytest

# Several processes test at once: threads of each that wait for work take the others' time.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from hypothesis import settings  # noqa: E402
from tiny_study import DESCRIBED  # noqa: E402

from dbray.datasets import Dataset, load_dataset  # noqa: E402
from dbray.store import Study, create_or_extend  # noqa: E402

# Timings are for benchmarks: the first call of a compiled function takes a second.
settings.register_profile("dbray", deadline=None)
settings.load_profile("dbray")

# Tests that run whole commands take most of the time: begun last, they would end alone.
FIRST = (
    *("test_distributed", "test_faults", "test_study", "test_studies", "test_nodes"),
    *("test_object_storage", "test_command_signals", "test_command_streams", "test_report"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST.index(name) if (name := item.path.stem) in FIRST else 9)


def pytest_sessionfinish() -> None:
    if "in_process" in sys.modules:
        sys.modules["in_process"].end_shared_ray()


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return create_or_extend(str(tmp_path), "study", DESCRIBED)
