"""Columns of a score with its interval, which all tables of scores by group have."""

from typing import Any

from dbray.scores.intervals import Estimate


def interval_columns(name: str, found: Estimate, *, alone: bool = False) -> dict[str, Any]:
    """A score's columns; ``alone`` in its table, its interval is named without it."""
    prefix = "" if alone else f"{name}_"
    return {
        name: found.value,
        f"{prefix}low": found.low,
        f"{prefix}high": found.high,
        f"{prefix}standard_error": found.standard_error,
        f"{prefix}degrees_of_freedom": found.degrees_of_freedom,
        "planes_only": found.planes_only,
    }
