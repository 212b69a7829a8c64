"""What a user names as ``package.module:name``, imported."""

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbray.errors import UserError, one_line, reason


def import_named(what: str, path: str) -> Any:  # noqa: ANN401 - whatever it is
    """The object that ``package.module:name`` names.

    Parameters
    ----------
    what
        What it is for, such as ``architecture``.

    Raises
    ------
    UserError
        If the module cannot be imported or has no such object.
    """
    module, _, name = path.partition(":")
    about = f"{what} {one_line(path)}"
    try:
        found = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise UserError(
            f"{about}: module {module} cannot be imported ({one_line(error)}); "
            "is it installed, or its folder on PYTHONPATH?"
        ) from error
    except AttributeError as error:
        raise UserError(f"{about}: module {module} has no {name} ({one_line(error)})") from error
    except (Exception, SystemExit) as error:  # the user's module is run by importing it
        raise UserError(f"{about}: importing {module} fails: {reason(error)}") from error
    return found


def import_function(what: str, path: str) -> Callable[..., Any]:
    """The function that ``package.module:function`` names.

    Raises
    ------
    UserError
        If the module cannot be imported or has no such function.
    """
    found = import_named(what, path)
    if not callable(found):
        name = path.partition(":")[2]
        raise UserError(
            f"{what} {one_line(path)}: {name} is no function but {type(found).__name__}"
        )
    return found  # type: ignore[no-any-return]


def source_file(path: str) -> Path:
    """The file that holds the function that ``package.module:function`` names.

    Raises
    ------
    UserError
        If it has none.
    """
    function = import_function("function", path)
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:  # of a built-in
        file = None
    if not file:
        raise UserError(f"{one_line(path)}: its source file cannot be found")
    return Path(file)
