"""What makes a study this study: it can be extended, and never becomes another one."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dbray.errors import UserError
from dbray.store.study import Study, study_at

IDENTITY = ("dataset", "planes", "pictures", "group_by")  # what a study can never change, less ...
GROWING = {"planes": "counts", "pictures": "plane_ids"}  # ... these, which can grow


def create_or_extend(storage: str, name: str, described: Mapping[str, Any]) -> Study:
    """Make the study, or open it if it has the same identity.

    Parameters
    ----------
    described
        What goes to ``study.json``; the values under ``dataset``, ``planes``, ``pictures`` and
        ``group_by`` are the study's identity, but for ``planes.counts`` (planes of each kind) and
        ``pictures.plane_ids``: of these the study keeps the most that was ever asked for.

    Raises
    ------
    UserError
        If the place holds another study (what differs is named), or files that are no study,
        or cannot be written.
    """
    study = study_at(storage, name)
    try:
        if study.folder.exists("study.json"):
            grown = _grow(study, described)
            if grown:
                study.write_bytes("study.json", _pretty_json(grown))
            return study
        foreign = sorted(study.folder.files())
        if foreign and not all(path.startswith(".tune/") for path in foreign):
            raise UserError(
                f"{study.location}: holds files that are no dbray study ({foreign[0]}, ...); "
                "choose another --name or --storage"
            )
        study.write_bytes("study.json", _pretty_json(described))
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"storage {study.location}: cannot be used: {reason}") from error
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
    counts, pictures = dict(stored["planes"]["counts"]), stored["pictures"]["plane_ids"]
    for kind, count in wanted["planes"]["counts"].items():
        counts[kind] = max(count, counts.get(kind, 0))
    pictures = sorted({*pictures, *wanted["pictures"]["plane_ids"]})
    if (counts, pictures) == (stored["planes"]["counts"], stored["pictures"]["plane_ids"]):
        return None
    stored["planes"]["counts"], stored["pictures"]["plane_ids"] = counts, pictures
    return dict(stored)


def _identity(described: Mapping[str, Any]) -> dict[str, Any]:
    identity = {key: described[key] for key in IDENTITY}
    for key, growing in GROWING.items():
        identity[key] = {name: v for name, v in identity[key].items() if name != growing}
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
