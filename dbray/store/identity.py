"""What makes a study this study: it can be extended, and never becomes another one."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dbray.errors import UserError
from dbray.planes import plane_ids_of
from dbray.store.check import STATE, check_storage
from dbray.store.opening import study_at
from dbray.store.records import CommittedTrial
from dbray.store.study import Study

IDENTITY = ("dataset", "planes", "pictures", "group_by")  # what a study can never change, less ...


Described = Mapping[str, Any]


def _most(labelled: Any, wanted: Any) -> dict[str, int]:  # noqa: ANN401 - JSON
    """The larger count of each kind."""
    kinds = [*labelled, *(kind for kind in wanted if kind not in labelled)]
    return {kind: max(labelled.get(kind, 0), wanted.get(kind, 0)) for kind in kinds}


def _appended(labelled: Any, wanted: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """All of both, the new ones last."""
    return [*labelled, *(item for item in wanted if item not in labelled)]


def _set_once(labelled: Any, wanted: Any) -> Any:  # noqa: ANN401 - JSON
    """What is there stands; what is not there can be set."""
    return wanted if labelled is None else labelled


# ... these, which follow what is asked for: (section, field) to its empty value and how what is
# labelled already is joined with it. Nothing that is labelled is given up.
GROWING: dict[tuple[str, str], tuple[Any, Callable[[Any, Any], Any]]] = {
    ("planes", "counts"): ({}, _most),
    ("planes", "adversarial_to"): (None, _set_once),
    ("planes", "chosen"): ([], _appended),
    ("planes", "noise"): (None, _set_once),
    ("planes", "line_images"): (0, max),
    ("planes", "pairs"): (None, _set_once),
    ("pictures", "plane_ids"): ([], _appended),
    ("pictures", "resolution"): (0, max),
}


def planned_study(storage: str, name: str, described: Described) -> tuple[Study, dict[str, Any]]:
    """The study, and what its ``study.json`` would say after this command; nothing is written.

    Parameters
    ----------
    described
        What the command asks for; the values under ``dataset``, ``planes``, ``pictures`` and
        ``group_by`` are the study's identity, but for those in ``GROWING`` (such as the number of
        planes): of these the study keeps all that its trials have labelled.

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
            return study, _grown(study, described)
        foreign = sorted(study.folder.files())
    except OSError as error:
        raise UserError(f"storage {error}") from error
    if foreign and not all(path.startswith(f"{STATE}/") for path in foreign):
        raise UserError(
            f"{study.location}: holds files that are no dbray study ({foreign[0]}, ...); "
            "choose another --name or --storage"
        )
    return study, json.loads(json.dumps(described))


def create_or_extend(storage: str, name: str, described: Described) -> Study:
    """Make the study, or open and extend it; raises what ``planned_study`` does."""
    study, planned = planned_study(storage, name, described)
    write_description(study, planned)
    return study


def write_description(study: Study, planned: Described) -> None:
    """Write ``study.json`` if it says something new.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    try:
        data = _pretty_json(planned)
        if not study.folder.exists("study.json") or study.folder.read("study.json") != data:
            study.write_bytes("study.json", data)
    except OSError as error:
        raise UserError(f"storage {error}") from error


def _grown(study: Study, described: Described) -> dict[str, Any]:
    """The stored description with what is asked for now, and what is labelled already."""
    stored = study.description()
    wanted = json.loads(json.dumps(described))
    differences = list(_differences(_identity(stored), _identity(wanted)))
    if differences:
        raise UserError(
            f"study {study.name} in {study.location} is another one: {'; '.join(differences)}; "
            "choose another --name"
        )
    labelled = _labelled(stored, study.committed())
    grown: dict[str, Any] = json.loads(json.dumps(stored))
    for (section, name), (empty, join) in GROWING.items():
        asked = wanted[section].get(name, empty)
        grown[section][name] = join(labelled.get((section, name), empty), asked)
    if wanted["planes"].get("pairs") is not None:
        grown["planes"]["pairs"] = wanted["planes"]["pairs"]
    if wanted.get("contrasts") is not None:
        grown["contrasts"] = wanted["contrasts"]
    if wanted.get("own_training"):
        given = {name: value for name, value in wanted["own_training"].items() if value}
        grown["own_training"] = {
            **wanted["own_training"],
            **stored.get("own_training", {}),
            **given,
        }
    # How often a study is looked at is part of what its verdicts mean: a look is never taken back.
    grown["looks"] = sorted({*stored.get("looks", ()), *wanted.get("looks", ())})
    attacked = wanted["planes"].get("adversarial_to")
    if attacked not in (None, grown["planes"]["adversarial_to"]):
        raise UserError(
            f"study {study.name}: its adversarial planes are against trial "
            f"{grown['planes']['adversarial_to']}, not {attacked}; choose another --name"
        )
    return grown


def _labelled(stored: Described, trials: Sequence[CommittedTrial]) -> dict[tuple[str, str], Any]:
    """Of the parts that can grow, what every trial has answered; a part that none has is absent."""
    # Stored planes depend on these two: once set, they stay.
    once = ("adversarial_to", "noise", "pairs")
    found: dict[tuple[str, str], Any] = {("planes", n): stored["planes"].get(n) for n in once}
    if not trials:
        return found
    kinds = {kind: min(t.planes.get(kind, 0) for t in trials) for kind in trials[0].planes}
    pictured = {plane_id for trial in trials for plane_id in trial.pictures}
    shared = set.intersection(*(set(trial.pictures) for trial in trials))
    found["planes", "counts"] = {kind: count for kind, count in kinds.items() if count}
    found["planes", "line_images"] = min(trial.line_images for trial in trials)
    found["pictures", "resolution"] = min(trial.picture_resolution for trial in trials)
    found["pictures", "plane_ids"] = [i for i in stored["pictures"]["plane_ids"] if i in shared]
    # Their numbers are places in a list: those before the last that is pictured stay.
    chosen = stored["planes"].get("chosen", [])
    used = [n for n, i in enumerate(plane_ids_of("chosen", len(chosen))) if i in pictured]
    found["planes", "chosen"] = chosen[: 1 + max(used, default=-1)]
    return found


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
