"""The sources of randomness of a training, each with a seed of its own, and how they are named."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Branch:
    """How a training parts from another one, its trunk, which it equals up to an epoch.

    With neither of the two changes it goes on as its trunk does.
    """

    epoch: int  # after which it parts; 0: from the start
    order_seed: int | None = None  # draws the order of the images from then on
    one_bit: bool = False  # last bit of a weight is flipped then

    @property
    def what(self) -> str:
        """What changes: ``order``, ``bit`` or nothing."""
        return "bit" if self.one_bit else "" if self.order_seed is None else "order"

    def __str__(self) -> str:
        """Without the seed: branches of one epoch and kind are of one group."""
        return f"{self.what or 'nothing'} from epoch {self.epoch}"
