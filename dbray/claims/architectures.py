"""Claims about architectures, C1 to C4, and about what they answer off the data, C9.

References
----------
Somepalli et al., CVPR 2022, section 3.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

import numpy as np

from dbray.claims.contrasts import SCORED_KIND, Asked, Claim, Contrast, Key, less, within
from dbray.claims.names import OTHERS, display_name, family, split_label
from dbray.planes import OFF_MANIFOLD

STATEMENTS = {
    "C1": "Convolutional networks agree with themselves across seeds far more than FCNet, "
    "ViT and MLP-Mixer do.",
    "C2": "Convolutional networks of different kinds agree with each other more than networks "
    "of different families do.",
    "C3": "The wider a WideResNet, the more reproducible it is.",
    "C4": "With residual connections (ResNet, DenseNet) networks are a little more reproducible "
    "than without (VGG).",
    "C9": "Off the data each architecture shows its own typical pattern, much the same for every "
    "seed.",
}
RESIDUAL, PLAIN = ("resnet", "densenet"), ("vgg",)


def architecture_claims(asked: Asked) -> list[Claim]:
    """C1 to C4, and C9 where planes off the data are scored."""
    claims = [_seeds(asked), _families(asked), _widths(asked), _residual(asked)]
    kinds = [kind for kind in OFF_MANIFOLD if kind in asked.kinds]
    return [*claims, _own_patterns(asked, kinds)] if kinds else claims


def _seeds(asked: Asked) -> Claim:
    ours = [label for label in asked.repeated if family(label) == "convolutional"]
    missing = _lacking(asked, OTHERS)
    if not ours:
        missing = f"No convolutional network has two finished trials. {missing}".strip()
    contrasts = [
        _contrast("C1", f"convolutional \N{MINUS SIGN} {display_name(name)}", ours, theirs)
        for name in OTHERS
        if ours and (theirs := _of(asked, [name]))
    ]
    return Claim("C1", STATEMENTS["C1"], tuple(contrasts), missing)


def _families(asked: Asked) -> Claim:
    among, across = [], []
    for a, b in combinations(sorted(asked.repeated) if asked.across else [], 2):
        kinds = [_kind_of_network(label) for label in (a, b)]
        if "" in kinds:
            continue
        if kinds[0] != kinds[1]:
            across.append(Key("agreement", SCORED_KIND, a, b))
        elif kinds[0] == "convolutional" and split_label(a)[0] != split_label(b)[0]:
            among.append(Key("agreement", SCORED_KIND, a, b))
    if not among or not across:
        missing = (
            "It needs two kinds of convolutional network and one of FCNet, ViT or MLP-Mixer, with "
            "two finished trials each."
        )
        if not asked.across:
            missing = "Models of different groups were not compared (--pairs groups)."
        return Claim("C2", STATEMENTS["C2"], missing=missing)
    name = "convolutional with each other \N{MINUS SIGN} different families"
    return Claim("C2", STATEMENTS["C2"], (Contrast("C2", name, less(among, across)),))


def _widths(asked: Asked) -> Claim:
    of_width = {
        split_label(label)[1]: label
        for label in asked.repeated
        if split_label(label)[0] == "wideresnet" and split_label(label)[1]
    }
    widths = sorted(of_width)
    if len(widths) < 2:
        missing = (
            "It needs WideResNets of two or more stated widths with two finished trials each; "
            f"this study has {len(widths)}."
        )
        return Claim("C3", STATEMENTS["C3"], missing=missing)
    places = np.log2(widths)
    off = places - places.mean()
    slope = off / np.square(off).sum()
    weights = {within(of_width[w]): float(s) for w, s in zip(widths, slope, strict=True)}
    slope_of_all = Contrast("C3", "slope a doubling of the width", weights)
    steps = [
        _contrast("C3", _minus(wide, narrow), [wide], [narrow], decides=False)
        for narrow, wide in pairwise(of_width[width] for width in widths)
    ]
    return Claim("C3", STATEMENTS["C3"], (slope_of_all, *steps))


def _residual(asked: Asked) -> Claim:
    residual, plain = _of(asked, RESIDUAL), _of(asked, PLAIN)
    missing = _lacking(asked, [*RESIDUAL, *PLAIN])
    if not residual or not plain:
        return Claim("C4", STATEMENTS["C4"], missing=missing)
    have = [name for name in RESIDUAL if _of(asked, [name])]
    name = " and ".join(map(display_name, have)) + " \N{MINUS SIGN} VGG"
    return Claim("C4", STATEMENTS["C4"], (_contrast("C4", name, residual, plain),), missing)


def _own_patterns(asked: Asked, kinds: Sequence[str]) -> Claim:
    labels = sorted(asked.repeated)
    if len(labels) < 2 or not asked.across:
        missing = "It needs two groups of two finished trials, compared with each other."
        return Claim("C9", STATEMENTS["C9"], missing=missing)
    contrasts = []
    for kind in kinds:
        own = [within(label, kind) for label in labels]
        others = [Key("agreement", kind, a, b) for a, b in combinations(labels, 2)]
        name = f"within \N{MINUS SIGN} between groups, on {kind} planes"
        contrasts.append(Contrast("C9", name, less(own, others)))
    return Claim("C9", STATEMENTS["C9"], tuple(contrasts))


def _kind_of_network(label: str) -> str:
    """Family; each of the other networks is a family of its own. Empty for what is in none."""
    kind = family(label)
    if kind == "unclassified":
        return ""
    return kind if kind == "convolutional" else split_label(label)[0]


def _of(asked: Asked, names: Iterable[str]) -> list[str]:
    """Groups of two or more trials of some architectures, whatever their width."""
    return [label for label in asked.repeated if split_label(label)[0] in names]


def _lacking(asked: Asked, names: Sequence[str]) -> str:
    lacking = [display_name(name) for name in names if not _of(asked, [name])]
    return f"No two finished trials of {' or of '.join(lacking)}." if lacking else ""


def _contrast(
    claim: str, name: str, above: Sequence[str], below: Sequence[str], *, decides: bool = True
) -> Contrast:
    """Mean agreement within some groups less that within others."""
    weights = less([within(label) for label in above], [within(label) for label in below])
    return Contrast(claim, name, weights, decides)


def _minus(a: str, b: str) -> str:
    return f"{display_name(a)} \N{MINUS SIGN} {display_name(b)}"
