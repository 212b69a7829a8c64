"""For notebooks: models held against each other, and finished studies as frames. No Ray.

``compare`` needs torch and ``StudyResults`` does not, so each is imported when first asked for.
"""

from typing import TYPE_CHECKING, Any

import dbray

if TYPE_CHECKING:
    from dbray.notebook.comparing import compare
    from dbray.notebook.comparison import Comparison
    from dbray.notebook.results import StudyResults

__all__ = ["Comparison", "StudyResults", "compare"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class or a function
    if name not in __all__:
        raise AttributeError(f"module 'dbray.notebook' has no attribute {name!r}")
    return getattr(dbray, name)
