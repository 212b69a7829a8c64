"""Models that were trained elsewhere: a list of them in a file, their weights, their configs."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from dbray.architectures import build_model, parse_architecture
from dbray.config import CheckpointConfig
from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.store import Study

WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
)  # keys that training scripts put weights under


@dataclass(frozen=True)
class Entry:
    """One model of the list."""

    name: str
    factory: str  # an architecture's name, timm:NAME, torchvision:NAME or package.module:function
    weights: Path
    group: str


@dataclass(frozen=True)
class Checkpoint:
    """A model that fits: its config, and its weights as the study keeps them."""

    config: CheckpointConfig
    weights: bytes  # safetensors


def read_list(path: Path) -> list[Entry]:
    """Read a list of models, a TOML file with a table ``[[model]]`` for each.

    ``name``, ``factory`` and ``weights`` (a path, from the list's own folder) must be there;
    ``group`` is the factory where it is not.

    Raises
    ------
    UserError
        If the file cannot be read or lacks something; it says which model.
    """
    try:
        rows = tomllib.loads(path.read_text())["model"]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is no TOML list of [[model]] tables: {error}") from error
    entries = [_entry(path, number, row) for number, row in enumerate(rows, start=1)]
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path}: two models are called {twice[0]}; give each a name of its own")
    return entries


def _entry(path: Path, number: int, row: dict[str, str]) -> Entry:
    known = {"name", "factory", "weights", "group"}
    if not isinstance(row, dict) or not all(isinstance(v, str) and v for v in row.values()):
        raise UserError(f"{path}: model {number}: all its values must be texts")
    missing = sorted({"name", "factory", "weights"} - row.keys())
    unknown = sorted(row.keys() - known)
    if missing or unknown:
        what = f"has no {missing[0]}" if missing else f"has {unknown[0]}, which means nothing"
        raise UserError(f"{path}: model {number} {what}; it takes {', '.join(sorted(known))}")
    parse_architecture(row["factory"])
    weights = path.parent / Path(row["weights"]).expanduser()
    return Entry(row["name"], row["factory"], weights, row.get("group", row["factory"]))


def load_checkpoint(entry: Entry, dataset: Dataset) -> Checkpoint:
    """Build a model of the list, load its weights, and see that they fit.

    Weights are read as safetensors, or as a state dict with ``weights_only``: nothing in such a
    file is run.

    Raises
    ------
    UserError
        If the weights cannot be read or do not belong to the model.
    """
    architecture, width = parse_architecture(entry.factory)
    model = build_model(
        architecture,
        input_shape=dataset.input_shape,
        classes=dataset.classes,
        width=width,
        seed=0,
    )
    weights = read_weights(entry.weights)
    _check_fit(entry, model, weights)
    model.load_state_dict(weights)
    data = save({name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()})
    config = CheckpointConfig(
        dataset=dataset.name,
        dataset_fingerprint=dataset.fingerprint,
        model=entry.name,
        group=entry.group,
        architecture=architecture,
        weights_sha256=hashlib.sha256(data).hexdigest(),
        width=width,
    )
    return Checkpoint(config, data)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, or of a state dict that ``torch.save`` wrote, on the CPU.

    Raises
    ------
    UserError
        If the file is not there, is neither, or holds more than tensors.
    """
    if not path.is_file():
        raise UserError(f"weights {path}: there is no such file")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        # weights_only: a pickle that would run code is refused.
        found = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise UserError(f"weights {path}: are no safetensors file: {error}") from error
    except Exception as error:  # unpickling raises whatever a broken file makes it raise
        raise UserError(
            f"weights {path}: are no plain state dict ({_first_line(error)}); save "
            "model.state_dict() with torch.save, or use safetensors"
        ) from error
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(t, Tensor) for t in found.values()):
        raise UserError(f"weights {path}: hold more than tensors by name; save model.state_dict()")
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


def put_into(study: Study, checkpoints: list[Checkpoint]) -> None:
    """Copy the weights of models that are not finished into the study, where workers find them.

    A model that has other weights than before takes the place of its former self.
    """
    ids = {checkpoint.config.model: checkpoint.config.trial_id for checkpoint in checkpoints}
    for trial in study.committed():
        named = trial.config.model if isinstance(trial.config, CheckpointConfig) else ""
        if ids.get(named, trial.trial_id) != trial.trial_id:
            study.discard(trial.trial_id)
    for checkpoint in checkpoints:
        trial_id = checkpoint.config.trial_id
        if not study.is_committed(trial_id):
            study.write_bytes(f"trials/{trial_id}/model.safetensors", checkpoint.weights)


def _check_fit(entry: Entry, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    wanted = model.state_dict()
    about = f"model {entry.name}: weights {entry.weights} do not fit {entry.factory}"
    missing, foreign = (
        sorted(wanted.keys() - weights.keys()),
        sorted(weights.keys() - wanted.keys()),
    )
    if missing or foreign:
        parts = [
            f"{len(names)} tensors {what}, {names[0]} first"
            for names, what in ((missing, "are missing"), (foreign, "are unknown to it"))
            if names
        ]
        raise UserError(f"{about}: {'; '.join(parts)}")
    for name, tensor in wanted.items():
        if weights[name].shape != tensor.shape:
            raise UserError(
                f"{about}: {name} has shape {tuple(weights[name].shape)}, the model's is "
                f"{tuple(tensor.shape)}"
            )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
