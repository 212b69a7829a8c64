"""Score tables that are their parts, one after the other."""

from collections.abc import Iterator

import pyarrow as pa

from dbray.store import Study
from dbray.store.scope import Scope
from dbray.store.score_schemas import SCORE_TABLES


def write_parts(study: Study, scope: Scope, name: str, parts: Iterator[pa.Table]) -> None:
    """Write a score table from its parts as they come; one is held at a time."""
    schema = scope.stamped(SCORE_TABLES[name])
    with study.new_table(f"scores/{name}.parquet", schema) as writer:
        for part in parts:
            writer.write_table(part.cast(schema))
