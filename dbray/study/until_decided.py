"""Adding seeds until contrasts are told from zero, and how many that would take.

A study is looked at after 3, 5, 8, 12, ... seeds, at most ``--until-decided``. Who looks K times
and stops at the first success must not give each look the whole error: each gets 1/K of it
(Bonferroni), which holds however the looks depend on each other. The looks stand in
``study.json``, so that later commands and the page keep to them.

References
----------
Jennison and Turnbull, *Group Sequential Methods with Applications to Clinical Trials*, 1999.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from dbray.claims import NAMED, Result, decided, read_results
from dbray.claims.verdicts import in_words, needed_in_words
from dbray.errors import UserError
from dbray.scores.jackknife import FEWEST_SEEDS
from dbray.store import Study, study_at
from dbray.study.options import TrainingOptions

Options = TypeVar("Options", bound=TrainingOptions)
GROWTH = 1.5  # of the number of seeds from one look to the next


def planned_looks(most: int) -> list[int]:
    """Numbers of seeds after which a study is looked at.

    Examples
    --------
    >>> planned_looks(10)
    [3, 5, 8, 10]
    """
    looks = [FEWEST_SEEDS]
    while (further := math.ceil(GROWTH * looks[-1])) < most:
        looks.append(further)
    return sorted({*looks, most})


def add_seeds(options: Options, run: Callable[[Options], int]) -> int:
    """Run a study; with ``--until-decided``, with more and more seeds.

    The contrasts that the user has named are to be decided, or, where none is, the paper's.

    Returns
    -------
    What the last run returned.
    """
    if not options.until_decided or options.dry_run:
        return run(options)
    study, status = study_at(options.storage, options.name), 0
    for seeds in planned_looks(options.until_decided):
        if seeds < options.seeds:
            continue
        status = run(replace(options, seeds=seeds))
        if status or not undecided(study):
            break
    if not status and not _to_decide(study):
        print(  # noqa: T201
            "--until-decided: there is nothing to decide; name a difference by --contrast",
            file=sys.stderr,
        )
    return status


def undecided(study: Study) -> list[Result]:
    """Contrasts that decide something and are not told from zero."""
    return [result for result in _to_decide(study) if not decided(result)]


def _to_decide(study: Study) -> list[Result]:
    """The contrasts that the user has named, or, where none is, those that decide a claim."""
    results = [result for result in read_results(study) if result.decides]
    return [result for result in results if result.claim == NAMED] or results


def seeds_in_words(study: Study) -> list[str]:
    """For every undecided contrast of a scored study, what would decide it; none without scores."""
    try:
        open_ones = undecided(study)
    except (OSError, UserError):
        return []
    lines = []
    for result in open_ones:
        claim = "" if result.claim == NAMED else f"{result.claim}, "
        lines.append(
            f"  {claim}{result.name}: {in_words(result)} of {result.seeds} seeds; "
            f"{needed_in_words(result)} seeds"
        )
    head = "not told from zero yet, and the seeds that would tell if means and variances stay:"
    return [head, *lines] if lines else []
