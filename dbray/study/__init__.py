"""A study from its options to its page: the grid, what is missing, what it costs, doing it.

Importing the room is quick, so that ``--help`` is; the modules that need torch or Ray are imported
where a command begins its work.
"""

from dbray.study.options import StudyOptions, TrainingOptions, presets_with

__all__ = ["StudyOptions", "TrainingOptions", "presets_with"]
