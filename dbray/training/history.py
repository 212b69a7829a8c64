"""Records of a training's epochs."""

from collections.abc import Callable
from dataclasses import dataclass

LONGEST_HISTORY = 200  # records of a training of more epochs are spread evenly over them


@dataclass(frozen=True)
class EpochRecord:
    """One row of a training history; accuracies are shares from 0 to 1."""

    epoch: int  # from 1
    train_loss: float  # mean over the epoch's augmented images, while training
    train_accuracy: float  # likewise
    test_accuracy: float  # after the epoch
    seconds: float  # since the training started


OnEpoch = Callable[[EpochRecord], None]
