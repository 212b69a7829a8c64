"""What a claim compares: weighted sums of scores, named before anything is measured."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dbray.planes import PlaneKind
from dbray.store import CommittedTrial

Measure = Literal["agreement", "fragmentation", "test_error", "distillation", "randomness"]
NAMED = "named"  # claim of the contrasts that a user names
SCORED_KIND: PlaneKind = "test"  # reproducibility is defined on planes through test images


class Key(NamedTuple):
    """A score of a study; within one group, or of one group, both names are equal."""

    measure: Measure
    kind: str  # of planes; empty where there are none
    group_a: str
    group_b: str


@dataclass(frozen=True)
class Contrast:
    """A difference of scores: their sum, each with its weight. It is expected to be positive."""

    claim: str
    name: str
    weights: Mapping[Key, float]
    decides: bool = True  # or stands beside those that do


@dataclass(frozen=True)
class Claim:
    """A statement about reproducibility, and the contrasts that would show it.

    Attributes
    ----------
    name
        C1 to C9, or ``NAMED``.
    missing
        What the study lacks to check it, or all of it, for people.
    """

    name: str
    statement: str
    contrasts: tuple[Contrast, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class Asked:
    """What there is to compare in a study.

    Attributes
    ----------
    trials
        Finished trials by group.
    kinds
        Kinds of planes that are scored.
    across
        Whether models of different groups are compared, too.
    group_by
        Config fields that make the groups.
    named
        Contrasts that a user asks for, as texts.
    """

    trials: Mapping[str, Sequence[CommittedTrial]]
    kinds: tuple[str, ...]
    across: bool = True
    group_by: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def repeated(self) -> list[str]:
        """Groups of two or more trials, which have an agreement within."""
        return [label for label, trials in self.trials.items() if len(trials) > 1]


def within(label: str, kind: str = SCORED_KIND) -> Key:
    """Agreement of two models of one group."""
    return Key("agreement", kind, label, label)


def mean_of(keys: Sequence[Key], weight: float = 1.0) -> dict[Key, float]:
    """Weights of ``weight`` times the mean of scores."""
    return {key: weight / len(keys) for key in keys}


def less(above: Sequence[Key], below: Sequence[Key]) -> dict[Key, float]:
    """Weights of the mean of some scores less the mean of others."""
    return summed([mean_of(above), mean_of(below, -1.0)])


def summed(terms: Iterable[Mapping[Key, float]]) -> dict[Key, float]:
    """Weights of a sum of sums."""
    total: dict[Key, float] = {}
    for weights in terms:
        for key, weight in weights.items():
            total[key] = total.get(key, 0.0) + weight
    return total
