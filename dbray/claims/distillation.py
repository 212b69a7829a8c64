"""The claim about distillation, C6, and which trials it compares.

A student is compared with its own teacher, and with it the same student (architecture, recipe,
seeds) trained on labels: three trials that belong together.

References
----------
Somepalli et al., CVPR 2022, section 3.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from dbray.claims.contrasts import SCORED_KIND, Asked, Claim, Contrast, Key, mean_of
from dbray.claims.names import display_name
from dbray.config import TrialConfig
from dbray.store import CommittedTrial

STATEMENT = "A distilled student is closer to its teacher than the same student trained on labels."
LOSSES = {
    "kl": "soft outputs (KL divergence)",
    "hard": "the teacher's classes (cross-entropy)",
    "mse": "the teacher's logits (squared error)",
}


class Taught(NamedTuple):
    """A teacher's and a student's name, and what the student learns."""

    teacher: str
    student: str
    loss: str
    temperature: float

    @property
    def learned(self) -> str:
        """What the student learns, for people."""
        warm = f", temperature {self.temperature:g}" if self.loss == "kl" else ""
        return LOSSES[self.loss] + warm

    @property
    def key(self) -> Key:
        """The score by how much the student is closer to its teacher than from labels."""
        name = f"{self.teacher} to {self.student} by {self.loss} at {self.temperature:g}"
        return Key("distillation", SCORED_KIND, name, name)


@dataclass(frozen=True)
class Triple:
    """Trials that belong together."""

    teacher: CommittedTrial
    distilled: CommittedTrial
    from_labels: CommittedTrial

    @property
    def ids(self) -> set[str]:
        """Ids of the three."""
        return {t.trial_id for t in (self.teacher, self.distilled, self.from_labels)}


def triples(trials: Iterable[CommittedTrial]) -> dict[Taught, list[Triple]]:
    """All seeds of each teacher, student and loss, as far as all three trials are there."""
    by_id = {trial.trial_id: trial for trial in trials}
    found: dict[Taught, list[Triple]] = {}
    for trial in by_id.values():
        config = trial.config
        if not isinstance(config, TrialConfig) or not config.distillation:
            continue
        twin, taught = replace(config, distillation=None), config.distillation
        teacher, from_labels = by_id.get(taught.teacher), by_id.get(twin.trial_id)
        if teacher and from_labels:
            key = Taught(taught.teacher_architecture, twin.name, taught.loss, taught.temperature)
            found.setdefault(key, []).append(Triple(teacher, trial, from_labels))
    ordered = sorted(found.items(), key=lambda item: item[0])
    return {key: sorted(some, key=lambda t: t.distilled.trial_id) for key, some in ordered}


def seed_units(of_pairs: Iterable[list[Triple]]) -> list[set[str]]:
    """Trials by the seed of their students: what is left out together, to see what a seed does.

    A unit holds the students and the twins of one seed. Where a twin is a teacher, too, as among
    students of their teacher's architecture, its unit takes that teacher's triple along.
    """
    units: dict[str, set[str]] = {}
    for some in of_pairs:
        for triple in some:
            own = {triple.distilled.trial_id, triple.from_labels.trial_id}
            units.setdefault(triple.from_labels.config.member, set()).update(own)
    return [units[member] for member in sorted(units)]


def distillation_claim(asked: Asked) -> Claim:
    """How much closer distilled students are, averaged over the teachers and students."""
    if SCORED_KIND not in asked.kinds:
        return Claim("C6", STATEMENT, missing="It needs test planes.")
    found = triples(trial for trials in asked.trials.values() for trial in trials)
    if not found:
        missing = "It needs finished students with their teachers and twins trained on labels."
        return Claim("C6", STATEMENT, missing=missing)
    losses = {taught.learned for taught in found}
    name = "distilled \N{MINUS SIGN} from labels"
    whole = Contrast("C6", name, mean_of([taught.key for taught in found]))
    single = [
        Contrast(
            "C6",
            f"{display_name(taught.student)} from {display_name(taught.teacher)}"
            + (f" ({taught.learned})" if len(losses) > 1 else ""),
            {taught.key: 1.0},
            decides=False,
        )
        for taught in found
    ]
    return Claim("C6", STATEMENT, (whole, *(single if len(single) > 1 else ())))
