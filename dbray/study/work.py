"""What a study lacks, done in an order in which it can be done."""

import math
from collections.abc import Sequence
from dataclasses import replace

from dbray.architectures import ARCHITECTURES
from dbray.config import TrialConfig
from dbray.datasets import Dataset
from dbray.store import Study
from dbray.study.options import StudyOptions, TrainingOptions
from dbray.sweep import Resources, Work
from dbray.sweep.sweep import run_sweep
from dbray.trial import PlanePlan


def do_work(
    study: Study,
    work: Sequence[Work],
    dataset: Dataset,
    plan: PlanePlan,
    resources: Resources,
    options: StudyOptions,
) -> list[str]:
    """Do the work, teachers before their students; one line for each trial that is left over."""
    deterministic = isinstance(options, TrainingOptions) and options.deterministic
    left_over: list[str] = []
    for stage in _stages(work):
        ready = _with_teachers(study, stage, left_over)
        for workers in sorted({item.workers for item in ready}):
            left_over += run_sweep(
                study,
                _longest_first([item for item in ready if item.workers == workers]),
                dataset,
                plan,
                replace(resources, workers_per_trial=workers),
                deterministic=deterministic,
            )
    return left_over


def _stages(work: Sequence[Work]) -> list[list[Work]]:
    """Work in the order in which it can be done: teachers before their students."""
    taught = [isinstance(w.config, TrialConfig) and w.config.distillation is not None for w in work]
    return [
        [item for item, has in zip(work, taught, strict=True) if has == later]
        for later in (False, True)
    ]


def _longest_first(work: Sequence[Work]) -> list[Work]:
    """Work that ends with short trainings: a long one at the end leaves all other cores idle.

    How long one takes is known of the registry's architectures, and of their widths, which is the
    longer; others come first.
    """

    def length(item: Work) -> tuple[float, int]:
        if not isinstance(item.config, TrialConfig):
            return math.inf, 0
        known = ARCHITECTURES.get(item.config.architecture)
        return known.seconds if known else math.inf, item.config.width

    return sorted(work, key=length, reverse=True)


def _with_teachers(study: Study, work: Sequence[Work], left_over: list[str]) -> list[Work]:
    """Work whose teacher, if it needs one, is there; the rest is noted as left over."""
    ready = []
    for item in work:
        taught = item.config.distillation if isinstance(item.config, TrialConfig) else None
        if taught is None or item.committed or study.is_committed(taught.teacher):
            ready.append(item)
        else:
            left_over.append(f"{item.title}: its teacher {taught.teacher} has no result")
    return ready
