"""The explorer: label maps of all models on one slice, and what is where one points.

``models.py`` and ``slices.py`` read and pack; ``slices.js`` computes, ``explorer.js`` shows.
"""

from dbray.report.explorer.part import TITLE, explorer, script, style

__all__ = ["TITLE", "explorer", "script", "style"]
