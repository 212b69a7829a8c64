"""Do the intervals keep their promise? Coverage and false verdicts by simulation.

``python -m benchmarks coverage [REPETITIONS]``. Trials differ in how noisy they are and planes in
how hard they are, and the two multiply, so that nothing is normal or additive. A cell is the share
of repetitions whose 95 % interval holds the true value, which is known. A comparison without a
true difference is a false verdict when its interval lies on one side of zero.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dbray.scores.jackknife import (
    COUNT,
    SHARE,
    Float64,
    Parts,
    across_pairs,
    combined,
    crossed,
    estimate,
    over_pairs,
    over_trials,
)

PLANES, POINTS, IMAGES = 50, 2500, 1000
SPREADS = {"none": 0.0, "as seen": 0.02, "strong": 0.05}  # deviation over pairs, of the seeds
SEEDS = (3, 5, 10)
NOISE = 0.05  # deviation of one pair on one plane
REPETITIONS = 2000
HARD = 0.4  # variation of the planes' hardness over its mean
MEAN = 0.15  # of a trial's noise: two trials disagree by twice that
LOOKS = (3, 5, 8, 12)


@dataclass(frozen=True)
class World:
    """Planes and trials to draw from."""

    rng: np.random.Generator
    spread: float

    def hardness(self) -> Float64:
        """Of P planes, mean 1."""
        return self.rng.gamma(1 / HARD**2, HARD**2, PLANES)

    def trials(self, count: int) -> Float64:
        """How noisy each trial is."""
        return np.abs(self.rng.normal(MEAN, self.spread / np.sqrt(2), count))

    def agreements(self, hardness: Float64, trials: Float64) -> Float64:
        """Points on which pairs agree, shape (P, S, S), above the diagonal."""
        return np.triu(self.points(hardness, np.add.outer(trials, trials)), 1)

    def points(self, hardness: Float64, pairs: Float64) -> Float64:
        """Points of each plane on which pairs agree, from how noisy the two of each are."""
        shares = 1 - hardness[:, None, None] * pairs
        return np.rint((shares + self.rng.normal(0, NOISE, shares.shape)) * POINTS)

    def group(self, hardness: Float64, trials: Float64, name: str) -> Parts:
        """Agreement within a group of trials."""
        return within(self.agreements(hardness, trials), name)

    def regions(self, hardness: Float64, trials: Float64) -> Parts:
        """Regions a plane, 40 times a trial's noise and a plane's hardness, and counted."""
        counts = self.rng.poisson(40 * np.outer(trials, hardness))
        return crossed(counts.astype(np.float64), "a")

    def accuracies(self, trials: Float64) -> Parts:
        """Share of test images that each trial gets right, on the images that all share."""
        right = self.rng.binomial(IMAGES, np.clip(1 - trials, 0, 1))
        return over_trials(right / IMAGES, "a", images=IMAGES)


def within(agreements: Float64, name: str) -> Parts:
    """Parts of the agreement within a group, from points (P, S, S)."""
    count = agreements.shape[1]
    by_plane = agreements.sum(axis=(1, 2)) / (count * (count - 1) / 2 * POINTS)
    sums = agreements.sum(axis=0).astype(np.int64)
    return over_pairs(by_plane, sums, PLANES * POINTS, name)


def covers(parts: Parts, truth: float) -> bool:
    """Whether the interval of a share holds its true value."""
    found = estimate(parts, bounds=SHARE if truth <= 1 else COUNT)
    return found.low <= truth <= found.high


def _agreement(world: World, seeds: int) -> bool:
    parts = world.group(world.hardness(), world.trials(seeds), "a")
    return covers(parts, 1 - 2 * MEAN)


def _between(world: World, seeds: int) -> bool:
    """Two groups of so many seeds, compared with each other."""
    hardness, sides = world.hardness(), (world.trials(seeds), world.trials(seeds))
    points = world.points(hardness, np.add.outer(*sides))
    by_plane, sums = points.mean(axis=(1, 2)) / POINTS, points.sum(axis=0).astype(np.int64)
    return covers(across_pairs(by_plane, sums, PLANES * POINTS, ("a", "b")), 1 - 2 * MEAN)


def _regions(world: World, seeds: int) -> bool:
    return covers(world.regions(world.hardness(), world.trials(seeds)), 40 * MEAN)


def _accuracy(world: World, seeds: int) -> bool:
    return covers(world.accuracies(world.trials(seeds)), 1 - MEAN)


def _difference(world: World, seeds: int) -> bool:
    """Two groups of the same kind, on the same planes."""
    hardness = world.hardness()
    sides = [world.group(hardness, world.trials(seeds), name) for name in "ab"]
    return covers_zero(combined([(1.0, sides[0]), (-1.0, sides[1])]))


def covers_zero(parts: Parts, level: float = 0.95) -> bool:
    """Whether a difference is not told from zero."""
    found = estimate(parts, level=level)
    return found.low <= 0 <= found.high


CELLS: dict[str, Callable[[World, int], bool]] = {
    "agreement within a group": _agreement,
    "agreement between two groups": _between,
    "regions a plane": _regions,
    "test accuracy": _accuracy,
    "no difference of two groups": _difference,
}


def shares(repetitions: int) -> Iterator[tuple[str, str, list[float]]]:
    """(what, spread, coverage at each number of seeds)."""
    for what, cell in CELLS.items():
        for named, spread in SPREADS.items():
            row = []
            for seeds in SEEDS:
                world = World(np.random.default_rng([seeds, round(100 * spread)]), spread)
                row.append(float(np.mean([cell(world, seeds) for _ in range(repetitions)])))
            yield what, named, row


def false_stops(repetitions: int, spread: float) -> float:
    """How often seeds that are added until something is told find what is not there."""
    rng = np.random.default_rng(5)
    world = World(rng, spread)
    level = 1 - 0.05 / len(LOOKS)
    told = 0
    for _ in range(repetitions):
        hardness = world.hardness()
        sides = [world.agreements(hardness, world.trials(LOOKS[-1])) for _ in range(2)]
        for seeds in LOOKS:
            one, two = (
                within(side[:, :seeds, :seeds], n) for side, n in zip(sides, "ab", strict=True)
            )
            if not covers_zero(combined([(1.0, one), (-1.0, two)]), level):
                told += 1
                break
    return told / repetitions


def main(arguments: list[str]) -> None:
    """Print the tables."""
    repetitions = int(arguments[0]) if arguments else REPETITIONS
    print(f"95 % intervals, {PLANES} planes, {repetitions} repetitions a cell\n")
    print(
        "| share of intervals that hold the truth | spread of the seeds | "
        f"{' | '.join(f'{seeds} seeds' for seeds in SEEDS)} |"
    )
    print("| --- | --- | --- | --- | --- |")
    for what, spread, row in shares(repetitions):
        print(f"| {what} | {spread} | {' | '.join(f'{share:.3f}' for share in row)} |", flush=True)
    print(
        "\nThe last three rows compare two groups that do not differ: one less the share is how "
        "often these are told apart."
    )
    rates = [f"{false_stops(repetitions // 2, SPREADS[name]):.3f} ({name})" for name in SPREADS]
    print(f"Seeds added until told, looks at {LOOKS}: false in {', '.join(rates)}.")
