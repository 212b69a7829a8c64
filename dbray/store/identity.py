"""What makes a study this study: it can be extended, and never becomes another one."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dbray.errors import UserError
from dbray.store.check import STATE, check_storage
from dbray.store.opening import study_at
from dbray.store.study import Study

IDENTITY = ("dataset", "planes", "pictures", "group_by")  # what a study can never change, less ...


def _most(stored: Any, wanted: Any) -> dict[str, int]:  # noqa: ANN401 - JSON
    """The larger count of each kind."""
    kinds = [*stored, *(kind for kind in wanted if kind not in stored)]
    return {kind: max(stored.get(kind, 0), wanted.get(kind, 0)) for kind in kinds}


def _appended(stored: Any, wanted: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """All of both, the new ones last."""
    return [*stored, *(item for item in wanted if item not in stored)]


def _set_once(stored: Any, wanted: Any) -> Any:  # noqa: ANN401 - JSON
    """What is there stands; what is not there can be set."""
    return wanted if stored is None else stored


def _last(stored: Any, wanted: Any) -> Any:  # noqa: ANN401 - JSON
    """What is asked for, if anything is."""
    return stored if wanted is None else wanted


# ... these, which can grow: (section, field) to its empty value and how two are joined.
GROWING: dict[tuple[str, str], tuple[Any, Callable[[Any, Any], Any]]] = {
    ("planes", "counts"): ({}, _most),
    ("planes", "adversarial_to"): (None, _set_once),
    ("planes", "chosen"): ([], _appended),
    ("planes", "noise"): (None, _set_once),
    ("planes", "line_images"): (0, max),
    ("planes", "pairs"): (None, _last),
    ("pictures", "plane_ids"): ([], _appended),
    ("pictures", "resolution"): (0, max),
}


def create_or_extend(storage: str, name: str, described: Mapping[str, Any]) -> Study:
    """Make the study, or open it if it has the same identity.

    Parameters
    ----------
    described
        What goes to ``study.json``; the values under ``dataset``, ``planes``, ``pictures`` and
        ``group_by`` are the study's identity, but for those in ``GROWING`` (such as the number of
        planes): of these the study keeps all that was ever asked for.

    Raises
    ------
    UserError
        If the place holds another study (what differs is named), or files that are no study,
        or cannot be written.
    """
    study = study_at(storage, name)
    check_storage(study.folder)
    try:
        if study.folder.exists("study.json"):
            grown = _grow(study, described)
            if grown:
                study.write_bytes("study.json", _pretty_json(grown))
            return study
        foreign = sorted(study.folder.files())
        if foreign and not all(path.startswith(f"{STATE}/") for path in foreign):
            raise UserError(
                f"{study.location}: holds files that are no dbray study ({foreign[0]}, ...); "
                "choose another --name or --storage"
            )
        study.write_bytes("study.json", _pretty_json(described))
    except OSError as error:
        raise UserError(f"storage {error}") from error
    return study


def _grow(study: Study, described: Mapping[str, Any]) -> dict[str, Any] | None:
    """The description with all that is stored or asked for; None if nothing has grown."""
    try:
        stored = json.loads(study.folder.read("study.json"))
        before = _identity(stored)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{study.location}/study.json: not readable as a study; choose another --name"
        ) from error
    wanted = json.loads(json.dumps(described))
    differences = list(_differences(before, _identity(wanted)))
    if differences:
        raise UserError(
            f"study {study.name} in {study.location} is another one: {'; '.join(differences)}; "
            "choose another --name"
        )
    grown = json.loads(json.dumps(stored))
    for (section, name), (empty, join) in GROWING.items():
        now = stored[section].get(name, empty)
        grown[section][name] = join(now, wanted[section].get(name, empty))
    attacked = wanted["planes"].get("adversarial_to")
    if attacked not in (None, grown["planes"]["adversarial_to"]):
        raise UserError(
            f"study {study.name}: its adversarial planes are against trial "
            f"{grown['planes']['adversarial_to']}, not {attacked}; choose another --name"
        )
    return None if grown == stored else dict(grown)


def _identity(described: Mapping[str, Any]) -> dict[str, Any]:
    identity = {key: described[key] for key in IDENTITY}
    for section, name in GROWING:
        identity[section] = {key: v for key, v in identity[section].items() if key != name}
    return identity


def _pretty_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode()


def _differences(stored: Any, wanted: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON
    """What differs between two JSON values, as 'path is X there, Y here'."""
    if isinstance(stored, dict) and isinstance(wanted, dict):
        for key in sorted(stored.keys() | wanted.keys()):
            yield from _differences(stored.get(key), wanted.get(key), f"{path}.{key}".strip("."))
    elif stored != wanted:
        yield f"{path} is {_brief(stored)} there, {_brief(wanted)} here"


def _brief(value: Any) -> str:  # noqa: ANN401 - JSON
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
