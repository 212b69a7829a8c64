"""Grid points of a study: architectures and seeds, each with its recipe."""

from collections.abc import Iterable
from dataclasses import fields, replace

from dbray.architectures import parse_architecture
from dbray.config import TrainingConfig, TrialConfig
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
