"""Claims of a randomness study: each source alone is enough, one bit is, and error is disagreement.

References
----------
Summers and Dinneen, ICML 2021 (R1, R2); Jiang et al., ICLR 2022 (R3).
"""

from collections.abc import Sequence

from dbray.claims.contrasts import SCORED_KIND, Asked, Claim, Contrast, Key
from dbray.claims.names import display_name
from dbray.config import TrialConfig
from dbray.sources import SOURCES

VARIED = "varied"  # the part of a group's name that says what differs
MACHINE, BIT = "machine", "bit"
LABELS = {**{f"{source} alone": source for source in SOURCES}, "again": MACHINE, "one bit": BIT}

TOGETHER = "all"  # in the table of errors: the pairs of all architectures
MARGIN = 0.25  # share of the error by which disagreement may differ and still be about equal


def source_key(architecture: str, source: str) -> Key:
    """What a source does alone less half of what all do together."""
    return Key("randomness", SCORED_KIND, architecture, source)


def seeds_of(config: TrialConfig) -> tuple[dict[str, int], dict[str, int]]:
    """Seeds of a trial's sources, and what may differ and has no seed."""
    seeds = {str(source): seed for source, seed in config.seeds.items()}
    return seeds, {MACHINE: config.run, BIT: int(config.one_bit)}


def error_keys(architecture: str) -> tuple[Key, Key]:
    """Test error, and disagreement on test images, of pairs that share no seed."""
    error, apart = (Key("randomness", "", architecture, each) for each in ("error", "disagreement"))
    return error, apart


def randomness_claims(asked: Asked) -> list[Claim]:
    """R1 and R2, for the sources that were varied, and R3, where all were at once."""
    varied = [tuple(label.split("/", 1)) for label in asked.trials if "/" in label]
    known = [(name, LABELS[what]) for name, what in varied if what in LABELS]
    each = [_contrast("R1", name, source) for name, source in known if source in SOURCES]
    bits = [_contrast("R2", name, source) for name, source in known if source == BIT]
    return [
        Claim(
            "R1",
            "Each source of randomness alone gives most of what all of them give together.",
            tuple(each),
            "" if each else "No source was varied alone.",
        ),
        Claim(
            "R2",
            "The last bit of a single weight is enough.",
            tuple(bits),
            "" if bits else "No bit was changed.",
        ),
        _error_and_disagreement([label for label in asked.repeated if "/" not in label]),
    ]


def _error_and_disagreement(architectures: Sequence[str]) -> Claim:
    """Both within the margin: two one-sided tests, as equality itself can never be shown."""
    contrasts = []
    for architecture in architectures:
        error, apart = error_keys(architecture)
        name = display_name(architecture)
        more, less = (
            f"{1 + MARGIN:g} \N{MULTIPLICATION SIGN}",
            f"{1 - MARGIN:g} \N{MULTIPLICATION SIGN}",
        )
        contrasts += [
            Contrast(
                "R3", f"{name}: {more} test error - disagreement", {error: 1 + MARGIN, apart: -1.0}
            ),
            Contrast(
                "R3", f"{name}: disagreement - {less} test error", {apart: 1.0, error: MARGIN - 1}
            ),
        ]
    return Claim(
        "R3",
        "Two models that share no seed disagree on about as many test images as one of them gets "
        "wrong: neither a quarter more nor a quarter less.",
        tuple(contrasts),
        "" if contrasts else "No two models share no seed.",
    )


def _contrast(claim: str, architecture: str, source: str) -> Contrast:
    name = f"{display_name(architecture)}, {source}: disagreement - half of all together"
    return Contrast(claim, name, {source_key(architecture, source): 1.0})
