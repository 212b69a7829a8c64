"""What decides a trial's result, as frozen configs with a canonical JSON form and an id.

The two sources of randomness have seeds of their own: the initial weights, and the order and
augmentation of the data.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

OptimizerName = Literal["sgd", "adam", "adamw"]
ScheduleName = Literal["constant", "step", "cosine", "one_cycle"]
PrecisionName = Literal["float32", "bfloat16", "float16"]
SizeName = Literal["small", "paper"]


@dataclass(frozen=True)
class TrainingConfig:
    """How one model is trained; the defaults are the paper's recipe for CIFAR-10 (section 3)."""

    epochs: int = 100  # passes over the training set
    batch_size: int = 128  # images a step
    optimizer: OptimizerName = "sgd"  # update rule
    learning_rate: float = 0.1  # peak learning rate
    momentum: float = 0.9  # of sgd; unused by adam and adamw
    weight_decay: float = 5e-4  # L2 penalty (sgd, adam) or decoupled decay (adamw)
    schedule: ScheduleName = "step"  # learning rate over time
    crop_padding: int = 4  # pixels of zero padding before a random crop; 0 turns it off
    flip: bool = True  # mirror half of the images left to right
    precision: PrecisionName = "float32"  # arithmetic of the forward pass on a GPU
    channels_last: bool = False  # memory layout; used on CUDA only


@dataclass(frozen=True)
class TrialConfig:
    """One grid point: everything that decides what a trained model predicts."""

    dataset: str  # name of the data set, e.g. "digits"
    dataset_fingerprint: str  # SHA-256 of its images and labels
    architecture: str  # a name dbray knows, or "package.module:factory"
    width: int = 0  # the architecture's width; 0 means its usual one
    size: SizeName = "small"  # laptop-sized or as published
    training: TrainingConfig = field(default_factory=TrainingConfig)
    weights_seed: int = 0  # initialisation and dropout
    data_seed: int = 0  # order of the images and their augmentation

    @property
    def trial_id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(canonical_json(asdict(self)).encode()).hexdigest()[:12]


def canonical_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """JSON with sorted keys and no spaces: equal values give equal text.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def trial_config_from_dict(values: dict[str, Any]) -> TrialConfig:
    """Inverse of ``dataclasses.asdict`` for a trial's config."""
    return TrialConfig(**{**values, "training": TrainingConfig(**values["training"])})


def group_label(config: Mapping[str, Any], group_by: Sequence[str]) -> str:
    """Name of the group that a trial belongs to, from its config as stored.

    The fields named in ``group_by`` (dots reach into nested configs) are joined by ``/``; an
    architecture that has a width of its own reads ``name@width``.

    Examples
    --------
    >>> group_label({"architecture": "wideresnet", "width": 10}, ["architecture"])
    'wideresnet@10'
    """
    return "/".join(_field_label(config, name) for name in group_by)


def _field_label(config: Mapping[str, Any], name: str) -> str:
    value: Any = config
    for part in name.split("."):
        value = value[part]
    if name == "architecture" and config.get("width"):
        return f"{value}@{config['width']}"
    return str(value)
