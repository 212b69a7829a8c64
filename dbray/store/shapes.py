"""The shapes of a study's JSON files, checked once, where they are read.

What others may have written is data to look at, never to trust: a wrong type, a missing key or
nesting without end is one line that names the file.
"""

import json
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, NotRequired, TypeVar, get_args

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from dbray.config import (
    AnyConfig,
    CheckpointConfig,
    NoiseConfig,
    OwnTrainingConfig,
    TrialConfig,
)
from dbray.store.records import FileRecord, PlanesOf

Count = Annotated[int, Field(ge=0)]
Json = dict[str, Any]
T = TypeVar("T")
LENIENT = ConfigDict(extra="allow")


@with_config(LENIENT)
class _Dataset(TypedDict):
    name: str
    fingerprint: NotRequired[str]
    class_names: Annotated[list[str], Field(min_length=1)]
    input_shape: NotRequired[Annotated[list[int], Field(min_length=3, max_length=3)]]
    train_images: NotRequired[Count]
    test_images: NotRequired[Count]
    mean: NotRequired[list[float]]
    std: NotRequired[list[float]]


@with_config(LENIENT)
class _Planes(TypedDict):
    seed: NotRequired[int]
    resolution: Annotated[int, Field(ge=1)]
    extent: NotRequired[float]
    counts: dict[str, Count]
    adversarial_to: NotRequired[str | None]
    chosen: NotRequired[list[Annotated[list[Count], Field(min_length=3, max_length=3)]]]
    noise: NotRequired[NoiseConfig | None]
    line_images: NotRequired[Count]
    pairs: NotRequired[Literal["all", "groups"] | None]


@with_config(LENIENT)
class _Pictures(TypedDict):
    resolution: Count
    plane_ids: list[Count]
    extent: NotRequired[float]


@with_config(LENIENT)
class _OwnTraining(TypedDict):
    factory: NotRequired[str]
    allow_unstable: NotRequired[bool]


@with_config(LENIENT)
class _Study(TypedDict):
    study: NotRequired[str]
    title: NotRequired[str]
    dataset: _Dataset
    planes: _Planes
    pictures: _Pictures
    group_by: Annotated[list[str], Field(min_length=1)]
    published: NotRequired[bool]  # absent where a study was begun before models were the paper's
    contrasts: NotRequired[list[str] | None]  # that a user has named; absent in older studies
    looks: NotRequired[list[int]]  # seeds at which contrasts are looked at
    own_training: NotRequired[_OwnTraining]  # where a user's own code trains
    versions: NotRequired[dict[str, str]]


@with_config(LENIENT)
class _Hardware(TypedDict):
    cpu: str
    cores: int | None
    memory_gb: float
    gpus: list[str]


@with_config(LENIENT)
class _Invocation(TypedDict):
    command: str
    started: str
    seconds: float
    trials_run: int
    not_finished: NotRequired[list[str]]
    hardware: _Hardware


@dataclass(frozen=True)
class CommitRecord:
    """Contents of ``committed.json``."""

    trial_id: str
    metrics: dict[str, float | int | bool | str | None]
    files: dict[str, FileRecord]
    planes: dict[str, Count]
    pictures: tuple[Count, ...] = ()
    picture_resolution: Count = 0
    line_images: Count = 0
    planes_of: PlanesOf | None = None


@dataclass(frozen=True)
class _Failure:
    reason: str


_STUDY: TypeAdapter[Any] = TypeAdapter(_Study)
_INVOCATION: TypeAdapter[Any] = TypeAdapter(_Invocation)
_COMMIT = TypeAdapter(CommitRecord)
_FAILURE = TypeAdapter(_Failure)
_TRIAL = TypeAdapter(TrialConfig)
_CHECKPOINT = TypeAdapter(CheckpointConfig)
_OWN_TRAINING = TypeAdapter(OwnTrainingConfig)
TEXTS = ("device", "factory")  # among the metrics
DERIVED = ("varied",)  # what a config's seeds say, for groups


def parse_study(data: bytes) -> Json:
    """Contents of ``study.json``; ValueError says what is wrong with it."""
    _checked(_STUDY, data)
    found: Json = json.loads(data)
    for name in found["group_by"]:
        if not _is_field(name):
            raise ValueError(f"group_by names {name!r}, which is no field of a trial's config")
    return found


def parse_invocation(data: bytes) -> Json:
    """A command's record; ValueError says what is wrong with it."""
    _checked(_INVOCATION, data)
    found: Json = json.loads(data)
    return found


def parse_commit(data: bytes) -> CommitRecord:
    """Contents of ``committed.json``; ValueError says what is wrong with them."""
    record = _checked(_COMMIT, data)
    for name, value in record.metrics.items():
        if name not in TEXTS and not isinstance(value, (int, float)):
            raise ValueError(f"metrics.{name}: is no number")
    return record


def parse_failure(data: bytes) -> str:
    """Reason in a ``failed.json``; ValueError says what is wrong with it."""
    return _checked(_FAILURE, data).reason


def parse_config(data: bytes) -> AnyConfig:
    """Contents of ``config.json``; ValueError says what is wrong with them."""
    adapter: TypeAdapter[Any] = _TRIAL
    if b'"weights_sha256"' in data:  # a model that was trained elsewhere
        adapter = _CHECKPOINT
    elif b'"code_sha256"' in data:  # a user's own training
        adapter = _OWN_TRAINING
    found: AnyConfig = _checked(adapter, data)
    return found


def _checked(adapter: TypeAdapter[T], data: bytes) -> T:
    """A JSON text as its type has it; ValueError names the first thing that is wrong."""
    try:
        return adapter.validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise ValueError(f"{where}: {first['msg'].lower()}") from None


def _is_field(path: str) -> bool:
    """Whether a dotted path leads along fields of a trial's config."""
    configs = (TrialConfig, CheckpointConfig, OwnTrainingConfig)
    return path in DERIVED or any(_leads_along(config, path.split(".")) for config in configs)


def _leads_along(config: type, parts: list[str]) -> bool:
    types = {each.name: each.type for each in fields(config)}
    if parts[0] not in types:
        return False
    inner = [t for t in (types[parts[0]], *get_args(types[parts[0]])) if is_dataclass(t)]
    return len(parts) == 1 or any(_leads_along(t, parts[1:]) for t in inner if isinstance(t, type))
