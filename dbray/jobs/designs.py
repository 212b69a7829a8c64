"""Trials of a study that varies sources of randomness, as its score jobs compare them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dbray.claims.randomness import VARIED, seeds_of
from dbray.config import TrialConfig, architecture_name
from dbray.scores.randomness import Design, pairs_by_design
from dbray.store import CommittedTrial
from dbray.store.scope import Scope

Trials = Sequence[CommittedTrial]


def varied_trials(scope: Scope) -> list[tuple[str, Trials]]:
    """The trials of each architecture but branches; none in a study that varies nothing alone."""
    if scope.group_by != ("architecture", VARIED):
        return []
    found: dict[str, list[CommittedTrial]] = {}
    for _, trial in sorted(scope.grouped_trials, key=lambda pair: pair[1].trial_id):
        if isinstance(trial.config, TrialConfig) and not trial.config.branch:
            name = architecture_name(trial.config.architecture, trial.config.width)
            found.setdefault(name, []).append(trial)
    return [(name, _of_one_kind(trials)) for name, trials in sorted(found.items())]


def designs_of(trials: Trials) -> dict[Design, NDArray[np.int64]]:
    """Pairs of trials, shape (pairs, 2), by what differs between the two."""
    return pairs_by_design(*zip(*map(_seeds, trials), strict=True))


def bases_of(trials: Trials) -> list[int]:
    """The seeds that their sources take."""
    return sorted(set().union(*map(_bases, trials)))


def touched_bases(trials: Trials, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which bases each pair has a seed of, shape (pairs, B)."""
    bases = bases_of(trials)
    touches = np.array([[base in _bases(trial) for base in bases] for trial in trials])
    return np.asarray(touches[pairs[:, 0]] | touches[pairs[:, 1]])


def _seeds(trial: CommittedTrial) -> tuple[dict[str, int], dict[str, int]]:
    """Seeds of a trial's sources, and what has no seed."""
    config = trial.config
    if not isinstance(config, TrialConfig):
        raise TypeError("a trial of another kind has no seeds")
    return seeds_of(config)


def _of_one_kind(trials: Trials) -> Trials:
    """Trials with the most sources: those that draw a sample, where there are some."""
    most = max(len(_seeds(trial)[0]) for trial in trials)
    return [trial for trial in trials if len(_seeds(trial)[0]) == most]


def _bases(trial: CommittedTrial) -> set[int]:
    return set(trial.config.seeds.values()) if isinstance(trial.config, TrialConfig) else set()
