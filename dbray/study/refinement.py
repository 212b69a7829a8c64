"""Widths of a double-descent study: those it has, and new ones around its thresholds."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dbray.config import TrialConfig
from dbray.errors import UserError
from dbray.scores.threshold import Threshold, find_threshold, refine_widths
from dbray.store import CommittedTrial, Study


def known_widths(study: Study, architecture: str) -> list[int]:
    """Widths of an architecture's finished trials, ascending; none where there is no study."""
    return sorted({config.width for config, _ in _fits(study, architecture)})


def new_widths(study: Study, architecture: str, count: int, *, step: int = 1) -> list[int]:
    """So many widths around the threshold of each label noise in the study.

    Raises
    ------
    UserError
        If no trial of the architecture is finished.
    """
    fits = _fits(study, architecture)
    if not fits:
        raise UserError(
            f"--refine {count}: study {study.name} has no finished trial of {architecture} yet; "
            "run it without this option first"
        )
    found: set[int] = set()
    for noise in {str(config.noise) for config, _ in fits}:
        errors = errors_by_width([fit for fit in fits if str(fit[0].noise) == noise])
        threshold: Threshold = find_threshold(list(errors), list(errors.values()))
        found |= {*refine_widths(list(errors), threshold, count, step=step)}
    return sorted(found)


def errors_by_width(fits: Sequence[tuple[TrialConfig, float]]) -> dict[int, NDArray[np.float64]]:
    """Training errors of each width's seeds, the widths ascending."""
    widths = sorted({config.width for config, _ in fits})
    return {w: np.array([error for config, error in fits if config.width == w]) for w in widths}


def _fits(study: Study, architecture: str) -> list[tuple[TrialConfig, float]]:
    """Fully trained trials of an architecture with their training errors."""
    trials: list[CommittedTrial] = study.committed() if study.folder.exists("study.json") else []
    return [
        (trial.config, 1 - trial.metrics["fit_accuracy"])
        for trial in trials
        if isinstance(trial.config, TrialConfig)
        and trial.config.architecture == architecture
        and trial.config.stop_epoch is None
    ]
