"""Scores and intervals of tables in words."""

from typing import Any

import pandas as pd

from dbray.claims.words import PLANES_ONLY, with_interval


def row_with_interval(row: dict[str, Any], name: str, *, signed: bool = False) -> str:
    """A score of a table's row by its columns ``name``, ``name_low`` and so on."""
    ends = (row[f"{name}_low"], row[f"{name}_high"])
    return with_interval(row[name], *ends, planes_only=row["planes_only"], signed=signed)


def ends_in_words(rows: pd.DataFrame, form: str = ".3f") -> list[str]:
    """The intervals ``low`` to ``high`` of all rows, for tooltips."""
    return [
        "none"
        if pd.isna(low)
        else f"{low:{form}} to {high:{form}}{f' ({PLANES_ONLY})' if planes_only else ''}"
        for low, high, planes_only in zip(rows.low, rows.high, rows.planes_only, strict=True)
    ]
