"""Ray Data jobs: committed predictions in, score tables out."""

import io

import pyarrow.parquet as pq

from dbray.jobs.agreement import score_agreement
from dbray.jobs.fragmentation import score_fragmentation
from dbray.jobs.scope import Scope, scope_of
from dbray.store.study import Study

TABLES = ("agreement", "agreement_by_group", "fragmentation")


def is_scored(study: Study) -> bool:
    """Whether the score tables are those of exactly the committed predictions."""
    digest = scope_of(study, study.committed()).digest
    return all(_digest(study, table) == digest for table in TABLES)


def score(study: Study) -> None:
    """Write the score tables of the study's committed trials.

    Failed and damaged trials are left out of every score.

    Raises
    ------
    UserError
        If the study has no committed trial.
    """
    scope = scope_of(study, study.committed())
    score_fragmentation(study, scope)
    score_agreement(study, scope)


def _digest(study: Study, table: str) -> str | None:
    """Digest of the inputs that a score table was made of; None if there is no readable table."""
    try:
        data = study.folder.read(f"scores/{table}.parquet")
        metadata = pq.read_schema(io.BytesIO(data)).metadata or {}
    except (OSError, ValueError):
        return None
    return str(metadata.get(b"inputs", b"").decode())


__all__ = ["TABLES", "Scope", "scope_of", "score"]
