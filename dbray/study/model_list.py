"""The list of models that were trained elsewhere: a TOML file with a table for each."""

import math
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbray.architectures import parse_architecture
from dbray.errors import UserError, is_printable, one_line
from dbray.own.pretrained import PRETRAINED

NEEDED = ("name", "factory", "weights")
NONE = "none"  # in the place of a file: the factory makes a model that is fitted already
WITHOUT_FILE = (PRETRAINED, NONE)
TEXTS = (*NEEDED, "group", "key")
KNOWN = (*TEXTS, "output", "probabilities", "mean", "std")


@dataclass(frozen=True)
class Entry:
    """One model of the list."""

    name: str
    factory: str  # an architecture's name, timm:NAME, torchvision:NAME or package.module:function
    weights: Path | None  # None: published by the factory's library, or none at all
    group: str
    key: str = ""  # of several sets of weights in the file, the one that is meant
    output: str = ""  # of several outputs, the one that is the logits
    probabilities: bool | None = None  # whether it answers probabilities; None: see whether it does
    mean: tuple[float, ...] = ()  # its own normalisation: a value a channel, or one for all
    std: tuple[float, ...] = ()
    fitted: bool = False  # its factory makes it as it is, with no weights to load


def read_list(path: Path) -> list[Entry]:
    """Read a list of models, a TOML file with a table ``[[model]]`` for each.

    ``name``, ``factory`` and ``weights`` (a path, from the list's own folder, ``pretrained`` or
    ``none``) must be there;
    ``group`` is the factory where it is not. The README explains the other keys.

    Raises
    ------
    UserError
        If the file cannot be read or lacks something; it says which model.
    """
    rows = _rows(path, _parsed(path))
    entries = [_entry(path, number, row) for number, row in enumerate(rows, start=1)]
    name, times = Counter(entry.name for entry in entries).most_common(1)[0]
    if times > 1:
        raise UserError(f"{path}: two models are called {name}; give each a name of its own")
    return entries


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))  # editors may write a BOM
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {one_line(error.strerror or error)}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no UTF-8 text; save it as UTF-8") from error
    except RecursionError as error:
        raise UserError(f"{path}: is no list of [[model]] tables: nested too deep") from error
    except ValueError as error:  # also numbers and dates that Python does not take
        raise UserError(
            f"{path}: is no TOML list of [[model]] tables: {one_line(error)}"
        ) from error


def _rows(path: Path, found: Mapping[str, Any]) -> list[Any]:
    others = sorted(found.keys() - {"model"})
    if others:
        raise UserError(
            f"{path}: has {one_line(others[0])!r}, which means nothing; write [[model]] for each "
            "model"
        )
    rows = found.get("model", [])
    if isinstance(rows, dict):
        raise UserError(f"{path}: write [[model]] with two brackets, once for each model")
    if not isinstance(rows, list):
        raise UserError(f"{path}: model must be tables [[model]], not {type(rows).__name__}")
    if not rows:
        raise UserError(f"{path}: lists no models; give each a table [[model]]")
    return rows


def _entry(path: Path, number: int, row: Any) -> Entry:  # noqa: ANN401 - any TOML value
    about = f"{path}: model {number}"
    if not isinstance(row, dict):
        raise UserError(f"{about}: must be a table [[model]], not {type(row).__name__}")
    unknown = sorted(row.keys() - set(KNOWN))
    missing = [name for name in NEEDED if name not in row]
    if unknown or missing:
        what = f"has {one_line(unknown[0])}, which means nothing" if unknown else ""
        what = what or f"has no {missing[0]}"
        raise UserError(f"{about} {what}; it takes {', '.join(KNOWN)}")
    for name in TEXTS:
        _check_text(about, name, row.get(name, "-"))
    parse_architecture(row["factory"])
    mean, std = (_numbers(about, name, row.get(name)) for name in ("mean", "std"))
    _check_normalisation(about, mean, std)
    return Entry(
        row["name"],
        row["factory"],
        None if row["weights"] in WITHOUT_FILE else _weights_path(about, path, row["weights"]),
        str(row.get("group", row["factory"])),
        row.get("key", ""),
        _output(about, row.get("output", "")),
        _probabilities(about, row.get("probabilities")),
        mean,
        std,
        fitted=row["weights"] == NONE,
    )


def _check_text(about: str, name: str, value: Any) -> None:  # noqa: ANN401 - any TOML value
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{about}: {name} must be a text that is not empty")
    if not is_printable(value):
        raise UserError(f"{about}: {name} {one_line(value)!r} has characters that are not printed")


def _weights_path(about: str, path: Path, text: str) -> Path:
    try:
        return path.parent / Path(text).expanduser()
    except RuntimeError as error:  # ~of_nobody
        raise UserError(f"{about}: weights {text}: {one_line(error)}") from error


def _output(about: str, value: Any) -> str:  # noqa: ANN401 - any TOML value
    if isinstance(value, bool) or not isinstance(value, str | int) or str(value).startswith("-"):
        raise UserError(f"{about}: output must be a name, or a place in a tuple from 0")
    if not is_printable(str(value)):
        raise UserError(f"{about}: output has characters that are not printed")
    return str(value)


def _probabilities(about: str, value: Any) -> bool | None:  # noqa: ANN401 - any TOML value
    if value is not None and not isinstance(value, bool):
        raise UserError(f"{about}: probabilities must be true or false")
    return value


def _numbers(about: str, name: str, value: Any) -> tuple[float, ...]:  # noqa: ANN401
    values = value if isinstance(value, list) else [] if value is None else [value]
    if (value is not None and not values) or not all(_is_finite(each) for each in values):
        raise UserError(f"{about}: {name} must be a number, or a list of one a channel")
    return tuple(float(each) for each in values)


def _is_finite(value: Any) -> bool:  # noqa: ANN401 - any TOML value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _check_normalisation(about: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    if bool(mean) != bool(std):
        has, lacks = ("mean", "std") if mean else ("std", "mean")
        raise UserError(f"{about}: has {has} but no {lacks}; a normalisation takes both")
    if any(each <= 0 for each in std):
        raise UserError(f"{about}: std must be above 0")
