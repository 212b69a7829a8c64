"""What two studies side by side have found: changes, equal models, agreement across."""

from collections.abc import Sequence

from dbray.claims.names import display_name
from dbray.claims.words import PLANES_ONLY
from dbray.report.page.page import Finding
from dbray.report.tables.two_studies import GroupPair
from dbray.scores.intervals import Estimate

SIGNIFICANT = 0.05


def two_studies_findings(pairs: Sequence[GroupPair], names: tuple[str, str]) -> list[Finding]:
    """Whether models of one seed are the same, and where reproducibility has changed the most."""
    return [*_of_changes(pairs, names), *_of_same_seeds(pairs), *_of_other_seeds(pairs)]


def _of_changes(pairs: Sequence[GroupPair], names: tuple[str, str]) -> list[Finding]:
    told = [pair for pair in pairs if pair.p_holm is not None and pair.change]
    if not told:
        return []
    clearest = min(told, key=lambda pair: pair.p_holm or 0)
    changed = sum((pair.p_holm or 0) < SIGNIFICANT for pair in told)
    how_many = (
        f"It has changed in {changed} of {len(told)} groups"
        if changed
        else f"In none of {len(told)} groups has it changed by more than chance allows"
    )
    change = clearest.change
    assert change is not None  # noqa: S101 - only such pairs were chosen
    return [
        Finding(
            f"{100 * change.value:+.1f} points",
            f"95 % interval {100 * change.low:+.1f} to {100 * change.high:+.1f}",
            f"in a hundred more are agreed on by two seeds of {display_name(clearest.label)} in "
            f"{names[1]} than in {names[0]}, the clearest change of reproducibility. {how_many}.",
        )
    ]


def _of_same_seeds(pairs: Sequence[GroupPair]) -> list[Finding]:
    """Whether models of equal seeds are the same, which is what an equal machine gives."""
    same = [(pair.same_seed, pair.label) for pair in pairs if pair.same_seed]
    if not same:
        return []
    least, label = min(same, key=lambda found: found[0].value)
    meaning = (
        "of points get the same class from the two models of one seed: they are the same models."
        if least.value == 1
        else "of points get the same class from the two models of one seed in "
        f"{display_name(label)}, the least alike: what the studies did differently has made other "
        "models."
    )
    return [Finding(f"{least.value:.1%}", _ends(least), meaning)]


def _of_other_seeds(pairs: Sequence[GroupPair]) -> list[Finding]:
    both = [(pair.other_seed, pair) for pair in pairs if pair.other_seed and pair.within[0]]
    if not both:
        return []
    across, pair = max(both, key=lambda found: abs(found[0].value - found[1].within[0].value))  # type: ignore[union-attr]
    within = pair.within[0]
    assert within is not None  # noqa: S101 - only such pairs were chosen
    return [
        Finding(
            f"{across.value:.1%}",
            _ends(across),
            f"of points get the same class from two seeds of {display_name(pair.label)}, one of "
            f"each study; within the first study it is {within.value:.1%}. Of all groups, these "
            "two differ the most.",
        )
    ]


def _ends(found: Estimate) -> str:
    alone = f", {PLANES_ONLY}" if found.planes_only else ""
    return f"95 % interval {found.low:.1%} to {found.high:.1%}{alone}"
