"""How a command ends by a signal: soon, saying how to go on, and with all that it started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import ROOT

SCRIPT = str(ROOT / "sweeps" / "arch_repro.py")
LONG = (
    *("--arch", "fcnet", "--seeds", "1", "--epochs", "3000", "--planes", "2", "--resolution", "10"),
    *("--picture-planes", "", "--checkpoint-seconds", "0"),
)
SECONDS = 20  # 10 on a machine with nothing else to do
QUICK = """
import signal, sys, time
from dataclasses import dataclass

from dbray.command_line import run_command

@dataclass(frozen=True)
class Options:
    '''Nothing.'''

def main(options):
    print("ready", flush=True)
    {body}

run_command(Options, main)
"""


def start(arguments, cwd):
    """A command whose processes can be told, as a shell starts it in the foreground."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"DBRAY_TEST_COMMAND": str(cwd)},
        preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in signals],
    )


def processes(cwd):
    """Command lines of the processes that a command in this folder has left."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if f"DBRAY_TEST_COMMAND={cwd}\0".encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_bytes())
    return [line for line in found if line]


def end(command, seconds=SECONDS):
    """What it said; it has to end in time."""
    try:
        _, said = command.communicate(timeout=seconds)
    finally:
        command.kill()
    return said


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_of_a_scheduler_ends_a_sweep_as_ctrl_c_does(tmp_path, name):
    command = start([SCRIPT, *LONG], tmp_path)
    until = time.monotonic() + 120
    while not list(tmp_path.glob("runs/arch_repro/trials/*/training_state.safetensors")):
        assert command.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    command.send_signal(number := getattr(signal, name))
    said = end(command)
    assert command.returncode == 128 + number
    assert said.splitlines()[-1] == "interrupted; run the same command again to resume"
    for noise in ("Traceback", "*** ", "stack"):
        assert noise not in said
    until = time.monotonic() + 60  # Ray's agents look after their node now and then
    while left := processes(tmp_path):
        assert time.monotonic() < until, left
        time.sleep(0.2)


def quick(tmp_path, body):
    script = tmp_path / "quick.py"
    script.write_text(QUICK.format(body=body))
    command = start([str(script)], tmp_path)
    assert command.stdout.readline() == "ready\n"
    return command


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_the_exit_status_says_which_signal_it_was(tmp_path, name, code):
    command = quick(tmp_path, "time.sleep(60)")
    command.send_signal(getattr(signal, name))
    assert end(command) == "interrupted; run the same command again to resume\n"
    assert command.returncode == code


def test_a_second_signal_ends_at_once(tmp_path):
    command = quick(
        tmp_path,
        """
    try:
        print("within", flush=True)
        time.sleep(60)
    finally:
        print("ready", flush=True)
        time.sleep(60)
""",
    )
    assert command.stdout.readline() == "within\n"
    command.send_signal(signal.SIGTERM)
    assert command.stdout.readline() == "ready\n"
    time.sleep(1)
    command.send_signal(signal.SIGINT)
    assert end(command, 4) == "interrupted; run the same command again to resume\n"
    assert command.returncode == 130


def test_a_command_deep_in_a_library_ends_all_the_same(tmp_path):
    """Python's own handler waits until the call returns."""
    command = quick(tmp_path, "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 2**30)")
    time.sleep(1)
    started = time.monotonic()
    command.send_signal(signal.SIGTERM)
    assert end(command) == "interrupted; run the same command again to resume\n"
    assert command.returncode == 143
    assert time.monotonic() - started > 5  # it was in there


def test_what_is_ignored_stays_so(tmp_path):
    """As under nohup."""
    script = tmp_path / "quick.py"
    script.write_text(QUICK.format(body="time.sleep(2)"))
    command = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert command.stdout.readline() == "ready\n"
    command.send_signal(signal.SIGHUP)
    assert command.wait(SECONDS) == 0
    command.stdout.close()
