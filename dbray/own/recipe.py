"""What trains: a user's function or command, checked before anything is trained by it."""

import hashlib
import inspect
import shlex
import string
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from dbray.errors import UserError, one_line
from dbray.importing import import_function, source_file
from dbray.own.calling import check_call
from dbray.sources import OWN_SOURCES

# What a function may have arguments for beside its options, and a command places for.
OFFERED = ("seeds", "seed", "dataset", "device", "folder", "report")
PLACES = ("seed", *OWN_SOURCES, "checkpoint", "folder", "device")


@dataclass(frozen=True)
class OwnRecipe:
    """How a study's models are trained.

    Attributes
    ----------
    train
        ``package.module:function``, or a command with ``{places}``.
    code_sha256
        Of the file that holds the function, or of the files that the command names, in hex.
    one_seed
        Whether it takes a single seed, so that its sources of randomness cannot be told apart.
    """

    train: str
    code_sha256: str
    one_seed: bool

    @property
    def is_command(self) -> bool:
        """Whether it is a command, which needs a factory for the model that it trains."""
        return is_command(self.train)


def is_command(train: str) -> bool:
    """Whether what trains is a command: only a command has places."""
    return "{" in train


def recipe_of(train: str, command: str, options: Collection[str]) -> OwnRecipe:
    """The recipe that a user names, once it is seen that it can be called with the options.

    Parameters
    ----------
    train, command
        One of both; the other is empty.
    options
        Names of the user's own options.

    Raises
    ------
    UserError
        If there is no such function, it cannot be called so, or the command lacks a place.
    """
    if bool(train) == bool(command):
        raise UserError("give --train my_project.train:train or --command '...', one of both")
    return _of_command(command, options) if command else _of_function(train, options)


def _of_function(train: str, options: Iterable[str]) -> OwnRecipe:
    about = f"--train {one_line(train)}"
    module, _, name = train.partition(":")
    if not module or not name.isidentifier():
        raise UserError(f"{about}: name a function as package.module:function")
    function = import_function("--train", train)
    check_call(about, function, OFFERED, options)
    takes = inspect.signature(function).parameters
    if not {"seed", "seeds"} & takes.keys():
        raise UserError(
            f"{about}: takes neither seeds nor seed, so that all its trainings would be one; give "
            "it an argument of that name"
        )
    return OwnRecipe(train, _digest([source_file(train)]), one_seed="seeds" not in takes)


def _of_command(command: str, options: Collection[str]) -> OwnRecipe:
    about = f"--command {one_line(command)}"
    try:
        parts = shlex.split(command)
        places = {place for _, place, *_ in string.Formatter().parse(command) if place is not None}
    except ValueError as error:
        raise UserError(f"{about}: cannot be read: {one_line(error)}") from error
    unknown = sorted(places - {*PLACES, *options})
    unused = sorted(set(options) - places)
    if unknown:
        known = ", ".join([*PLACES, *options])
        raise UserError(f"{about}: {{{unknown[0]}}} stands for nothing; there are {known}")
    if unused:
        raise UserError(f"{about}: has no place {{{unused[0]}}} for this option")
    if "checkpoint" not in places:
        raise UserError(f"{about}: has no {{checkpoint}}, the file that it is to write weights to")
    if not places & {"seed", *OWN_SOURCES}:
        raise UserError(f"{about}: has no {{seed}}, so that all its trainings would be one")
    files = [Path(part) for part in parts if Path(part).is_file()]
    return OwnRecipe(command, _digest(files), one_seed=not places & set(OWN_SOURCES))


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
