"""Score jobs in one Ray Data pass: committed predictions in, score tables out."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa

from dbray.claims import Key, asked_of, study_claims
from dbray.jobs.agreement import AgreementJob
from dbray.jobs.along_training import AlongTrainingJob
from dbray.jobs.branches import BranchesJob
from dbray.jobs.contrasts import Contrasts
from dbray.jobs.distillation import SEEDS, DistillationJob
from dbray.jobs.ensembles import EnsemblesJob
from dbray.jobs.errors import ErrorsJob
from dbray.jobs.fragmentation import FragmentationJob
from dbray.jobs.images import ImagesJob
from dbray.jobs.margins import LinesJob
from dbray.jobs.randomness import RandomnessJob
from dbray.jobs.ray_data import Job, Task, tables_in_order
from dbray.jobs.similarity import SimilarityJob
from dbray.scores.jackknife import LEVEL, over_trials
from dbray.scores.randomness import BASES
from dbray.store import Study, scope_of
from dbray.store.schemas import parquet_bytes
from dbray.store.score_schemas import CONTRASTS, SCORE_TABLES

TABLES = tuple(SCORE_TABLES)


def score(
    study: Study, run: Callable[[Sequence[Task]], Iterator[pa.Table]] = tables_in_order
) -> None:
    """Write the score tables of the study's committed trials.

    Failed and damaged trials are left out of every score.

    Parameters
    ----------
    run
        Gives the tasks' results in the tasks' order; by default each task is one of Ray Data.

    Raises
    ------
    UserError
        If the study has no committed trial.
    """
    scope = scope_of(study, study.committed())
    groups = scope.groups()
    # Whoever looks several times, and stops when something is told, splits the error over the looks
    # (Bonferroni's inequality holds however they depend on each other).
    level = 1 - (1 - LEVEL) / max(1, len(scope.looks))
    students = DistillationJob(study, scope)
    sources = RandomnessJob(study, scope)
    units = {SEEDS: len(students.units), BASES: sources.bases}
    sizes = {name: len(trials) for name, trials in groups.items()} | units
    contrasts = Contrasts(study_claims(asked_of(scope)), sizes, level)
    jobs: list[Job] = [
        FragmentationJob(study, scope),
        AgreementJob(study, scope),
        SimilarityJob(study, scope),
        ImagesJob(study, scope),
        EnsemblesJob(study, scope),
        students,
        sources,
        ErrorsJob(study, scope),
        AlongTrainingJob(study, scope),
        BranchesJob(study, scope),
        LinesJob(study, scope),
    ]
    # One pass for all: a Ray Data job takes seconds to start.
    tasks = [Task(job, item) for job in jobs for item in job.items]
    tables = run(tasks)
    for job in jobs:
        job.write(islice(tables, len(job.items)), contrasts)
    images = study.info["dataset"].get("test_images", 0)
    for name, trials in groups.items():
        errors = [1 - t.metrics["test_accuracy"] for t in trials if "test_accuracy" in t.metrics]
        if len(errors) == len(trials):
            parts = over_trials(np.array(errors), name, images=images)
            contrasts.take(Key("test_error", "", name, name), parts)
    table = contrasts.table().cast(scope.stamped(CONTRASTS))
    study.write_bytes("scores/contrasts.parquet", parquet_bytes(table))


__all__ = ["TABLES", "score"]
