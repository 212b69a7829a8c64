"""The report's verdicts: a study's own contrasts, and the paper's claims."""

import shlex
from collections.abc import Sequence
from typing import Any

from dbray.claims import NAMED, Claim, Result, Verdict, verdict
from dbray.claims.verdicts import NO_NUMBER, in_words, needed_in_words
from dbray.claims.words import PLANES_ONLY_MEANS
from dbray.config import TrialConfig
from dbray.report.figures.contrasts import contrasts_chart
from dbray.report.page.page import Figure, Section, Table
from dbray.report.sections.captions import contrasts_caption
from dbray.report.tables.tables import StudyTables
from dbray.scores.jackknife import FEWEST_SEEDS, LEVEL

MOST_ROWS = 30  # of the figure; the table has them all
RULE = (
    "A claim is a few differences that are named beforehand. It holds if the interval of each lies "
    "above zero. It does not hold if one lies below zero, corrected for their number (Holm). "
    "Otherwise it cannot be told; below three seeds nothing is."
)


def named_section(tables: StudyTables) -> Section | None:
    """The differences that a user asked for."""
    claims = [claim for claim in tables.claims if claim.name == NAMED]
    if not claims:
        return None
    prose = ["Agreement within the first group less that within the second.", *_looks(tables)]
    return _section("What this study was asked", prose, claims, tables)


def claims_section(tables: StudyTables) -> Section | None:
    """The paper's claims, each with its verdict."""
    claims = [claim for claim in tables.claims if claim.name != NAMED]
    if not claims:
        return None
    if claims[0].name.startswith("R"):
        found = (
            "What Summers and Dinneen (ICML 2021) found by varying one source after the other (R1, "
            "R2), Jiang et al. (ICLR 2022) by comparing error and disagreement (R3), and Frankle "
            "et al. (ICML 2020) by copying trainings on their way (R4)"
        )
        title = "Does it show what others found?"
    else:
        found = "What Somepalli et al. (CVPR 2022) found on CIFAR-10 with large networks"
        title = "Does it show what the paper found?"
    prose = [f"{found}, held against this study. {RULE}", *_looks(tables)]
    return _section(title, prose, claims, tables)


def _section(title: str, prose: list[str], claims: Sequence[Claim], tables: StudyTables) -> Section:
    verdicts = [verdict(claim, tables.contrasts) for claim in claims]
    results = [result for found in verdicts for result in found.results]
    if any(result.planes_only for result in results):
        prose = [*prose, PLANES_ONLY_MEANS]
    shown = [_as_shown(found, tables) for found in verdicts]
    if not results:
        return Section(title, prose, verdicts=shown)
    few = results if len(results) <= MOST_ROWS else [r for r in results if r.decides]
    name = "named-contrasts" if claims[0].name == NAMED else "contrasts"
    figure = Figure(name, contrasts_chart(few), contrasts_caption(few))
    return Section(title, prose, [figure], [_table(results)], verdicts=shown)


def _as_shown(found: Verdict, tables: StudyTables) -> dict[str, str]:
    reason = [found.reason, found.claim.missing, what_would_decide(found, tables)]
    return {
        "claim": "asked" if found.claim.name == NAMED else found.claim.name,
        "outcome": found.outcome,
        "statement": found.claim.statement,
        "reason": " ".join(filter(None, reason)),
    }


def what_would_decide(found: Verdict, tables: StudyTables) -> str:
    """What to do about a claim that cannot be told."""
    told = [result for result in found.results if result.decides]
    if found.outcome != "cannot be told" or not told:
        return ""
    if min(result.seeds for result in told) < FEWEST_SEEDS:
        return f"What would help: {_with_seeds(tables, FEWEST_SEEDS)}."
    if found.seeds_needed is None:
        return f"What would decide it: {NO_NUMBER}."
    return (
        f"What would decide it, if means and variances stay: {found.seeds_needed} seeds, "
        f"{_with_seeds(tables, found.seeds_needed)}."
    )


def _with_seeds(tables: StudyTables, seeds: int) -> str:
    """The study's last command with another number of seeds."""
    if not all(isinstance(config, TrialConfig) for config in tables.configs.values()):
        return f"{seeds} models of each group"
    commands = [entry.get("command") for entry in tables.info["invocations"]]
    return command_with_seeds(str(commands[-1]) if commands and commands[-1] else "", seeds)


def command_with_seeds(command: str, seeds: int) -> str:
    """A command with ``--seeds`` set.

    Examples
    --------
    >>> command_with_seeds("sweeps/arch_repro.py --seeds 3 --planes 50", 5)
    'sweeps/arch_repro.py --planes 50 --seeds 5'
    """
    words = iter(_words(command))
    kept = []
    for word in words:
        if word == "--seeds":
            next(words, None)
        elif not word.startswith("--seeds="):
            kept.append(word)
    return " ".join([*map(shlex.quote, kept), "--seeds", str(seeds)])


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quote without its other half
        return command.split()


def _looks(tables: StudyTables) -> list[str]:
    looks = tables.info.get("looks", [])
    if len(looks) < 2:
        return []
    error = 100 * (1 - LEVEL) / len(looks)
    return [
        f"This study adds seeds until its differences are told from zero, with looks at "
        f"{_listed(looks)} seeds. Looking often must not find what is not there: each look may err "
        f"in {error:.2g} % of cases, all together in 5 % (Bonferroni), and the intervals are "
        f"{100 - error:.4g} % ones."
    ]


def _listed(items: Sequence[Any]) -> str:
    return f"{', '.join(map(str, items[:-1]))} and {items[-1]}"


def _table(results: Sequence[Result]) -> Table:
    rows = [
        [
            result.claim if result.claim != NAMED else "",
            result.name + ("" if result.decides else " (for comparison)"),
            in_words(result),
            _p_value(result.p),
            "" if result.p_holm is None else _p_value(result.p_holm),
            str(result.seeds),
            needed_in_words(result),
        ]
        for result in results
    ]
    columns = ["claim", "difference", "value", "p", "p (Holm)", "seeds", "seeds to tell it"]
    return Table(columns, rows)


def _p_value(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"
