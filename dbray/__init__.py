"""dbray measures how reproducible the training of a neural network is.

For notebooks: ``compare`` holds models against each other, ``StudyResults`` opens a finished study;
``load_dataset`` and ``build_model`` bring data and architectures by name. Most of these load torch,
and so are imported when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbray.architectures import build_model
    from dbray.datasets import load_dataset
    from dbray.notebook.comparing import compare
    from dbray.notebook.comparison import Comparison
    from dbray.notebook.results import StudyResults

__version__ = "0.1.0"
__all__ = ["Comparison", "StudyResults", "build_model", "compare", "load_dataset"]

_HOMES = {
    "Comparison": "dbray.notebook.comparison",
    "StudyResults": "dbray.notebook.results",
    "build_model": "dbray.architectures",
    "compare": "dbray.notebook.comparing",
    "load_dataset": "dbray.datasets",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class or a function
    if name not in _HOMES:
        raise AttributeError(f"module 'dbray' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
