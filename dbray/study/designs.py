"""Which trials tell what each source of randomness does: the design of a randomness study."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dbray.config import TrialConfig
from dbray.sources import SOURCES, Branch, Source

if TYPE_CHECKING:  # torch is loaded where there is something to do
    from torch import nn

SAME_AGAIN = ("machine", "bit")  # sources without a seed: trained again, one bit changed
BRANCHING = ("order", "bit")  # sources that can change in the midst of a training
NEW_ORDER = 1_000_000  # seed of the first branch's order, no other training's


def one_alone(base: TrialConfig, source: Source, seeds: int) -> list[TrialConfig]:
    """Trials in which a source has the seeds 1 to S, and all others 0."""
    sampled = source == "sample"
    return [_seeded(base, {source: seed + 1}, 0, sampled=sampled) for seed in range(seeds)]


def design(base: TrialConfig, sources: Sequence[str], bases: int) -> list[TrialConfig]:
    """Trials of one architecture: every two seeds of a source crossed with every two of the rest.

    Trial (b, v) of a source has seed v there and seed b everywhere else. Trials of one b differ in
    the source alone, those of one v share it alone, and b = v are the bases, which serve all
    sources: each trial is in several comparisons, and trained once (the Sobol indices' pick-freeze
    design: Saltelli et al., Computer Physics Communications 2010).

    Parameters
    ----------
    base
        A trial of the architecture, whose seeds are replaced.
    sources
        Of ``SOURCES`` and ``SAME_AGAIN``.
    bases
        B; a source with a seed takes B (B - 1) trials more, another one B.
    """
    sampled = "sample" in sources
    found = [_seeded(base, {}, b, sampled=sampled) for b in range(bases)]
    for source in SOURCES:
        if source in sources:
            found += [
                _seeded(base, {source: v}, b, sampled=sampled)
                for b in range(bases)
                for v in range(bases)
                if v != b
            ]
    if "machine" in sources:
        found += [replace(trial, run=1) for trial in found[:bases]]
    if "bit" in sources:
        found += [replace(trial, one_bit=True) for trial in found[:bases]]
    return found


def branches(bases: Sequence[TrialConfig], source: str, epochs: Sequence[int]) -> list[TrialConfig]:
    """Trials that part from each of the bases after each epoch: in their order, or by one bit."""
    return [
        replace(base, branch=_branch(source, epoch, base.weights_seed))
        for base in bases
        for epoch in epochs
    ]


def _branch(source: str, epoch: int, seed: int) -> Branch:
    if source == "bit":
        return Branch(epoch, one_bit=True)
    return Branch(epoch, order_seed=NEW_ORDER + seed)


def without_effect(base: TrialConfig, model: "nn.Module") -> dict[Source, str]:
    """Sources that a trial, its recipe or its network does not have, with the reason."""
    training, found = base.training, dict[Source, str]()
    if not (training.crop_padding or training.flip or training.mixup or training.cutmix):
        found["augmentation"] = "its recipe has no augmentation"
    if not any(_is_random(module) for module in model.modules()):
        found["dropout"] = "it has no random layers"
    if base.noise is None:
        found["noise"] = "no label is wrong (--label-noise)"
    return found


def _is_random(module: "nn.Module") -> bool:
    """Dropout, or a path that is dropped at random, of whatever library."""
    kind = type(module).__name__
    share = getattr(module, "p", None) or getattr(module, "drop_prob", None)
    return bool(share) and any(name in kind for name in ("Dropout", "DropPath", "StochasticDepth"))


def _seeded(
    base: TrialConfig, apart: dict[Source, int], rest: int, *, sampled: bool
) -> TrialConfig:
    """The trial whose sources have seed ``rest``, but for those that are ``apart``."""
    return replace(
        base,
        weights_seed=apart.get("weights", rest),
        data_seed=rest,
        order_seed=apart.get("order"),
        augmentation_seed=apart.get("augmentation"),
        dropout_seed=apart.get("dropout"),
        sample_seed=apart.get("sample", rest) if sampled else None,
        noise=replace(base.noise, seed=apart.get("noise", rest)) if base.noise else None,
    )
