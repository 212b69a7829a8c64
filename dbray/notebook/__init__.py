"""For notebooks: models held against each other, and finished studies as frames. No Ray.

``compare`` needs torch and ``StudyResults`` does not, so each is imported when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbray.notebook.comparison import Comparison, compare
    from dbray.notebook.results import StudyResults

__all__ = ["Comparison", "StudyResults", "compare"]

_HOMES = {
    "Comparison": "dbray.notebook.comparison",
    "StudyResults": "dbray.notebook.results",
    "compare": "dbray.notebook.comparison",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class or a function
    if name not in _HOMES:
        raise AttributeError(f"module 'dbray.notebook' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
