"""The explorer: label maps of all models on one slice, and what is where one points.

``models.py`` and ``slices.py`` read and pack; ``slices.js`` computes, ``explorer.js`` shows.
"""

from dbray.report.explorer.models import Shown
from dbray.report.explorer.part import HOW, explorer_of, instrument
from dbray.report.explorer.slices import Slice, packed_columns

__all__ = [
    "HOW",
    "Shown",
    "Slice",
    "explorer_of",
    "instrument",
    "packed_columns",
]
