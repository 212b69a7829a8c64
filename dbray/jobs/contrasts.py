"""Score job's last step: the contrasts of a study's claims, to ``contrasts.parquet``.

Scores come in as the other jobs finish them, and only what a contrast is made of is kept: its
sum on every plane and without every trial. So memory does not grow with the pairs of groups.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import pyarrow as pa

from dbray.claims import Claim, Contrast, Key, Result
from dbray.scores.jackknife import LEVEL, Parts, Sum, estimate, holm, seeds_to_decide
from dbray.store.score_schemas import CONTRASTS


class Contrasts:
    """Adds up the contrasts of some claims as the scores come."""

    def __init__(
        self, claims: Sequence[Claim], trials: Mapping[str, int], level: float = LEVEL
    ) -> None:
        """Begin with nothing taken in.

        Parameters
        ----------
        trials
            Number of trials of each group that can be left out of a score.
        level
            Of the intervals of contrasts.
        """
        self._contrasts = [contrast for claim in claims for contrast in claim.contrasts]
        self._sums = [Sum() for _ in self._contrasts]
        self._to_come = [set(contrast.weights) for contrast in self._contrasts]
        self._trials, self._level = trials, level
        self._uses: dict[Key, list[int]] = defaultdict(list)
        for place, contrast in enumerate(self._contrasts):
            for key in contrast.weights:
                self._uses[key].append(place)

    def wants(self, key: Key) -> bool:
        """Whether some contrast uses a score."""
        return key in self._uses

    def take(self, key: Key, parts: Parts) -> None:
        """Take in a score; one that no contrast uses is let go."""
        for place in self._uses.get(key, ()):
            self._sums[place].add(self._contrasts[place].weights[key], parts)
            self._to_come[place].discard(key)

    def results(self) -> list[Result]:
        """Those all of whose scores have come, claim after claim."""
        found = [
            self._result(contrast, added.parts())
            for contrast, added, missing in zip(
                self._contrasts, self._sums, self._to_come, strict=True
            )
            if not missing
        ]
        return _corrected(found)

    def table(self) -> pa.Table:
        """The results as rows."""
        return pa.Table.from_pylist([asdict(r) for r in self.results()], schema=CONTRASTS)

    def _result(self, contrast: Contrast, parts: Parts) -> Result:
        found = estimate(parts, level=self._level)
        return Result(
            claim=contrast.claim,
            name=contrast.name,
            decides=contrast.decides,
            difference=found.value,
            low=found.low,
            high=found.high,
            standard_error=found.standard_error,
            degrees_of_freedom=found.degrees_of_freedom,
            p=found.p,
            p_holm=None,
            level=self._level,
            planes_only=found.planes_only,
            seeds=min(self._trials[group] for group in parts.without),
            seeds_needed=seeds_to_decide(parts, level=self._level),
        )


def _corrected(results: Sequence[Result]) -> list[Result]:
    """Results with Holm's correction over those of a claim that decide, and over those beside."""
    families: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for place, result in enumerate(results):
        if not result.planes_only:
            families[result.claim, result.decides].append(place)
    corrected = list(results)
    for places in families.values():
        p_values = holm([results[place].p for place in places])
        for place, p_holm in zip(places, p_values, strict=True):
            corrected[place] = replace(results[place], p_holm=p_holm)
    return corrected
