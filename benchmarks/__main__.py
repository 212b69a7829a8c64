"""Speed as ratios to a peer or a physical limit: ``python -m benchmarks [NAME ...]``.

``--record FILE`` adds what was found to a history, a line a run, and ``--against FILE`` says what
has changed by more than the noise since the newest record of the same hardware;
``benchmarks/history.jsonl`` is this project's.

Some are tables of their own: ``python -m benchmarks scale [TRIALS ...]``, what studies of many
trials cost; ``python -m benchmarks nodes [NODES] [TRIALS]``, one on a cluster, killed half way;
``python -m benchmarks coverage [REPETITIONS]``, whether intervals keep what they promise;
``python -m benchmarks pointing [STUDY]``, how fast the page's explorer answers.

Both sides of a ratio run in the same process, taking turns, and CPU seconds are taken (of whole
studies, seconds by the clock); the best of the repetitions counts, as everything that disturbs a
run makes it slower. Results go to standard output as a table.
"""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

# Before NumPy and torch are loaded: one thread on both sides of every ratio.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.history import Record, append_record, begin_record, comparison, newest, read_history
from benchmarks.timing import Result
from dbray.errors import UserError

TABLES = ("scale", "nodes", "coverage", "pointing")
NAMES = ("agreement", "fragmentation", "labelling", "sweep", "tiny_trainings")


def main() -> None:
    """Run the named benchmarks, or all that are ratios."""
    name, *options = sys.argv[1:] or [""]
    try:
        if name in TABLES:
            _table(name, options)
        else:
            asked = _parser().parse_intermixed_args()
            _compare_and_record(asked.names or list(NAMES), asked.record, asked.against)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _table(name: str, options: list[str]) -> None:
    if {"--record", "--against"}.intersection(options):
        raise UserError(f"{name} is a table of its own: only ratios have a history")
    _print_machine()
    import_module(f"benchmarks.{name}").main(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join((*NAMES, *TABLES))}")
    parser.add_argument("--record", type=Path, metavar="FILE", help="add the run to a history")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with a history")
    return parser


def _compare_and_record(chosen: list[str], record: Path | None, against: Path | None) -> None:
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        names = ", ".join((*NAMES, *TABLES))
        raise UserError(f"benchmark {unknown[0]!r} is unknown; choose from {names}")
    # Whatever is wrong with the files is said before minutes of measuring.
    histories = {path: read_history(path) for path in (record, against) if path and path.exists()}
    if against and not histories.get(against):
        raise UserError(f"{against}: no record to compare with; make one with --record {against}")
    if record and not record.parent.is_dir():
        raise UserError(f"{record.parent}: no such folder to keep a history in")
    found = replace(_print_machine(), results=tuple(_measure(chosen)))
    if against and (before := newest(histories[against], found)):
        print()
        for line in comparison(before, found):
            print(line)
    if record:
        append_record(record, found)


def _print_machine() -> Record:
    here = begin_record()
    print(f"{here.hardware}, {here.date[:10]}, commit {here.commit or 'unknown'}")
    print(", ".join(f"{name} {number}" for name, number in here.versions.items()), end="\n\n")
    return here


def _measure(chosen: list[str]) -> list[Result]:
    print("| what | dbray, s | peer, s | peer / dbray | over repetitions | peer | aim |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    found = []
    for name in chosen:
        run: Callable[[], list[Result]] = import_module(f"benchmarks.{name}").run
        for result in run():
            found.append(result)
            spread = f"{min(result.ratios):.2f} to {max(result.ratios):.2f}"
            peer = "; ".join(filter(None, (result.peer, result.remark)))
            print(
                f"| {result.what} | {min(result.ours):.3f} | {min(result.theirs):.3f} "
                f"| {result.ratio:.2f} | {spread} | {peer} | {result.aim} |",
                flush=True,
            )
    return found


if __name__ == "__main__":
    main()
