"""Trainings that take seconds: what grouping them in a process brings."""

from benchmarks.sweep import of_study
from benchmarks.timing import Result


def run() -> list[Result]:
    """Run the double-descent study, three trainings a task as it does, and one a task."""
    return [
        *of_study("double_descent", "double descent", "", "<= 1.3 of it"),
        *of_study("double_descent", "one training a task", "", "", "--trainings-per-task", "1"),
    ]
