"""Grid of a user's own training: options, seeds, and the code that all its trials are of."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from dbray.architectures import Reading
from dbray.config import Option, OwnTrainingConfig
from dbray.datasets import Dataset
from dbray.errors import UserError, is_printable, one_line
from dbray.own import OwnRecipe, build_with
from dbray.sources import OWN_SOURCES, Source
from dbray.store import Study, study_at
from dbray.study.checks import per_channel
from dbray.study.planes import plane_plan
from dbray.trial import covers, factory_of

Grid = dict[str, list[Option]]  # values of each option
MOST_SETTINGS = 100_000


def read_options(given: Sequence[str]) -> Grid:
    """Values of each option, from texts such as ``lr=0.1 lr=0.01 width=64`` or a TOML file.

    In a file, ``lr = [0.1, 0.01]`` gives several values. Values are numbers, true or false, or
    texts.

    Raises
    ------
    UserError
        If one cannot be read, or is given twice.
    """
    grid: Grid = {}
    for text in given:
        pairs = _of_file(Path(text)) if text.endswith(".toml") else _of_text(text)
        for name, value in pairs:
            if not name.isidentifier():
                raise UserError(f"--options: {one_line(name)!r} is no name of an argument")
            values = grid.setdefault(name, [])
            if any(value == other and type(value) is type(other) for other in values):
                raise UserError(f"--options: {name}={value} is given twice")
            values.append(value)
    return grid


def settings(grid: Grid) -> list[tuple[tuple[str, Option], ...]]:
    """Every combination of the options' values, in the order in which they were given."""
    count = 1
    for values in grid.values():
        count *= len(values)
    if count > MOST_SETTINGS:
        raise UserError(f"--options: {count:,} combinations are too many")
    return [tuple(zip(grid, values, strict=True)) for values in product(*grid.values())]


def seeds_of(recipe: OwnRecipe, seeds: int, vary: Sequence[str]) -> list[dict[Source, int]]:
    """Seeds of each trial of a setting.

    ``all``: trial s has seed s everywhere. A source alone: that source has the seeds 1 to S, and
    all others 0.

    Raises
    ------
    UserError
        If a source is to vary alone and the training takes a single seed.
    """
    alone = [what for what in vary if what != "all"]
    if recipe.one_seed and alone:
        raise UserError(
            f"--vary {alone[0]}: {one_line(recipe.train)} takes a single seed; give it seeds "
            "(README, your own training)"
        )
    found: list[dict[Source, int]] = []
    for what in vary:
        for seed in range(seeds):
            if what == "all":
                found.append(dict.fromkeys(OWN_SOURCES, seed))
            else:
                found.append({s: seed + 1 if s == what else 0 for s in OWN_SOURCES})
    return found


def with_code_of_study(storage: str, name: str, recipe: OwnRecipe, *, same_code: bool) -> OwnRecipe:
    """The recipe with the digest of the code that a study's trials are of.

    Raises
    ------
    UserError
        If trials were trained by other code, and it is not said that it does the same.
    """
    study = study_at(storage, name)
    trials = study.committed() if study.folder.exists("study.json") else []
    before = [
        trial.config.code_sha256
        for trial in trials
        if isinstance(trial.config, OwnTrainingConfig) and trial.config.train == recipe.train
    ]
    others = [digest for digest in before if digest != recipe.code_sha256]
    if not others:
        return recipe
    if not same_code:
        raise UserError(
            f"the code of {one_line(recipe.train)} has changed since {len(others)} trials of study "
            f"{name} were trained by it: --same-code goes on if it trains as before, another "
            "--name begins anew"
        )
    return replace(recipe, code_sha256=others[0])


def own_configs(
    recipe: OwnRecipe,
    grid: Grid,
    seeds: Sequence[dict[Source, int]],
    dataset: Dataset,
    normalisation: tuple[tuple[float, ...], tuple[float, ...]],
) -> list[OwnTrainingConfig]:
    """Every trial of the grid.

    Parameters
    ----------
    normalisation
        Mean and standard deviation of the model's own; each empty where it takes ours.

    Raises
    ------
    UserError
        If the normalisation is not for these images.
    """
    mean, std = (per_channel("--mean, --std:", values, dataset) for values in normalisation)
    return [
        OwnTrainingConfig(
            dataset=dataset.name,
            dataset_fingerprint=dataset.fingerprint,
            train=recipe.train,
            code_sha256=recipe.code_sha256,
            options=options,
            mean=mean,
            std=std,
            **{f"{source}_seed": seed for source, seed in each.items()},
        )
        for options in settings(grid)
        for each in seeds
    ]


def check_factory(recipe: OwnRecipe, factory: str, grid: Grid, dataset: Dataset) -> None:
    """Build the model of every setting once; a command cannot do without a factory.

    Raises
    ------
    UserError
        If there is none, or it does not work.
    """
    if factory:
        for options in settings(grid):
            build_with(factory, dataset, dict(options), Reading())
    elif recipe.is_command:
        raise UserError("--command: name what builds its model by --factory my_project.nets:make")


def forget_without_factory(study: Study) -> int:
    """Make trials that lack what is asked for be trained again if nothing builds their model.

    Returns
    -------
    How many trials these are.
    """
    plan = plane_plan(study.description())
    lacking = [
        trial
        for trial in study.committed()
        if not covers(trial, plan) and not factory_of(study, trial)
    ]
    for trial in lacking:
        study.discard(trial.trial_id)
    return len(lacking)


def _of_text(text: str) -> Iterable[tuple[str, Option]]:
    for part in text.split():
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise UserError(f"--options {one_line(part)}: write NAME=VALUE")
        yield name, _parsed(value)


def _parsed(text: str) -> Option:
    """A number, true or false as TOML has them; else the text itself."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    return _option(text, value if isinstance(value, int | float) else text)


def _of_file(path: Path) -> Iterable[tuple[str, Option]]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"--options {path}: cannot be read: {one_line(error.strerror)}") from error
    except ValueError as error:
        raise UserError(f"--options {path}: is no TOML file: {one_line(error)}") from error
    for name, values in found.items():
        for value in values if isinstance(values, list) else [values]:
            yield name, _option(name, value)


def _option(about: str, value: Any) -> Option:  # noqa: ANN401 - any TOML value
    if not isinstance(value, str | int | float | bool):
        raise UserError(
            f"--options {one_line(about)}: must be a number, true, false or a text, not "
            f"{type(value).__name__}"
        )
    if isinstance(value, float) and value - value != 0:
        raise UserError(f"--options {one_line(about)}: must be finite")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise UserError(f"--options {one_line(about)}: has too many digits")
    if isinstance(value, str) and not (value.strip() and is_printable(value)):
        raise UserError(f"--options {one_line(about)!r}: must be a printable text")
    return value
