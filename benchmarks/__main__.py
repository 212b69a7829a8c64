"""Speed as ratios to a peer or a physical limit: ``python -m benchmarks [NAME ...]``.

Some are tables of their own: ``python -m benchmarks scale [TRIALS ...]``, what studies of many
trials cost; ``python -m benchmarks nodes [NODES] [TRIALS]``, one on a cluster, killed half way;
``python -m benchmarks coverage [REPETITIONS]``, whether intervals keep what they promise;
``python -m benchmarks pointing [STUDY]``, how fast the page's explorer answers.

Both sides of a ratio run in the same process, taking turns; the best of the repetitions counts,
as everything that disturbs a run makes it slower. Results go to standard output as a table.
"""

import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version

# Before NumPy and torch are loaded: one thread on both sides of every ratio.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TABLES = ("scale", "nodes", "coverage", "pointing")
NAMES = ("agreement", "fragmentation", "labelling", "sweep", "tiny_trainings")


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    what: str
    ours: float  # seconds
    theirs: float  # seconds, of the peer or the limit
    peer: str
    aim: str

    @property
    def ratio(self) -> float:
        """Seconds of the peer over ours: above 1, we are faster."""
        return self.theirs / self.ours


def best_of(repetitions: int, *calls: Callable[[], object]) -> list[float]:
    """Shortest time in seconds of each call, the calls taking turns."""
    shortest = [float("inf")] * len(calls)
    for _ in range(repetitions):
        for number, call in enumerate(calls):
            started = time.perf_counter()
            call()
            shortest[number] = min(shortest[number], time.perf_counter() - started)
    return shortest


def main() -> None:
    """Run the named benchmarks, or all that are ratios."""
    chosen = sys.argv[1:] or list(NAMES)
    if chosen[0] in TABLES:
        _print_machine()
        import_module(f"benchmarks.{chosen[0]}").main(chosen[1:])
        return
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        names = ", ".join((*NAMES, *TABLES))
        sys.exit(f"error: benchmark {unknown[0]!r} is unknown; choose from {names}")
    _print_machine()
    print("| what | dbray, s | peer, s | peer / dbray | peer | aim |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in chosen:
        for result in _benchmark(name)():
            print(
                f"| {result.what} | {result.ours:.3f} | {result.theirs:.3f} | {result.ratio:.2f} "
                f"| {result.peer} | {result.aim} |",
                flush=True,
            )


def _print_machine() -> None:
    print(f"{_cpu()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
    libraries = ("numpy", "torch", "numba", "connected-components-3d", "ray")
    print(", ".join(f"{name} {version(name)}" for name in libraries), end="\n\n")


def _benchmark(name: str) -> Callable[[], list[Result]]:
    run: Callable[[], list[Result]] = import_module(f"benchmarks.{name}").run
    return run


def _cpu() -> str:
    from dbray.study.provenance import cpu_name

    return f"{cpu_name()}, Python {platform.python_version()}"


if __name__ == "__main__":
    # The benchmarks import this module by its name; they must get this very one.
    sys.modules["benchmarks.__main__"] = sys.modules[__name__]
    main()
