"""How a score and its interval are written on a page."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

PLANES_ONLY = "planes only"  # mark of an interval that two seeds cannot widen
PLANES_ONLY_MEANS = (
    "Where two seeds are one pair, only the planes can vary: the interval is marked planes only, "
    "says nothing about new seeds, and decides nothing."
)


def with_interval(
    value: float,
    low: float,
    high: float,
    *,
    planes_only: bool = False,
    signed: bool = False,
    digits: int = 3,
) -> str:
    """A score with its 95 % interval in brackets, alone where there is none.

    Examples
    --------
    >>> with_interval(0.7124, 0.69, 0.73)
    '0.712 [0.690, 0.730]'
    """
    form = f"{'+' if signed else ''}.{digits}f"
    if math.isnan(low):
        return f"{value:{form}}"
    mark = f" {PLANES_ONLY}" if planes_only else ""
    return f"{value:{form}} [{low:{form}}, {high:{form}}]{mark}"


def one_image(dataset: Mapping[str, Any], split: str) -> float:
    """Share of one image of a split (``test_images``); 0 where a study does not say how many."""
    count = dataset.get(split, 0)
    return 1 / count if count else 0.0


def row_with_interval(row: dict[str, Any], name: str, *, signed: bool = False) -> str:
    """A score of a table's row by its columns ``name``, ``name_low`` and so on."""
    ends = (row[f"{name}_low"], row[f"{name}_high"])
    return with_interval(row[name], *ends, planes_only=row["planes_only"], signed=signed)


def ends_in_words(rows: pd.DataFrame) -> list[str]:
    """The intervals ``low`` to ``high`` of all rows, for tooltips."""
    return [
        "none"
        if math.isnan(low)
        else f"{low:.3f} to {high:.3f}{f' ({PLANES_ONLY})' if planes_only else ''}"
        for low, high, planes_only in zip(rows.low, rows.high, rows.planes_only, strict=True)
    ]
