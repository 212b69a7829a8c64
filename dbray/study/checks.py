"""What a study refuses before it changes anything."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dbray.architectures import check_trainable
from dbray.claims import check_contrasts
from dbray.config import AnyConfig, SizeName, TrialConfig, group_label
from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.store import CommittedTrial, Study
from dbray.study.bounds import option_name
from dbray.training import smallest_shard, steps_per_epoch
from dbray.trial import PlanePlan, covers

# Of a TrialConfig and its parts. "seed" is the label noise's, "teacher" an id: of one seed, too.
OWN_TO_A_TRIAL = {
    *("weights_seed", "data_seed", "order_seed", "augmentation_seed", "dropout_seed"),
    *("sample_seed", "seed", "teacher", "run", "one_bit", "branch", "stop_epoch"),
}


def check_grid(
    study: Study,
    planned: Mapping[str, Any],
    configs: Sequence[AnyConfig],
    dataset: Dataset,
    plan: PlanePlan,
) -> None:
    """Check that every trial of a grid can be trained, and compared as it is asked for.

    A model is not built where all its trials are finished: nothing is asked of it.

    Parameters
    ----------
    planned
        What ``study.json`` is to say.
    plan
        The planes that it asks for.

    Raises
    ------
    UserError
        If not.
    """
    finished = study.committed() if study.folder.exists("study.json") else []
    _check_contrasts(finished, planned, configs)
    _check_recipes(finished, planned, configs)
    done = {trial.trial_id for trial in finished if covers(trial, plan)}
    _check_architectures([c for c in configs if c.trial_id not in done], dataset)
    _check_shards(configs, dataset)


def _check_contrasts(
    finished: Sequence[CommittedTrial], planned: Mapping[str, Any], configs: Sequence[AnyConfig]
) -> None:
    """Refuse contrasts of groups that there are none of."""
    named = planned.get("contrasts") or []
    if not named:
        return
    known = [*(trial.config for trial in finished), *configs]
    groups = {group_label(config, planned["group_by"]) for config in known}
    check_contrasts(named, groups, planned["planes"]["counts"])


def _check_recipes(
    finished: Sequence[CommittedTrial], planned: Mapping[str, Any], configs: Sequence[AnyConfig]
) -> None:
    """Refuse trials that would be taken for further seeds of a group, and are something else."""
    done = {trial.trial_id for trial in finished}
    new = [c for c in configs if isinstance(c, TrialConfig) and c.trial_id not in done]
    if not new:
        return
    there: dict[str, TrialConfig] = {}
    for trial in finished:
        if isinstance(trial.config, TrialConfig):
            there.setdefault(group_label(trial.config, planned["group_by"]), trial.config)
    recipes = {group: dict(_recipe(config)) for group, config in there.items()}
    for config in new:
        group, asked = group_label(config, planned["group_by"]), dict(_recipe(config))
        before = recipes.get(group, asked)
        for name in {**before, **asked}:
            if asked.get(name) != before.get(name):
                raise UserError(
                    f"{group}: {name} would be {_typed(asked.get(name))}, and the study's trials "
                    f"of that group have {_typed(before.get(name))}; they are to differ in their "
                    "seeds alone: give what was given before, or another --name"
                )


def _typed(value: Any) -> str:  # noqa: ANN401 - a config's
    return "none" if value is None else str(value)


def _recipe(config: TrialConfig) -> Iterator[tuple[str, Any]]:
    """What the trials of one group have in common: name and value, those of parts one by one."""
    for name, value in asdict(config).items():
        for part, of_it in value.items() if isinstance(value, dict) else [(name, value)]:
            if name not in OWN_TO_A_TRIAL and part not in OWN_TO_A_TRIAL:
                about = f"{name} {part}" if name in ("noise", "distillation") else part
                yield option_name(about), of_it


def _check_architectures(configs: Sequence[AnyConfig], dataset: Dataset) -> None:
    """Build every kind of model that is to be trained, before any is.

    One of the user's own makes a step of a training, too. Checkpoints were tried as they were
    loaded.
    """
    kinds: set[tuple[str, int, SizeName, bool]] = {
        (c.architecture, c.width, c.size, c.published)
        for c in configs
        if isinstance(c, TrialConfig)
    }
    shape, classes = dataset.input_shape, dataset.classes
    for name, width, size, published in sorted(kinds):
        check_trainable(
            name, input_shape=shape, classes=classes, width=width, size=size, published=published
        )


def _check_shards(configs: Sequence[AnyConfig], dataset: Dataset) -> None:
    """Refuse batches that are too small for those who share them; batch norm needs two images."""
    images = len(dataset.train_labels)
    for config in configs:
        if isinstance(config, TrialConfig) and config.training.workers_per_trial > 1:
            steps = steps_per_epoch(images, config.training.batch_size)
            size = config.training.workers_per_trial
            if smallest_shard(images, steps, size) < 2:
                raise UserError(
                    f"--workers-per-trial {size}: {images} images in {steps} steps an epoch are "
                    f"{images // steps} a step, {images / steps / size:.2g} a worker, where 2 are "
                    "needed; lower it, or raise --batch-size"
                )


def per_channel(about: str, values: tuple[float, ...], dataset: Dataset) -> tuple[float, ...]:
    """A value a channel, where one for all or none may be given.

    Parameters
    ----------
    about
        What the message of an error begins with, such as ``model first: mean has``.

    Raises
    ------
    UserError
        If their number is not that of the channels.
    """
    channels = dataset.input_shape[0]
    if len(values) not in (0, 1, channels):
        raise UserError(
            f"{about} {len(values)} values; the images of {dataset.name} have {channels} "
            f"channel{'s' if channels > 1 else ''}"
        )
    return values * channels if len(values) == 1 else values
