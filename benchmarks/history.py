"""What was measured before, a record a line, and what has changed since.

A figure has changed where both runs took it often enough, the rank test tells their repetitions
apart, and their medians differ by more than a little. Seconds change with what else the machine
does: where they did and the ratio to the peer did not, that is said.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from scipy.stats import mannwhitneyu

from benchmarks.timing import Result
from dbray.errors import UserError

LEVEL = 0.02  # of the rank test; five repetitions against five can reach .008
LEAST = 0.05  # relative change of a median; less is not worth a line
FEWEST = 4  # repetitions on either side; three against three never reach the level
LIBRARIES = ("numba", "connected-components-3d")  # besides those that results depend on


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes
    ----------
    commit
        Abbreviated, with a ``+`` where a Python file differed from it; empty outside a clone.
    cpu, cores
        The hardware that seconds belong to.
    """

    date: str
    commit: str
    cpu: str
    cores: int
    versions: dict[str, str]
    results: tuple[Result, ...]

    @property
    def hardware(self) -> str:
        """What makes two runs' seconds comparable."""
        return f"{self.cpu}, {self.cores} cores"


@dataclass(frozen=True)
class Change:
    """One figure of a benchmark in two runs."""

    what: str
    figure: str
    before: tuple[float, ...]  # of each repetition
    now: tuple[float, ...]
    less_is_better: bool

    @property
    def factor(self) -> float:
        """Median now over median before."""
        return median(self.now) / median(self.before)

    @property
    def measured_enough(self) -> bool:
        """Whether there are repetitions to know the noise by."""
        return min(len(self.before), len(self.now)) >= FEWEST

    @property
    def exceeds_noise(self) -> bool:
        """Whether the two runs are told apart."""
        if not self.measured_enough or abs(self.factor - 1) <= LEAST:
            return False
        test = mannwhitneyu(self.before, self.now, method="exact")
        return bool(test.pvalue <= LEVEL)

    @property
    def verdict(self) -> str:
        """In one word."""
        return "faster" if (self.factor < 1) is self.less_is_better else "slower"


_RECORD = TypeAdapter(Record)


def begin_record() -> Record:
    """A run that begins now, by this code on this machine, without results so far."""
    from dbray.study.provenance import library_versions

    return Record(
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        commit=_commit(),
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        versions=library_versions() | {name: version(name) for name in LIBRARIES},
        results=(),
    )


def read_history(path: Path) -> list[Record]:
    """All records of a file, the oldest first."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"{path}: no history can be read here: {error.strerror}") from None
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(_RECORD.validate_json(line))
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or "the line"
            said = f"{path}, line {number} is no record: {where}: {fault['msg']}"
            raise UserError(f"{said}; remove the line") from None
    return records


def append_record(path: Path, record: Record) -> None:
    """Add a line to a history, which is made if it is not there."""
    with path.open("ab") as file:
        file.write(_RECORD.dump_json(record) + b"\n")


def newest(records: list[Record], now: Record) -> Record | None:
    """The record to compare with: of the same hardware if there is one."""
    same = [record for record in records if record.hardware == now.hardware]
    return max(same or records, key=lambda record: record.date, default=None)


def changes(before: Record, now: Record) -> list[Change]:
    """All figures that both runs have: ratios, and seconds where the hardware is the same."""
    older = {(result.what, result.peer): result for result in before.results}
    found = []
    for result in now.results:
        old = older.get((result.what, result.peer))
        if old is None:
            continue
        name = f"{result.what} ({result.peer})"
        found.append(Change(name, "ratio", old.ratios, result.ratios, less_is_better=False))
        if before.hardware == now.hardware:
            found.append(Change(name, "seconds", old.ours, result.ours, less_is_better=True))
    return found


def comparison(before: Record, now: Record) -> Iterator[str]:
    """Lines that say what has changed by more than the noise of both runs."""
    yield f"Against {before.date}, commit {before.commit or 'unknown'}: {_hardware(before, now)}"
    versions = [
        f"{name} {before.versions.get(name, 'none')} then, {here} now"
        for name, here in now.versions.items()
        if before.versions.get(name) != here
    ]
    if versions:
        yield f"Other versions: {'; '.join(versions)}"
    compared = changes(before, now)
    judged = [change for change in compared if change.measured_enough]
    told = [change for change in judged if change.exceeds_noise]
    yield f"Changed by more than the noise of both: {len(told)} of {len(judged)} figures"
    own = {change.what for change in told if change.figure == "ratio"}
    for change in told:
        with_peer = (
            "" if change.what in own else "; the ratio did not: the machine, or what both use"
        )
        yield (
            f"- {change.verdict}: {change.what}: {change.figure} {_spread(change.before)} then, "
            f"{_spread(change.now)} now, {change.factor - 1:+.0%}{with_peer}"
        )
    for change in compared:
        if not change.measured_enough:
            yield (
                f"- not judged, too few repetitions: {change.what}: {change.figure} "
                f"{_spread(change.before)} then, {_spread(change.now)} now"
            )
    then, here = ({(r.what, r.peer) for r in record.results} for record in (before, now))
    yield f"Measured in one run alone: {len(then - here)} benchmarks then, {len(here - then)} now"


def _hardware(before: Record, now: Record) -> str:
    if before.hardware == now.hardware:
        return f"the same hardware ({now.hardware})"
    return (
        f"other hardware ({before.hardware}; here {now.hardware}), so ratios alone are compared: "
        "seconds do not carry over"
    )


def _spread(values: tuple[float, ...]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4g}"
    return f"{median(values):.4g} ({min(values):.4g} to {max(values):.4g})"


def _commit() -> str:
    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["git", *arguments]
        folder = Path(__file__).parent
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    try:
        found = git("rev-parse", "--short", "HEAD")
        changed = git("status", "--porcelain", "--", ":/*.py").stdout
    except OSError:  # no git
        return ""
    return found.stdout.strip() + ("+" if changed else "") if not found.returncode else ""


def _cpu() -> str:
    """Name of the processor, with the numbers that tell apart what has the same name."""
    from dbray.study.provenance import cpu_name

    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return cpu_name()
    numbers = dict(re.findall(r"^(cpu family|model|stepping)\t+: (\w+)$", text, re.MULTILINE))
    return ", ".join([cpu_name(), *(f"{name} {number}" for name, number in numbers.items())])
