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
        of_noise = [(config, error) for config, error in fits if str(config.noise) == noise]
        widths, errors = error_table(of_noise)
        threshold: Threshold = find_threshold(widths, errors)
        found |= {*refine_widths(widths, threshold, count, step=step)}
    return sorted(found)


def error_table(
    fits: Sequence[tuple[TrialConfig, float]],
) -> tuple[list[int], NDArray[np.float64]]:
    """Widths (W), and training errors (W, S) by width and seed; NaN where there is no trial."""
    widths = sorted({config.width for config, _ in fits})
    members = sorted({config.member for config, _ in fits})
    errors = np.full((len(widths), len(members)), np.nan)
    for config, error in fits:
        errors[widths.index(config.width), members.index(config.member)] = error
    return widths, errors


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
