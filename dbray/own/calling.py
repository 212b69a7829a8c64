"""Calling a user's function with those of the things on offer that it takes."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dbray.errors import UserError


def accepted(function: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """The things on offer that a function has arguments for; all where it takes any."""
    names, takes_any = _arguments(function)
    return {name: value for name, value in offered.items() if takes_any or name in names}


def named(function: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """The things on offer that a function names among its arguments."""
    names, _ = _arguments(function)
    return {name: value for name, value in offered.items() if name in names}


def check_call(
    about: str, function: Callable[..., Any], offered: Iterable[str], options: Iterable[str]
) -> None:
    """Check that a function can be called with the options, and needs nothing that there is not.

    Raises
    ------
    UserError
        If not.
    """
    names, takes_any = _arguments(function)
    offered, options = list(offered), list(options)
    for option in options:
        if option in offered:
            raise UserError(f"{about}: {option} is no option: it is what dbray gives")
        if option not in names and not takes_any:
            takes = ", ".join(n for n in names if n not in offered) or "no options"
            raise UserError(f"{about}: has no argument {option}; it takes {takes}")
    for name, needed in names.items():
        if needed and name not in offered and name not in options:
            raise UserError(f"{about}: needs {name}; give it as an option, such as {name}=1")


def _arguments(function: Callable[..., Any]) -> tuple[dict[str, bool], bool]:
    """Names of a function's arguments with whether each is needed; whether it takes any others."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of some built-in functions
        return {}, True
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return (
        {p.name: p.default is inspect.Parameter.empty for p in parameters if p.kind in named},
        any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters),
    )
