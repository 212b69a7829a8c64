"""The paper's claims, checked on a study's own intervals; here those about architectures.

A claim is a list of comparisons "this agreement is above that one". A comparison is *shown* when
the first interval lies wholly above the second, *reversed* when it lies wholly below, and
*undecided* when they overlap. The claim holds when every comparison is shown, does not hold when
at least one is reversed, and cannot be told otherwise. Disjoint 95 % intervals ask for more than
a test at 5 % does, which leaves room for the number of comparisons.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal

import pandas as pd

from dbray.report.page.names import OTHERS, display_name, family, split_label

Outcome = Literal["holds", "does not hold", "cannot be told"]

AMONG = "convolutional with convolutional"
STATEMENTS = {
    "C1": "Convolutional networks agree with themselves across seeds far more than FCNet, "
    "ViT and MLP-Mixer do.",
    "C2": "Convolutional networks of different kinds agree with each other more than networks "
    "of different families do.",
    "C3": "The wider a WideResNet, the more reproducible it is.",
    "C4": "With residual connections (ResNet, DenseNet) networks are a little more reproducible "
    "than without (VGG).",
    "C5": "Sharpness-aware minimisation (SAM) gives higher reproducibility than SGD and Adam.",
    "C6": "A distilled student is closer to its teacher than the same student trained on labels.",
    "C7": "With wrong labels, test error and fragmentation peak and reproducibility dips where the "
    "network just fits its labels; narrower and wider ones have fewer, more reproducible regions.",
    "C8": "Without wrong labels, the dip of reproducibility near the threshold is small but "
    "visible.",
}


@dataclass(frozen=True)
class Interval:
    """An agreement with its 95 % interval."""

    name: str  # whose agreement
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high:  # a number to compare with, not an estimate
            return self.name
        return f"{self.name} {self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Comparison:
    """The claim that ``above`` is larger than ``below``."""

    above: Interval
    below: Interval

    @property
    def clearance(self) -> float:
        """Distance from the top of ``below`` up to the bottom of ``above``; > 0: shown."""
        return self.above.low - self.below.high

    @property
    def reversal(self) -> float:
        """Distance from the top of ``above`` up to the bottom of ``below``; > 0: reversed."""
        return self.below.low - self.above.high


@dataclass(frozen=True)
class Verdict:
    """What a study says about one claim."""

    claim: str  # its id, C1 to C8
    outcome: Outcome
    reason: str
    comparisons: tuple[Comparison, ...] = ()
    missing: str = ""  # what the study lacks to check the claim, or all of it

    @property
    def statement(self) -> str:
        """The claim in plain words."""
        return STATEMENTS[self.claim]


def check_claims(groups: pd.DataFrame) -> list[Verdict]:
    """Check C1 to C4.

    Parameters
    ----------
    groups
        Rows of ``agreement_by_group`` of one kind of planes: ``group_a``, ``group_b``,
        ``agreement``, ``low``, ``high``; within a group the two labels are equal.

    References
    ----------
    Somepalli et al., CVPR 2022, section 3.
    """
    known = groups.dropna(subset=["agreement", "low", "high"])
    inside = known[known.group_a == known.group_b]
    within = dict(zip(inside.group_a, _intervals(inside), strict=True))
    return [_seeds(within), _families(known), _widths(within), _residual(within)]


def decide(claim: str, comparisons: Sequence[Comparison], missing: str = "") -> Verdict:
    """Verdict of the comparisons that a claim stands for, at least one."""
    shown = [c for c in comparisons if c.clearance > 0]
    against = [c for c in comparisons if c.reversal > 0]
    count = len(comparisons)
    if against:
        worst = max(against, key=lambda c: c.reversal)
        text = f"{_share(len(against), count)} the other way. Clearest: {worst.below} is above "
        return Verdict(claim, "does not hold", f"{text}{worst.above}.", (*comparisons,), missing)
    if len(shown) == count:
        tightest = min(shown, key=lambda c: c.clearance)
        text = f"{_share(count, count)} this way. Closest: {tightest.above} is above "
        return Verdict(claim, "holds", f"{text}{tightest.below}.", (*comparisons,), missing)
    widest = min(comparisons, key=lambda c: c.clearance)
    text = (
        f"{_share(len(shown), count)} this way, none the other way; in the rest the intervals "
        f"overlap, most of all {widest.above} and {widest.below}."
    )
    return Verdict(claim, "cannot be told", text, (*comparisons,), missing)


def _seeds(within: dict[str, Interval]) -> Verdict:
    ours = [v for label, v in within.items() if family(label) == "convolutional"]
    theirs = [v for label, v in within.items() if family(label) == "other"]
    here = {split_label(label)[0] for label in within}
    lacking = [display_name(name) for name in OTHERS if name not in here]
    missing = f"No two finished trials of {' or of '.join(lacking)}." if lacking else ""
    if not ours:
        missing = f"No convolutional network has two finished trials. {missing}".strip()
    if not ours or not theirs:
        return Verdict("C1", "cannot be told", "There is nothing to compare.", (), missing)
    return decide("C1", [Comparison(a, b) for a, b in product(ours, theirs)], missing)


def _families(groups: pd.DataFrame) -> Verdict:
    """C2 on averages over pairs of architectures, one average for each pair of families."""
    blocks: dict[str, list[Interval]] = {}
    between = groups[groups.group_a != groups.group_b]
    for row, interval in zip(between.itertuples(), _intervals(between), strict=True):
        block = _block(str(row.group_a), str(row.group_b))
        if block:
            blocks.setdefault(block, []).append(interval)
    among = blocks.pop(AMONG, None)
    if not among or not blocks:
        missing = "It needs two kinds of convolutional network and one of FCNet, ViT or MLP-Mixer."
        return Verdict("C2", "cannot be told", "There is nothing to compare.", (), missing)
    ours = _average(AMONG, among)
    return decide("C2", [Comparison(ours, _average(n, block)) for n, block in blocks.items()])


def _block(group_a: str, group_b: str) -> str:
    """Which families a pair of groups joins; empty if that says nothing about the claim."""
    families = [family(group_a), family(group_b)]
    if "unclassified" in families:
        return ""
    if families == ["convolutional", "convolutional"]:
        return AMONG
    names = {
        "convolutional" if family(g) == "convolutional" else display_name(split_label(g)[0])
        for g in (group_a, group_b)
    }
    return " with ".join(sorted(names, key=str.swapcase)) if len(names) == 2 else ""


def _average(name: str, intervals: Sequence[Interval]) -> Interval:
    """Mean of agreements; the mean of the ends is at least as wide as the mean's own interval.

    (A mean's standard deviation is at most the mean of the standard deviations.)
    """
    count = len(intervals)
    return Interval(
        f"{name} (mean of {count})" if count > 1 else name,
        sum(i.value for i in intervals) / count,
        sum(i.low for i in intervals) / count,
        sum(i.high for i in intervals) / count,
    )


def _widths(within: dict[str, Interval]) -> Verdict:
    of_width = {
        split_label(label)[1]: interval
        for label, interval in within.items()
        if split_label(label)[0] == "wideresnet" and split_label(label)[1]
    }
    ordered = [of_width[width] for width in sorted(of_width)]
    if len(ordered) < 2:
        missing = (
            "It needs WideResNets of two or more stated widths with two finished trials each; "
            f"this study has {len(ordered)}."
        )
        return Verdict("C3", "cannot be told", "There is nothing to compare.", (), missing)
    return decide("C3", [Comparison(wide, narrow) for narrow, wide in pairwise(ordered)])


def _residual(within: dict[str, Interval]) -> Verdict:
    residual = [within[name] for name in ("resnet", "densenet") if name in within]
    lacking = [display_name(n) for n in ("resnet", "densenet", "vgg") if n not in within]
    missing = f"No two finished trials of {' or of '.join(lacking)}." if lacking else ""
    if "vgg" not in within or not residual:
        return Verdict("C4", "cannot be told", "There is nothing to compare.", (), missing)
    return decide("C4", [Comparison(r, within["vgg"]) for r in residual], missing)


def _intervals(rows: pd.DataFrame) -> list[Interval]:
    return [
        Interval(_pair_name(str(a), str(b)), float(value), float(low), float(high))
        for a, b, value, low, high in zip(
            rows.group_a, rows.group_b, rows.agreement, rows.low, rows.high, strict=True
        )
    ]


def _pair_name(group_a: str, group_b: str) -> str:
    if group_a == group_b:
        return display_name(group_a)
    return f"{display_name(group_a)} with {display_name(group_b)}"


def _share(count: int, of: int) -> str:
    if count == of:
        return "The only comparison points" if of == 1 else f"All {of} comparisons point"
    return f"{count} of {of} comparisons {'points' if count == 1 else 'point'}"
