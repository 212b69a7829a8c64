"""What a benchmark finds, and how its two sides are timed."""

import time
from collections.abc import Callable

from pydantic import computed_field
from pydantic.dataclasses import dataclass

REPETITIONS = 5


@dataclass(frozen=True)
class Result:
    """One line of the table.

    ``what`` and ``peer`` name it, and so do not change from run to run; figures of the run are in
    ``remark``.
    """

    what: str
    ours: tuple[float, ...]  # seconds of each repetition
    theirs: tuple[float, ...]  # seconds of the peer or the limit, in turn with ours
    peer: str
    aim: str
    remark: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ratio(self) -> float:
        """Seconds of the peer over ours: above 1, we are faster.

        The best of each side counts, as everything that disturbs a run makes it slower.
        """
        return round(min(self.theirs) / min(self.ours), 4)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ratios(self) -> tuple[float, ...]:
        """Of each repetition: their spread is the noise."""
        return tuple(round(b / a, 4) for a, b in zip(self.ours, self.theirs, strict=True))


def take_turns(*calls: Callable[[], object]) -> list[tuple[float, ...]]:
    """CPU seconds of each call by repetition, the calls taking turns.

    CPU seconds of this process, user and system: other work on the machine adds little to them.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(REPETITIONS):
        for own, call in zip(seconds, calls, strict=True):
            started = time.process_time()
            call()
            own.append(round(time.process_time() - started, 6))
    return [tuple(own) for own in seconds]
