"""What files and exceptions say, made fit to stand inside one line of ours."""

import re
import unicodedata

MOST = 200  # characters that are quoted
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.?)", re.DOTALL)


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
