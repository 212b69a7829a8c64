"""The seeds that a user's training is given: one for each source of randomness."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Seeds:
    """One whole number a source. A trial of a study without ``--vary`` has the same in all.

    Attributes
    ----------
    weights
        For the initial weights.
    order, augmentation, dropout
        For the order of the images, for what is done to them at random, and for random layers.
    sample
        For which training images are used, where a training draws them.
    """

    weights: int = 0
    order: int = 0
    augmentation: int = 0
    dropout: int = 0
    sample: int = 0

    def seed_everything(self) -> int:
        """Seed torch (on all devices), NumPy and ``random`` with one seed, which is returned.

        For scripts that know a single seed: it is that of the weights.
        """
        import numpy as np
        import torch

        torch.manual_seed(self.weights)
        np.random.seed(self.weights)  # noqa: NPY002 - the generator that scripts share
        random.seed(self.weights)
        return self.weights
