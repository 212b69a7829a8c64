"""The sources of randomness of a training, each with a seed of its own, and how they are named."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

# What is drawn for a training, each from a seed of its own; noise: which labels are wrong.
Source = Literal["weights", "order", "augmentation", "dropout", "sample", "noise"]
SOURCES: tuple[Source, ...] = get_args(Source)
OWN_SOURCES = SOURCES[:-1]  # of a user's own training: it has the labels that it reads


def seeds_label(seeds: Mapping[Source, int]) -> str:
    """Seeds in words: ``seed 3`` where all are equal, else those apart from the others named."""
    usual = _usual_seed(seeds)
    apart = [f"{source} {seed}" for source, seed in seeds.items() if seed != usual]
    return ", ".join([f"seed {usual}", *apart])


def varied_label(seeds: Mapping[Source, int]) -> str:
    """The sources whose seeds are not the others', as part of a group's name."""
    apart = [source for source, seed in seeds.items() if seed != _usual_seed(seeds)]
    return f"{' and '.join(apart)} alone" if apart else ""


def share_nothing(models: Sequence[Mapping[Source, int]]) -> bool:
    """Whether each source has one seed for all models, or another one for each of them.

    Such models differ in the same sources, any two of them, and none depends on another.
    """
    sources = {source for seeds in models for source in seeds}
    different = (len({seeds.get(source) for seeds in models}) for source in sources)
    return all(count in (1, len(models)) for count in different)


def _usual_seed(seeds: Mapping[Source, int]) -> int:
    return Counter(seeds.values()).most_common(1)[0][0]
