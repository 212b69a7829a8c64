"""Errors that a person reads: each is one line that says what is wrong, where, and what to do.

And what others say, made fit to stand inside such a line.
"""

import re
import unicodedata

MOST = 200  # characters that are quoted
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.?)", re.DOTALL)


class UserError(Exception):
    """Bad input or an unusable place; a command prints it as one line and exits with status 2."""


class StorageError(OSError):
    """Storage that refuses or does not answer; the message names the file and what to do."""


class TrialFailedError(Exception):
    """A trial that cannot give a result (its loss is not finite); the study keeps it as failed."""


def one_line(said: object, most: int = MOST) -> str:
    """Text on one line, without escape codes and other characters that a terminal would obey."""
    plain = _ESCAPE.sub(" ", str(said))
    shown = (" " if unicodedata.category(c)[0] in "CZ" else c for c in plain[: 50 * most])
    line = " ".join("".join(shown).split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def is_printable(text: str) -> bool:
    """Whether a terminal and a table show a name as it is."""
    return not any(unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" for c in text)


def reason(error: BaseException) -> str:
    """An exception on one line: its kind, and what it says if it says something."""
    said = one_line(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def last_line(error: BaseException) -> str:
    """What an error says; one that came from another process says its traceback first."""
    *_, line = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"^([A-Za-z_]+\.)*[A-Za-z_]+Error: ", "", line)
