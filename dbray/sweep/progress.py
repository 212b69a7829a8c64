"""What a person sees while trials run: a live table on a terminal, plain lines elsewhere."""

import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

ROWS = 12  # running and last finished trials that the table shows


@dataclass
class TrialProgress:
    """How far one trial is."""

    title: str
    state: str = "waiting"  # waiting, running, done, failed (recorded as such), unfinished
    epoch: int = 0
    epochs: int = 0
    accuracy: float | None = None  # last test accuracy
    started: float = 0.0
    seconds: float = 0.0  # from start to end, of a finished trial

    @property
    def ended(self) -> bool:
        """Whether the study has its result, or the reason why there is none."""
        return self.state in ("done", "failed")

    @property
    def share(self) -> float:
        """Share of the work that is done, from 0 to 1."""
        if self.ended or self.state == "unfinished":
            return 1.0
        return self.epoch / (self.epochs + 1) if self.epochs else 0.0


@dataclass
class Progress:
    """Progress of a sweep; ``with`` shows it until the sweep ends."""

    trials: dict[str, TrialProgress]
    slots: int  # trials that can run at once
    console: Console = field(default_factory=lambda: Console(stderr=True))
    _live: Live | None = None
    _states: Counter[str] = field(default_factory=Counter)  # trials in each

    def __post_init__(self) -> None:
        """Count once: to look at all trials whenever one ends adds up where there are very many."""
        self._states.update(trial.state for trial in self.trials.values())

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self._live = Live(get_renderable=self.render, console=self.console, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def advance(self, key: str, epoch: int, epochs: int, accuracy: float | None) -> None:
        """Note that a trial runs, and how far it is."""
        trial = self.trials[key]
        if trial.state != "running":
            self._move(trial, "running")
            trial.started = time.monotonic()
        trial.epoch, trial.epochs = epoch, epochs
        trial.accuracy = trial.accuracy if accuracy is None else accuracy

    def finish(self, key: str, state: str, reason: str = "") -> None:
        """Note that a trial is done or has failed, and say so where there is no live table."""
        trial = self.trials[key]
        self._move(trial, state)
        trial.seconds = time.monotonic() - trial.started
        if not self._live or reason:
            accuracy = "" if trial.accuracy is None else f", test accuracy {trial.accuracy:.3f}"
            about = f": {reason}" if reason else f" in {trial.seconds:.0f} s{accuracy}"
            self.console.print(
                f"[{len(self.trials) - self._states['waiting'] - self._states['running']}"
                f"/{len(self.trials)}] "
                f"{trial.title} {state}{about}",
                markup=False,
                highlight=False,
            )

    def say(self, line: str) -> None:
        """Show a line above the table."""
        self.console.print(line, markup=False, highlight=False)

    def seconds_left(self) -> float | None:
        """Best guess from the trials so far; None before anything has finished."""
        finished = [t.seconds for t in self.trials.values() if t.state == "done"]
        if not finished:
            return None
        mean = sum(finished) / len(finished)
        open_work = sum(1 - trial.share for trial in self.trials.values())
        return mean * open_work / max(1, min(self.slots, len(self.trials)))

    def render(self) -> RenderableType:
        """Draw the live view: a headline and the trials of interest."""
        left = self.seconds_left()
        guess = "" if left is None else f", about {_duration(left)} left"
        headline = (
            f"{self._states['done']} of {len(self.trials)} trials done, "
            f"{self._states['running']} running, "
            f"{self._states['failed'] + self._states['unfinished']} failed{guess}"
        )
        if not self._of_interest():
            return Text(f"{len(self.trials)} trials are about to start", style="bold")
        table = Table(box=None, padding=(0, 2, 0, 0))
        for name in ("trial", "state", "epoch", "test accuracy"):
            table.add_column(name)
        for trial in self._of_interest():
            table.add_row(
                trial.title,
                trial.state,
                f"{trial.epoch}/{trial.epochs}" if trial.epochs else "",
                "" if trial.accuracy is None else f"{trial.accuracy:.3f}",
            )
        return Group(Text(headline, style="bold"), table)

    def _of_interest(self) -> list[TrialProgress]:
        by_state = {
            s: [t for t in self.trials.values() if t.state == s]
            for s in ("failed", "unfinished", "running")
        }
        done = [trial for trial in self.trials.values() if trial.state == "done"]
        return [*by_state["failed"], *by_state["unfinished"], *by_state["running"], *done[::-1]][
            :ROWS
        ]

    def _move(self, trial: TrialProgress, state: str) -> None:
        self._states[trial.state] -= 1
        self._states[state] += 1
        trial.state = state


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
