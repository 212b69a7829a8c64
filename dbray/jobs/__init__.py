"""Score jobs in one Ray Data pass: committed predictions in, score tables out."""

from itertools import islice

from dbray.jobs.agreement import AgreementJob
from dbray.jobs.distillation import DistillationJob
from dbray.jobs.fragmentation import FragmentationJob
from dbray.jobs.margins import LinesJob
from dbray.jobs.ray_data import Job, Task, tables_in_order
from dbray.jobs.scope import Scope, scope_of
from dbray.jobs.similarity import SimilarityJob
from dbray.store import Study

TABLES = (
    "agreement",
    "agreement_by_group",
    "fragmentation",
    "fragmentation_by_group",
    "lines",
    "lines_by_group",
    "similarity",
    "distillation",
)


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
    jobs: list[Job] = [
        FragmentationJob(study, scope),
        AgreementJob(study, scope),
        SimilarityJob(study, scope),
        DistillationJob(study, scope),
        LinesJob(study, scope),
    ]
    # One pass for all: a Ray Data job takes seconds to start.
    tasks = [Task(job, item) for job in jobs for item in job.items]
    tables = tables_in_order(tasks)
    for job in jobs:
        job.write(islice(tables, len(job.items)))


def _digest(study: Study, table: str) -> str | None:
    """Digest of the inputs that a score table was made of; None if there is no undamaged table."""
    try:
        with study.open_table(f"scores/{table}.parquet") as file:
            metadata = file.schema_arrow.metadata or {}
            for _ in file.iter_batches(use_threads=False):  # checks the pages
                pass
    except OSError:
        return None
    return str(metadata.get(b"inputs", b"").decode())


__all__ = ["TABLES", "Scope", "is_scored", "scope_of", "score"]
