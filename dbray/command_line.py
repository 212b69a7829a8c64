"""How a command begins and ends: options from the command line, one line for what is wrong."""

import contextlib
import io
import os
import re
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, Self, TextIO, TypeVar

from dbray.errors import UserError, last_line

Options = TypeVar("Options", bound=Any)

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")  # by Ctrl-C, by schedulers, by a terminal that closes
INTERRUPTED = "interrupted; run the same command again to resume"
GRACE_SECONDS = 6.0  # that a command gets to end after a signal
ONE_SIGNAL_SECONDS = 0.5  # within which a signal is the same one: timeout(1) sends it twice
LONGEST_LINE = 1000  # characters of a message


def run_command(
    options_type: type[Options],
    command: Callable[[Options], int],
    presets: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Parse the command line, run, and exit: 0 if all is well, 2 after one line on bad input.

    So does storage that fails, whatever the command was doing. A command that a signal ends says
    how to go on, and exits with 128 and the signal's number: 130 after Ctrl-C.

    Parameters
    ----------
    presets
        What each choice of the option ``--preset`` changes in the other options' defaults.
    """
    steady_streams()
    with Interruption() as interruption:
        try:
            find_modules_here()
            options = parse(options_type, presets or {})
            if sys.stderr.isatty():  # the libraries take seconds to load: silence looks like a hang
                print("starting ...", file=sys.stderr)  # noqa: T201
            sys.exit(command(options))
        except UserError as error:
            _fail(str(error))
        except OSError as error:  # storage that is full, gone or does not answer
            _fail(last_line(error))
        except KeyboardInterrupt:
            interruption.end()


class Interruption:
    """The signals that end a command: the first as Ctrl-C does, a second one at once.

    A command that does not end in time, as it hangs or is deep in a library, is ended.
    """

    def __init__(self) -> None:
        self.number: int = signal.SIGINT  # of the signal that came, if one has
        self._came = 0.0
        self._said = False
        self._before: dict[int, Any] = {}
        self._told, self._tell = socket.socketpair()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        for name in ENDING:
            number = getattr(signal, name, None)
            # What is ignored stays so: nohup and shells ask for that.
            if number and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._interrupt)
        # A handler has to wait until a library returns; this is written to at once.
        self._tell.setblocking(False)
        signal.set_wakeup_fd(self._tell.fileno(), warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
        threading.Thread(target=self._end_in_time, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._came:  # what ends now still ends at once by a second signal
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            signal.set_wakeup_fd(-1)
        self._tell.close()

    def end(self) -> None:
        """Say how to go on, and exit."""
        self._say()
        sys.exit(128 + self.number)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._came:
            self.number, self._came = number, now
            raise KeyboardInterrupt
        if now - self._came > ONE_SIGNAL_SECONDS:
            self._end_at_once(number)

    def _end_in_time(self) -> None:
        """Wait for a signal, then for the command to end."""
        while told := self._told.recv(1):
            if told[0] in self._before:
                time.sleep(GRACE_SECONDS)
                self._end_at_once(told[0])
        self._told.close()

    def _end_at_once(self, number: int) -> None:
        self._say()
        os._exit(128 + number)

    def _say(self) -> None:
        if not self._said:
            self._said = True
            with contextlib.suppress(OSError):  # unbuffered, as a handler has to
                os.write(2, f"{INTERRUPTED}\n".encode())


class _Lasting(io.FileIO):
    """A standard stream that may lose its reader: what is written then goes nowhere."""

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        try:
            return super().write(data)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)


def steady_streams() -> None:
    """Let no standard stream end a command: one that is closed, breaks or knows few characters."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed; the first file to be opened would stand in its place
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = _steady(sys.stdout, 1)
    sys.stderr = _steady(sys.stderr, 2)


def _steady(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:
        return Path(os.devnull).open("w")
    if not isinstance(stream, io.TextIOWrapper) or not _is_descriptor(stream, number):
        return stream  # a test's, or a notebook's
    raw = _Lasting(number, "w", closefd=False)
    unbuffered = stream.write_through
    return io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=unbuffered,
    )


def _is_descriptor(stream: TextIO, number: int) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return stream.fileno() == number
    return False


def find_modules_here() -> None:
    """Let modules of the current folder be found, after all that is installed.

    A user's own architectures lie there; a ``statistics.py`` beside them must stand for nothing.
    The folder of dbray's scripts is no place for modules at all.
    """
    scripts = str(Path(sys.argv[0]).resolve().parent)
    here = str(Path.cwd())
    sys.path[:] = [path for path in sys.path if path not in ("", scripts, here)] + [here]


def parse(
    options_type: type[Options], presets: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> Options:
    """Options from the command line; whatever is wrong with it becomes one line."""
    import tyro

    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            options = tyro.cli(options_type)
            preset = presets.get(getattr(options, "preset", ""))
            if not preset:
                return options
            changed: Options = replace(options_type(), preset=options.preset, **preset)
            return tyro.cli(options_type, default=changed)
    except SystemExit as end:
        if end.code:
            _fail(_one_line(complaint.getvalue()))
        raise


def open_in_browser(location: str) -> None:
    """Show a page that lies on this machine."""
    path = Path(location)
    if not path.is_file():
        raise UserError(f"{location}: is not on this machine; fetch it, then open it")
    webbrowser.open(path.resolve().as_uri())


def _one_line(boxed: str) -> str:
    """What tyro says inside its box, up to the first rule."""
    inside = [line.strip("│ ") for line in boxed.splitlines() if line.startswith("│")]
    said = []
    for line in inside:
        if set(line) == {"─"}:
            break
        said.append(line)
    return f"{re.sub(' +', ' ', ' '.join(said)).strip()} (--help lists the options)"


def readable(text: str) -> str:
    """One line for a terminal: nothing in it moves the cursor, and it is not endless."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if len(shown) <= LONGEST_LINE:
        return shown
    return f"{shown[: LONGEST_LINE // 2]} ... {shown[-LONGEST_LINE // 2 :]}"


def _fail(line: str) -> None:
    print(f"error: {readable(line)}", file=sys.stderr)  # noqa: T201
    sys.exit(2)
