"""The model of a trial: as it begins, and as it was committed."""

import torch
from safetensors.torch import load as load_safetensors
from torch import nn

from dbray.architectures import build_model, reading_of
from dbray.config import CheckpointConfig, OwnTrainingConfig, TrialConfig
from dbray.datasets import Dataset
from dbray.store import CommittedTrial, Study
from dbray.trial.commit import WEIGHTS
from dbray.trial.own_training import build_own_again


def build(config: TrialConfig | CheckpointConfig, dataset: Dataset) -> nn.Module:
    """The config's model with its initial weights; one trained elsewhere as it is to be read."""
    reading, seed = None, 0
    if isinstance(config, CheckpointConfig):
        reading = reading_of(config, (dataset.mean, dataset.std))
    else:
        seed = config.weights_seed
    model = build_model(
        config.architecture,
        input_shape=dataset.input_shape,
        classes=dataset.classes,
        width=config.width,
        size=config.size,
        published=config.published,
        seed=seed,
        reading=reading,
    )
    if isinstance(config, TrialConfig) and config.one_bit:
        flip_last_bit(model)
    return model


def flip_last_bit(model: nn.Module) -> None:
    """Change the first weight by the least that a float can change."""
    with torch.no_grad():
        bits = next(model.parameters()).view(torch.int32).reshape(-1)
        bits[0] ^= 1


def load_model(study: Study, trial: CommittedTrial, dataset: Dataset) -> nn.Module:
    """A committed trial's model on the CPU.

    Raises
    ------
    UserError
        If it is of a user's own training, and nothing but that builds it.
    """
    if isinstance(trial.config, OwnTrainingConfig):
        model = build_own_again(study, trial, dataset)
    else:
        model = build(trial.config, dataset)
    model.load_state_dict(load_safetensors(study.read_file(trial, WEIGHTS)))
    return model.eval()
