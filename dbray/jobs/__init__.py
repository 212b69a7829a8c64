"""Score jobs in one Ray Data pass: committed predictions in, score tables out."""

from itertools import islice

from dbray.jobs.agreement import AgreementJob
from dbray.jobs.distillation import DistillationJob
from dbray.jobs.fragmentation import FragmentationJob
from dbray.jobs.margins import LinesJob
from dbray.jobs.ray_data import Job, Task, tables_in_order
from dbray.jobs.similarity import SimilarityJob
from dbray.store import Study, scope_of, stale_tables
from dbray.store.schemas import SCORE_TABLES

TABLES = tuple(SCORE_TABLES)


def is_scored(study: Study) -> bool:
    """Whether the score tables are those of exactly the committed predictions."""
    return not stale_tables(study, scope_of(study, study.committed()), read_through=True)


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


__all__ = ["TABLES", "is_scored", "score"]
