"""Verdicts: what the measured contrasts of a claim say, by one rule for all claims.

A claim *holds* when the interval of every one of its contrasts lies above zero; as all of them
must, no correction is needed (an intersection-union test, Berger 1982). It *does not hold* when
one lies below zero after Holm's correction. Otherwise it *cannot be told*, and the verdict says
what would decide it. Below three seeds nothing is decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dbray.claims.contrasts import Claim
from dbray.claims.words import with_interval
from dbray.scores.jackknife import FEWEST_SEEDS, MOST_SEEDS

Outcome = Literal["holds", "does not hold", "cannot be told"]
NO_NUMBER = f"no number of seeds up to {MOST_SEEDS} at this size of effect"


@dataclass(frozen=True)
class Result:
    """A measured contrast: a row of ``contrasts.parquet``.

    Attributes
    ----------
    decides
        Whether the claim's verdict depends on it, or it stands beside those that do.
    difference, low, high
        The contrast with its interval at ``level``; positive is what the claim says.
    p, p_holm
        Of the two-sided test that it is zero; corrected for the claim's other contrasts.
    seeds
        Trials of the smallest group in it.
    seeds_needed
        Seeds with which its interval would not reach zero, if means and variances stay; None if
        more than ``MOST_SEEDS``, or if it cannot be said.
    """

    claim: str
    name: str
    decides: bool
    difference: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float
    p: float
    p_holm: float | None
    level: float
    planes_only: bool
    seeds: int
    seeds_needed: int | None


@dataclass(frozen=True)
class Verdict:
    """What a study says about one claim.

    Attributes
    ----------
    seeds_needed
        Seeds that would decide it; None where it is decided, or no number would.
    """

    claim: Claim
    outcome: Outcome
    reason: str
    results: tuple[Result, ...] = ()
    seeds_needed: int | None = None


def decided(result: Result) -> bool:
    """Whether a contrast is told from zero, in either direction."""
    enough = result.seeds >= FEWEST_SEEDS and not result.planes_only
    return enough and result.p < 1 - result.level


def verdict(claim: Claim, results: Sequence[Result]) -> Verdict:
    """What the measured contrasts of a claim say."""
    own = tuple(result for result in results if result.claim == claim.name)
    told = [result for result in own if result.decides]
    if not told:
        return Verdict(claim, "cannot be told", "There is nothing to compare.", own)
    against = [r for r in told if decided(r) and r.difference < 0 and _corrected(r) < 1 - r.level]
    if all(decided(result) and result.difference > 0 for result in told):
        return Verdict(claim, "holds", _above(told), own)
    if against:
        clearest = min(against, key=lambda result: result.p)
        text = f"The difference {clearest.name} lies below zero: {in_words(clearest)}."
        return Verdict(claim, "does not hold", text, own)
    return Verdict(claim, "cannot be told", _undecided(told), own, seeds_to_settle(told))


def seeds_to_settle(told: Sequence[Result]) -> int | None:
    """Seeds at which undecided contrasts would give a verdict, if all stays as it is.

    With a contrast of the wrong sign among them, those at which the first of these would be below
    zero; otherwise those at which all are above.
    """
    open_ones = [result for result in told if not decided(result)]
    wrong = [result for result in open_ones if result.difference < 0]
    if wrong:
        known = [result.seeds_needed for result in wrong if result.seeds_needed]
        return min(known, default=None)
    needed = [result.seeds_needed for result in open_ones]
    return None if None in needed else max((n for n in needed if n), default=None)


def in_words(result: Result) -> str:
    """A difference with its interval."""
    ends = (result.low, result.high)
    return with_interval(result.difference, *ends, planes_only=result.planes_only, signed=True)


def needed_in_words(result: Result) -> str:
    """How many seeds would tell a difference from zero, if all stays as it is."""
    if result.seeds < FEWEST_SEEDS or result.planes_only:
        return f"at least {FEWEST_SEEDS}"
    return f"more than {MOST_SEEDS}" if result.seeds_needed is None else str(result.seeds_needed)


def _above(told: Sequence[Result]) -> str:
    least = min(told, key=lambda result: result.low)
    if len(told) == 1:
        return f"The difference {least.name} lies above zero: {in_words(least)}."
    said = f"{least.name}, {in_words(least)}"
    return f"All {len(told)} differences lie above zero. The closest to it is {said}."


def _undecided(told: Sequence[Result]) -> str:
    above = sum(decided(result) and result.difference > 0 for result in told)
    few = min(result.seeds for result in told)
    if few < FEWEST_SEEDS:
        have = f"{few} seeds of a group decide" if few != 1 else "One seed of a group decides"
        return f"{have} nothing; {FEWEST_SEEDS} are needed."
    names = "; ".join(f"{r.name}, {in_words(r)}" for r in told if not decided(r))
    lead = f"{above} of {len(told)} differences lie above zero. " if above else ""
    return f"{lead}Not told from zero: {names}."


def _corrected(result: Result) -> float:
    return result.p if result.p_holm is None else result.p_holm
