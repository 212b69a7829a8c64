"""Kill a study at random moments until it ends, again and again, and compare its scores.

``python tests/faults/endure.py [ROUNDS] [directory|s3]``: every round is a fresh small study, whose
driver or a trial's process is killed (``kill -9``) after up to ``LONGEST`` seconds, until a command
ends by itself. Its tables must be those of a study that nobody has disturbed, to the byte. Prints a
line a round; the exit status is 1 if one differs.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "fixtures"))

from object_stores import environment, moto  # noqa: E402

from dbray.jobs import TABLES  # noqa: E402
from dbray.store import open_study  # noqa: E402

SMALL = (
    *("--arch", "mlp", "fcnet", "vgg", "--seeds", "2", "--epochs", "30", "--planes", "4"),
    *("--resolution", "12", "--picture-planes", "0", "--picture-resolution", "20"),
    *("--checkpoint-seconds", "0"),
)
LONGEST = 30.0  # seconds; an undisturbed command takes some 40
KILLS = 4  # in a round at most, so that it ends


def main(rounds: int, kind: str) -> int:
    """Run the rounds; the number of those that went wrong, at most 1."""
    rng = random.Random(0)
    killed: Counter[str] = Counter()
    wrong = 0
    with contextlib.ExitStack() as stack:
        here = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if kind == "s3":
            os.environ |= environment(stack.enter_context(moto()))
        _start(here / "undisturbed").wait()
        expected = _scores(here / "undisturbed")
        for number in range(rounds):
            storage = f"s3://studies/{number}" if kind == "s3" else str(here / str(number))
            victims = _disturbed(storage, rng)
            killed.update(victims)
            same = _scores(storage) == expected
            wrong += not same
            print(
                f"round {number}: killed {victims or 'nothing'}; {'same' if same else 'WRONG'}",
                flush=True,
            )
    print(f"{kind}: {rounds} rounds, {dict(killed)} killed, {wrong} wrong")
    return min(wrong, 1)


def _disturbed(storage: str, rng: random.Random) -> list[str]:
    """Kill until a command ends by itself; who was killed."""
    victims: list[str] = []
    while True:
        command = _start(storage)
        until = time.monotonic() + rng.uniform(3, LONGEST)
        while command.poll() is None and (len(victims) >= KILLS or time.monotonic() < until):
            time.sleep(0.1)
        if command.poll() is None:
            trials = _trial_processes(command.pid)
            if trials and rng.random() < 0.75:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(trials), signal.SIGKILL)
                victims.append("trial")
                command.wait()  # it has started the trial again
            else:
                command.kill()
                victims.append("driver")
        if command.wait() == 0:
            return victims


def _start(storage: str | Path) -> subprocess.Popen[bytes]:
    script = str(ROOT / "sweeps" / "arch_repro.py")
    return subprocess.Popen(
        [sys.executable, script, *SMALL, "--storage", str(storage)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _trial_processes(driver: int) -> list[int]:
    """Processes of a driver's Ray that run trials: grandchildren, by way of the raylet."""
    parents, found = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if (path / "cmdline").read_bytes().startswith(b"ray::ImplicitFunc"):
                found.append(int(path.name))
    return [process for process in found if parents.get(parents.get(process, 0)) == driver]


def _scores(storage: str | Path) -> dict[str, bytes]:
    study = open_study(str(storage), "arch_repro")
    return {name: study.folder.read(f"scores/{name}.parquet") for name in TABLES}


if __name__ == "__main__":
    asked = sys.argv[1:] or ["10"]
    sys.exit(main(int(asked[0]), asked[1] if len(asked) > 1 else "directory"))
