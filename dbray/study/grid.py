"""Grid points of a study: architectures and seeds, each with its recipe."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from dbray.architectures import ARCHITECTURES, parse_architecture
from dbray.config import AnyConfig, NoiseConfig, TrainingConfig, TrialConfig
from dbray.datasets import Dataset
from dbray.study.options import TrainingOptions
from dbray.training import recipe


def training_config(
    options: TrainingOptions,
    architecture: str,
    dataset: Dataset,
    base: TrainingConfig | None = None,
) -> TrainingConfig:
    """The architecture's recipe, or a study's own ``base``, with what the options override."""
    side = min(dataset.input_shape[1:])
    base = base or recipe(architecture, options.size, dataset.name, side)
    names = {field.name for field in fields(TrainingConfig)} & {f.name for f in fields(options)}
    chosen = {name: getattr(options, name) for name in names}
    return replace(base, **{name: value for name, value in chosen.items() if value is not None})


def grid_point(
    options: TrainingOptions,
    dataset: Dataset,
    architecture: str,
    seed: int,
    base: TrainingConfig | None = None,
) -> TrialConfig:
    """One trial of an architecture (``name`` or ``name@width``) from one seed of both kinds."""
    name, width = parse_architecture(architecture)
    return TrialConfig(
        dataset=dataset.name,
        dataset_fingerprint=dataset.fingerprint,
        architecture=name,
        width=width,
        size=options.size,
        training=training_config(options, name, dataset, base),
        weights_seed=seed,
        data_seed=seed,
        published=True,
    )


def all_configs(
    options: TrainingOptions, dataset: Dataset, architectures: Iterable[str]
) -> list[TrialConfig]:
    """Grid of architectures (``name`` or ``name@width``) and seeds."""
    return [
        grid_point(options, dataset, architecture, seed)
        for architecture in architectures
        for seed in range(options.seeds)
    ]


def with_noise(config: TrialConfig, share: float) -> TrialConfig:
    """The config with so many wrong labels, drawn by its seed; as it is where there are none."""
    return replace(config, noise=NoiseConfig(share, seed=config.weights_seed)) if share else config


def with_stops(
    configs: Sequence[AnyConfig], epochs: Sequence[int], say: Callable[[str], None]
) -> list[AnyConfig]:
    """The configs, each after those that stop its training at these epochs, if they come before.

    An epoch that no training has is said.
    """
    longest = max((c.training.epochs for c in configs if isinstance(c, TrialConfig)), default=0)
    for epoch in epochs:
        if epoch > longest:
            say(f"--stop-epochs {epoch}: no training is that long; they have {longest} epochs")
    found: list[AnyConfig] = []
    for config in configs:
        if isinstance(config, TrialConfig):
            stops = [epoch for epoch in epochs if epoch < config.training.epochs]
            found += [replace(config, stop_epoch=epoch) for epoch in stops]
        found.append(config)
    return found


def as_begun(
    planned: Mapping[str, Any], configs: Sequence[AnyConfig], say: Callable[[str], None]
) -> Sequence[AnyConfig]:
    """The configs as a study goes on with them.

    One that was begun before dbray's models were the paper's in all goes on with those that it has:
    its trials are of one kind, and keep their ids.

    Parameters
    ----------
    planned
        What ``study.json`` is to say.
    configs
        Teachers before their students.
    say
        Told, once, which models of this grid are not the paper's.
    """
    if planned.get("published"):
        return configs
    ids: dict[str, str] = {}
    found: list[AnyConfig] = []
    for config in configs:
        begun = config
        if isinstance(config, TrialConfig):
            taught = config.distillation
            if taught:
                taught = replace(taught, teacher=ids.get(taught.teacher, taught.teacher))
            begun = replace(config, published=False, distillation=taught)
            ids[config.trial_id] = begun.trial_id
        found.append(begun)
    names = {c.architecture for c in found if isinstance(c, TrialConfig)}
    differed = [name for name, entry in ARCHITECTURES.items() if name in names and entry.differed]
    if differed:
        say(
            f"this study was begun with models that are not quite the paper's "
            f"({', '.join(differed)}) and goes on with them; another --name begins with the paper's"
        )
    return found
