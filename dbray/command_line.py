"""How a command begins and ends: options from the command line, one line for what is wrong."""

import contextlib
import io
import re
import sys
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from dbray.errors import UserError

Options = TypeVar("Options", bound=Any)


def run_command(
    options_type: type[Options],
    command: Callable[[Options], int],
    presets: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Parse the command line, run, and exit: 0 if all is well, 2 after one line on bad input.

    So does storage that fails, whatever the command was doing. A command that was interrupted
    exits with 130 and says how to go on.

    Parameters
    ----------
    presets
        What each choice of the option ``--preset`` changes in the other options' defaults.
    """
    find_modules_here()
    options = parse(options_type, presets or {})
    if sys.stderr.isatty():  # the libraries take seconds to load, and silence looks like a hang
        print("starting ...", file=sys.stderr)  # noqa: T201
    try:
        sys.exit(command(options))
    except UserError as error:
        _fail(str(error))
    except OSError as error:  # storage that is full, gone or does not answer
        _fail(last_line(error))
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)  # noqa: T201
        sys.exit(130)


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


def last_line(error: BaseException) -> str:
    """What an error says; one that came from another process says its traceback first."""
    *_, line = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"^([A-Za-z_]+\.)*[A-Za-z_]+Error: ", "", line)


def _one_line(boxed: str) -> str:
    """What tyro says inside its box, up to the first rule."""
    inside = [line.strip("│ ") for line in boxed.splitlines() if line.startswith("│")]
    said = []
    for line in inside:
        if set(line) == {"─"}:
            break
        said.append(line)
    return f"{re.sub(' +', ' ', ' '.join(said))} (--help lists the options)"


def _fail(line: str) -> None:
    print(f"error: {line}", file=sys.stderr)  # noqa: T201
    sys.exit(2)
