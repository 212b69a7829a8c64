"""What a training draws from each of its seeds; one seed's draws leave the others' alone."""

import numpy as np
from numpy.typing import NDArray

SAMPLE = 7_368_787  # keeps the sample's draws apart from others of the same seed


def stream_seeds(data_seed: int | tuple[int, int, int]) -> tuple[int, int, int]:
    """Seeds of the generators of order, augmentation and dropout.

    Parameters
    ----------
    data_seed
        One for all three, or one for each. Of each seed three streams come, of which its source
        has one: with equal seeds they are independent, and one seed is as three equal ones.
    """
    seeds = data_seed if isinstance(data_seed, tuple) else (data_seed,) * 3
    order, augmentation, dropout = (
        int(np.random.SeedSequence(seed).generate_state(3)[place])
        for place, seed in enumerate(seeds)
    )
    return order, augmentation, dropout


def drawn_sample(images: int, seed: int) -> NDArray[np.int64]:
    """Places of as many training images as there are, drawn with replacement, in order."""
    drawn = np.random.default_rng([seed, SAMPLE]).integers(images, size=images)
    return np.sort(drawn)
