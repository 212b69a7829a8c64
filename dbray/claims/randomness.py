"""Claims of a randomness study: each source alone is enough, and so is one bit."""

from dbray.claims.contrasts import SCORED_KIND, Asked, Claim, Contrast, Key
from dbray.claims.names import display_name
from dbray.sources import SOURCES

VARIED = "varied"  # the part of a group's name that says what differs
MACHINE, BIT = "machine", "bit"
LABELS = {**{f"{source} alone": source for source in SOURCES}, "again": MACHINE, "one bit": BIT}


def source_key(architecture: str, source: str) -> Key:
    """What a source does alone less half of what all do together."""
    return Key("randomness", SCORED_KIND, architecture, source)


def randomness_claims(asked: Asked) -> list[Claim]:
    """R1 and R2, for the sources that were varied."""
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
    ]


def _contrast(claim: str, architecture: str, source: str) -> Contrast:
    name = f"{display_name(architecture)}, {source}: disagreement - half of all together"
    return Contrast(claim, name, {source_key(architecture, source): 1.0})
