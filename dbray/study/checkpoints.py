"""Models that were trained elsewhere: built, loaded and tried; their weights in a study."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from safetensors.torch import save
from torch import Tensor, nn

from dbray.architectures import ARCHITECTURES, parse_architecture
from dbray.architectures.outputs import Adapted
from dbray.config import CheckpointConfig
from dbray.datasets import Dataset
from dbray.importing import source_file
from dbray.own.answers import answers_on, are_probabilities
from dbray.own.fit import load_strictly, misfit
from dbray.own.pretrained import PRETRAINED, Pretrained, read_pretrained
from dbray.own.weights import is_safetensors, read_weights
from dbray.store import Study, study_at
from dbray.study.checks import per_channel
from dbray.study.model_list import Entry, read_list
from dbray.trial import build


@dataclass(frozen=True)
class Checkpoint:
    """A model that fits: its config, and its weights as the study keeps them."""

    config: CheckpointConfig
    weights: bytes  # safetensors
    notes: tuple[str, ...] = ()  # what was made of its answers, for a person to know


def reads_as_published(storage: str, name: str) -> bool:
    """Whether a study, which need not exist yet, was begun when dbray's models were the paper's."""
    study = study_at(storage, name)
    if not study.folder.exists("study.json"):
        return True
    return bool(study.description().get("published"))


def load_checkpoint(
    entry: Entry, dataset: Dataset, *, allow_unstable: bool = False, published: bool = True
) -> Checkpoint:
    """Build a model of the list, load its weights, and see that they fit.

    Weights are read as safetensors, or as a state dict with ``weights_only``: nothing in such a
    file is run.

    Parameters
    ----------
    allow_unstable
        Take a model whose answers depend on the batch or change from call to call.
    published
        Whether one of dbray's architectures is the paper's network, or as it was in dbray's first
        studies, where the weights fit both; else they decide.

    Raises
    ------
    UserError
        If the weights cannot be read or do not belong to the model, or it gives no logits.
    """
    config = _config(entry, dataset)
    notes: tuple[str, ...] = ()
    if entry.fitted:
        return _as_it_is(entry, config, dataset, allow_unstable=allow_unstable)
    if entry.weights is None:
        library = read_pretrained(f"model {entry.name}", entry.factory, dataset.classes)
        weights, tied = library.weights, False
        config, notes = _as_its_library_sees(config, library)
    else:
        weights, tied = read_weights(entry.weights, entry.key), is_safetensors(entry.weights)
    config = _as_weights_fit(config, published, weights, dataset, tied=tied)
    model = build(config, dataset)
    about = f"model {entry.name}: weights {entry.weights or PRETRAINED} do not fit {entry.factory}"
    load_strictly(about, model, weights, tied=tied)
    data = _saved(model)
    if not isinstance(model, Adapted):
        raise TypeError("a model that was trained elsewhere is built without its reading")
    about = f"model {entry.name}"
    answers = answers_on(about, model, dataset, allow_unstable=allow_unstable)
    probabilities = are_probabilities(about, answers, said=entry.probabilities)
    config = replace(
        config, weights_sha256=hashlib.sha256(data).hexdigest(), probabilities=probabilities
    )
    return Checkpoint(config, data, (*notes, *_notes(entry, answers.shape[1], config)))


def _as_it_is(
    entry: Entry, config: CheckpointConfig, dataset: Dataset, *, allow_unstable: bool
) -> Checkpoint:
    """A classifier that its factory makes ready: any that gives scores, a network or not.

    It is made again wherever it is asked, so that the digest of the factory's file stands for it.
    """
    about = f"model {entry.name}"
    model = build(config, dataset)
    if not isinstance(model, Adapted):
        raise TypeError("a model that was trained elsewhere is built without its reading")
    answers = answers_on(about, model, dataset, allow_unstable=allow_unstable)
    probabilities = are_probabilities(about, answers, said=entry.probabilities)
    code = hashlib.sha256(source_file(entry.factory).read_bytes()).hexdigest()
    config = replace(config, weights_sha256=code, probabilities=probabilities, fitted=True)
    note = f"{about}: is what {entry.factory} returns, each time that it is called"
    return Checkpoint(config, b"", (note, *_notes(entry, answers.shape[1], config)))


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
        if checkpoint.weights and not study.is_committed(trial_id):
            study.write_bytes(f"trials/{trial_id}/model.safetensors", checkpoint.weights)


def _config(entry: Entry, dataset: Dataset) -> CheckpointConfig:
    """The config of a model whose weights are not known yet."""
    architecture, width = parse_architecture(entry.factory)
    return CheckpointConfig(
        dataset=dataset.name,
        dataset_fingerprint=dataset.fingerprint,
        model=entry.name,
        group=entry.group,
        architecture=architecture,
        weights_sha256="",
        width=width,
        output=entry.output,
        mean=per_channel(f"model {entry.name}: mean has", entry.mean, dataset),
        std=per_channel(f"model {entry.name}: std has", entry.std, dataset),
    )


def _as_its_library_sees(
    config: CheckpointConfig, library: Pretrained
) -> tuple[CheckpointConfig, tuple[str, ...]]:
    """The config with the normalisation of the published weights, unless it has one; notes."""
    note = f"model {config.model}: weights {library.source}"
    if config.mean or not library.mean:
        return config, (note,)
    seen = ", ".join(f"{value:g}" for value in (*library.mean, *library.std))
    note += f", which see images by their own mean and deviation ({seen})"
    return replace(config, mean=library.mean, std=library.std), (note,)


def _as_weights_fit(
    config: CheckpointConfig,
    published: bool,
    weights: Mapping[str, Tensor],
    dataset: Dataset,
    *,
    tied: bool,
) -> CheckpointConfig:
    """The config of the network that the weights fit better, where dbray has two of that name."""
    entry = ARCHITECTURES.get(config.architecture)
    if not (entry and entry.differed):
        return config
    either = [replace(config, published=first) for first in (published, not published)]
    return min(either, key=lambda each: misfit(build(each, dataset), weights, tied=tied))


def _saved(model: nn.Module) -> bytes:
    return save({name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()})


def _notes(entry: Entry, outputs: int, config: CheckpointConfig) -> tuple[str, ...]:
    about = f"model {entry.name}: "
    found = []
    if outputs == 1:
        found.append("its one output z is the second class's; the logits are (0, z)")
    if config.probabilities and entry.probabilities is None:
        found.append("its outputs are probabilities; their logarithms are taken as the logits")
    return tuple(about + note for note in found)


__all__ = [
    "Checkpoint",
    "Entry",
    "load_checkpoint",
    "put_into",
    "read_list",
    "read_weights",
    "reads_as_published",
]
