"""The claims about double descent, C7 and C8, and the widths that they compare.

No width is chosen by the score that is compared: the threshold comes from the training error, the
narrow width from the threshold (at most ``NARROW`` of it, as the paper's k = 4 against about 10),
and the wide one is the widest.

References
----------
Somepalli et al., CVPR 2022, section 4.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from dbray.claims.contrasts import SCORED_KIND, Asked, Claim, Contrast, Key, less, within
from dbray.config import NoiseConfig, TrialConfig
from dbray.scores.threshold import Threshold, find_threshold
from dbray.store import CommittedTrial

STATEMENTS = {
    "C7": "With wrong labels, test error and fragmentation peak and reproducibility dips where the "
    "network just fits its labels; narrower and wider ones have fewer, more reproducible regions.",
    "C8": "Without wrong labels, the dip of reproducibility near the threshold is small but "
    "visible.",
}
NO_NOISE = "no label noise"
NARROW = 0.4  # of the threshold, at most
FRAGMENTATION_KINDS = ("train", SCORED_KIND)  # regions are counted on the first that is scored

Widths = Mapping[int, tuple[str, Sequence[CommittedTrial]]]  # a width's group and its trials


def noise_name(noise: NoiseConfig | None) -> str:
    """A label noise for people."""
    if noise is None:
        return NO_NOISE
    kind = "" if noise.kind == "symmetric" else f" ({noise.kind})"
    return f"{noise.share * 100:g} % wrong labels{kind}"


def regions_kind(kinds: Collection[str]) -> str:
    """Kind of planes on which regions are counted along the width; empty if there is none."""
    return next((kind for kind in FRAGMENTATION_KINDS if kind in kinds), "")


def widths_by_noise(trials: Mapping[str, Sequence[CommittedTrial]]) -> dict[str, Widths]:
    """Groups of models that were trained to the end, by label noise and ascending width."""
    found: dict[str, dict[int, tuple[str, Sequence[CommittedTrial]]]] = {}
    for label, of_group in trials.items():
        config = of_group[0].config
        if isinstance(config, TrialConfig) and config.stop_epoch is None:
            found.setdefault(noise_name(config.noise), {})[config.width] = label, of_group
    return {noise: dict(sorted(widths.items())) for noise, widths in found.items()}


def threshold_of(widths: Widths) -> Threshold:
    """The smallest width at which the training labels are fitted, wrong ones among them."""
    if not widths:
        return Threshold(None, None, None)
    errors = [[1 - t.metrics["fit_accuracy"] for t in trials] for _, trials in widths.values()]
    return find_threshold(list(widths), [np.array(each) for each in errors])


def double_descent_claims(asked: Asked) -> list[Claim]:
    """C7 on every label noise, and C8 on the trials without."""
    curves = widths_by_noise(asked.trials)
    noisy = {noise: widths for noise, widths in curves.items() if noise != NO_NOISE}
    peaks = [
        contrast
        for noise, widths in noisy.items()
        for contrast in _peak(widths, asked, noise if len(noisy) > 1 else "")
    ]
    dips = list(_dip(curves.get(NO_NOISE, {}), asked))
    needs = "two seeds each"
    return [
        Claim(
            "C7",
            STATEMENTS["C7"],
            tuple(peaks),
            ""
            if peaks
            else "It needs trials with wrong labels at the threshold, at a width of at most "
            f"{NARROW:g} of it, and above it, from {needs}.",
        ),
        Claim(
            "C8",
            STATEMENTS["C8"],
            tuple(dips),
            ""
            if dips
            else "It needs trials without wrong labels at the threshold and at a width below and "
            f"above it, from {needs}.",
        ),
    ]


def _peak(widths: Widths, asked: Asked, noise: str) -> Iterable[Contrast]:
    """The threshold against the narrow and the widest width, by each measure."""
    found = {width: label for width, (label, _) in widths.items() if label in asked.repeated}
    threshold = threshold_of(widths).width
    narrow = [width for width in found if threshold and width <= NARROW * threshold]
    if threshold not in found or not narrow or max(found) == threshold:
        return
    kind = regions_kind(asked.kinds)
    here, about = found[threshold], f" ({noise})" if noise else ""
    for other in (max(narrow), max(found)):
        there = found[other]
        peak = f"width {threshold} \N{MINUS SIGN} {other}{about}"
        error = [Key("test_error", "", label, label) for label in (here, there)]
        yield Contrast("C7", f"test error, {peak}", less(error[:1], error[1:]))
        if kind:
            regions = [Key("fragmentation", kind, label, label) for label in (here, there)]
            yield Contrast("C7", f"regions, {peak}", less(regions[:1], regions[1:]))
        if SCORED_KIND in asked.kinds:
            title = f"agreement, width {other} \N{MINUS SIGN} {threshold}{about}"
            yield Contrast("C7", title, less([within(there)], [within(here)]))


def _dip(widths: Widths, asked: Asked) -> Iterable[Contrast]:
    """The threshold's neighbours less the threshold."""
    found = {width: label for width, (label, _) in widths.items() if label in asked.repeated}
    threshold = threshold_of(widths).width
    below = [width for width in found if threshold and width < threshold]
    above = [width for width in found if threshold and width > threshold]
    if threshold not in found or not below or not above or SCORED_KIND not in asked.kinds:
        return
    beside = max(below), min(above)
    name = f"agreement, widths {beside[0]} and {beside[1]} \N{MINUS SIGN} {threshold}"
    weights = less([within(found[width]) for width in beside], [within(found[threshold])])
    yield Contrast("C8", name, weights)
