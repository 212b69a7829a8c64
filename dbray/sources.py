"""The sources of randomness of a training, each with a seed of its own, and how they are named."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

# What a training draws, each from a seed of its own.
Source = Literal["weights", "order", "augmentation", "dropout", "sample"]
SOURCES: tuple[Source, ...] = get_args(Source)


def seeds_label(seeds: Mapping[Source, int]) -> str:
    """Seeds in words: ``seed 3`` where all are equal, else those apart from the others named."""
    usual = _usual_seed(seeds)
    apart = [f"{source} {seed}" for source, seed in seeds.items() if seed != usual]
    return ", ".join([f"seed {usual}", *apart])


def varied_label(seeds: Mapping[Source, int]) -> str:
    """The sources whose seeds are not the others', as part of a group's name."""
    apart = [source for source, seed in seeds.items() if seed != _usual_seed(seeds)]
    return f"{' and '.join(apart)} alone" if apart else ""


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
