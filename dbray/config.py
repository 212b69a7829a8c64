"""What decides a trial's result, as frozen configs with a canonical JSON form and an id.

Every source of randomness has a seed of its own (``SOURCES``). A field that was added after there
were studies (``LATER``) is left out of the JSON at its default: their trials keep their ids.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from dbray.sources import OWN_SOURCES, SOURCES, Branch, Source, seeds_label, varied_label

OptimizerName = Literal["sgd", "adam", "adamw", "sam"]
ScheduleName = Literal["constant", "step", "cosine", "one_cycle"]
PrecisionName = Literal["float32", "bfloat16", "float16"]
SizeName = Literal["small", "paper"]
DistillationLoss = Literal["kl", "hard", "mse"]
NoiseKind = Literal["symmetric", "asymmetric"]

LATER = {"later": True}
ABSENT = {"distillation": "labels", "noise": "no noise"}  # what a group's label says instead


@dataclass(frozen=True)
class TrainingConfig:
    """How one model is trained; the defaults are the paper's recipe for CIFAR-10 (section 3)."""

    epochs: int = 100  # passes over the training set
    batch_size: int = 128  # images a step
    optimizer: OptimizerName = "sgd"  # update rule; sam perturbs the weights and steps by sgd
    learning_rate: float = 0.1  # peak learning rate
    momentum: float = 0.9  # of sgd and sam; unused by adam and adamw
    weight_decay: float = 5e-4  # L2 penalty (sgd, adam) or decoupled decay (adamw)
    schedule: ScheduleName = "step"  # learning rate over time
    crop_padding: int = 4  # pixels of zero padding before a random crop; 0 turns it off
    flip: bool = True  # mirror half of the images left to right
    precision: PrecisionName = "float32"  # arithmetic of the forward pass on a GPU
    channels_last: bool = False  # memory layout; used on CUDA only
    sam_radius: float = field(default=0.05, metadata=LATER)  # of sam: length of the perturbation
    mixup: float = field(default=0.0, metadata=LATER)  # Beta parameter of MixUp; 0 turns it off
    cutmix: float = field(default=0.0, metadata=LATER)  # likewise of CutMix; both: one a batch
    workers_per_trial: int = field(default=1, metadata=LATER)  # processes that share every batch


@dataclass(frozen=True)
class DistillationConfig:
    """A student's teacher and what of it the student learns; labels are not used."""

    teacher: str  # trial id
    teacher_architecture: str  # the teacher's, as NAME or NAME@WIDTH
    loss: DistillationLoss = "kl"  # softened outputs, the teacher's arg-max, or its logits
    temperature: float = 4.0  # softens both outputs under kl

    def __str__(self) -> str:
        heat = f" at {self.temperature:g}" if self.loss == "kl" else ""
        return f"{self.loss}{heat} from {self.teacher_architecture}"


@dataclass(frozen=True)
class NoiseConfig:
    """Which training labels are wrong, and how."""

    share: float  # of the training images whose label is another class
    kind: NoiseKind = "symmetric"  # to any other class, or always to the next one
    seed: int = 0  # decides which images, and under symmetric noise which classes

    def __str__(self) -> str:
        """Without the seed: draws of one share and kind are of one group."""
        return f"{self.share * 100:g} % {'' if self.kind == 'symmetric' else 'asymmetric '}noise"


class _WithId:
    @property
    def trial_id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(canonical_json(stored_config(self)).encode()).hexdigest()[:12]


Option = str | int | float | bool


@dataclass(frozen=True)
class OwnTrainingConfig(_WithId):
    """One call of a user's own training: everything that dbray knows to decide what comes of it."""

    dataset: str
    dataset_fingerprint: str
    train: str  # "package.module:function", or a command with {places}
    code_sha256: str  # of the file that the function is in, or of those that the command names
    options: tuple[tuple[str, Option], ...] = ()  # of the user's own, by name
    weights_seed: int = 0
    order_seed: int = 0
    augmentation_seed: int = 0
    dropout_seed: int = 0
    sample_seed: int = 0
    mean: tuple[float, ...] = ()  # the model's own normalisation, if it has one: per channel,
    std: tuple[float, ...] = ()  # pixels 0..1

    def __post_init__(self) -> None:
        options = ((name, value) for name, value in self.options)  # JSON gives lists
        object.__setattr__(self, "options", tuple(sorted(options)))
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def name(self) -> str:
        """The options, or the function's name where there are none."""
        return options_label(self.options) or self.train.partition(":")[2] or "command"

    @property
    def seeds(self) -> dict[Source, int]:
        """Seed of every source."""
        return {source: getattr(self, f"{source}_seed") for source in OWN_SOURCES}

    @property
    def member(self) -> str:
        """What tells it from others of its group: the seeds."""
        return seeds_label(self.seeds)

    @property
    def varied(self) -> str:
        """The sources whose seeds are not the others', such as ``order alone``; none: all vary."""
        return varied_label(self.seeds)


def options_label(options: Sequence[tuple[str, Option]]) -> str:
    """Options as they are typed, such as ``lr=0.1, width=64``."""
    return ", ".join(f"{name}={_typed(value)}" for name, value in options)


def _typed(value: Option) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class TrialConfig(_WithId):
    """One grid point: everything that decides what a trained model predicts."""

    dataset: str  # name of the data set, e.g. "digits"
    dataset_fingerprint: str  # SHA-256 of its images and labels
    architecture: str  # a name dbray knows, or "package.module:factory"
    width: int = 0  # the architecture's width; 0 means its usual one
    size: SizeName = "small"  # laptop-sized or as published
    training: TrainingConfig = field(default_factory=TrainingConfig)
    weights_seed: int = 0  # initial weights
    data_seed: int = 0  # order of the images, their augmentation, dropout
    distillation: DistillationConfig | None = field(default=None, metadata=LATER)
    noise: NoiseConfig | None = field(default=None, metadata=LATER)  # none: labels as they are
    stop_epoch: int | None = field(default=None, metadata=LATER)  # training ends early, after this
    published: bool = field(default=False, metadata=LATER)  # network and initial weights are the
    # paper's; those of the first studies were not quite
    order_seed: int | None = field(default=None, metadata=LATER)  # none: data_seed's, likewise the
    augmentation_seed: int | None = field(default=None, metadata=LATER)  # next two
    dropout_seed: int | None = field(default=None, metadata=LATER)
    sample_seed: int | None = field(default=None, metadata=LATER)  # training images are drawn with
    # replacement; none: all are used
    one_bit: bool = field(default=False, metadata=LATER)  # last bit of an initial weight is flipped
    run: int = field(default=0, metadata=LATER)  # equal trials, trained again, have other numbers
    branch: Branch | None = field(default=None, metadata=LATER)  # it parts from another training

    @property
    def name(self) -> str:
        """Architecture, with its width if that is not the usual one, and what it learns from."""
        taught = f" ({self.distillation})" if self.distillation else ""
        noisy = f" ({self.noise})" if self.noise else ""
        return architecture_name(self.architecture, self.width) + taught + noisy

    @property
    def member(self) -> str:
        """What tells it from others of its group: the seeds."""
        parts = [seeds_label({s: seed for s, seed in self.seeds.items() if s != "noise"})]
        if self.noise and self.noise.seed:
            parts.append(f"noise {self.noise.seed}")
        if self.run:
            parts.append(f"run {self.run}")
        return ", ".join(parts)

    @property
    def data_seeds(self) -> tuple[int, int, int]:
        """Seeds of order, augmentation and dropout."""
        given = (self.order_seed, self.augmentation_seed, self.dropout_seed)
        order, augmentation, dropout = (self.data_seed if g is None else g for g in given)
        return order, augmentation, dropout

    @property
    def seeds(self) -> dict[Source, int]:
        """Seed of every source; none of a sample, or of noise, where there is none of these."""
        noise = self.noise.seed if self.noise else None
        seeds = (self.weights_seed, *self.data_seeds, self.sample_seed, noise)
        named = zip(SOURCES, seeds, strict=True)
        return {source: seed for source, seed in named if seed is not None}

    @property
    def varied(self) -> str:
        """What is not as in the trial whose seeds are all equal, such as ``order alone``."""
        if self.branch:
            return str(self.branch)
        if self.one_bit:
            return "one bit"
        if self.run:
            return "again"
        return varied_label(self.seeds)

    @property
    def last_epoch(self) -> int:
        """Number of passes over the training set."""
        return self.stop_epoch or self.training.epochs


@dataclass(frozen=True)
class CheckpointConfig(_WithId):
    """A model that was trained elsewhere, as a trial of a study."""

    dataset: str
    dataset_fingerprint: str
    model: str  # its name in the study
    group: str  # models of one group are compared as seeds of one architecture are
    architecture: str  # a name dbray knows, timm:NAME, torchvision:NAME or "package.module:factory"
    weights_sha256: str  # of the tensors, whatever file they came in
    width: int = 0
    size: SizeName = "small"
    output: str = field(default="", metadata=LATER)  # which part of its answer is the logits
    probabilities: bool = field(default=False, metadata=LATER)  # it answers these, not logits
    mean: tuple[float, ...] = field(default=(), metadata=LATER)  # its own normalisation, if it
    std: tuple[float, ...] = field(default=(), metadata=LATER)  # has one: per channel, pixels 0..1
    published: bool = field(default=False, metadata=LATER)  # as of a TrialConfig
    fitted: bool = field(default=False, metadata=LATER)  # its factory makes it ready, without
    # weights; the digest is that of the factory's file

    def __post_init__(self) -> None:
        for name in ("mean", "std"):  # JSON gives lists
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def name(self) -> str:
        """Architecture, with its width if that is not the usual one."""
        return architecture_name(self.architecture, self.width)

    @property
    def member(self) -> str:
        """What tells it from others of its group: its name in the study."""
        return self.model


AnyConfig = TrialConfig | CheckpointConfig | OwnTrainingConfig


def architecture_name(architecture: str, width: int) -> str:
    """``architecture``, or ``architecture@width`` where the width is not the usual one."""
    return f"{architecture}@{width}" if width else architecture


def stored_config(config: Any) -> dict[str, Any]:  # noqa: ANN401 - a config or a part of one
    """A config as it is stored: later fields at their defaults are left out."""
    values = {}
    for each in fields(config):
        value = getattr(config, each.name)
        if "later" not in each.metadata or value != each.default:
            values[each.name] = stored_config(value) if is_dataclass(value) else value
    return values


def canonical_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """JSON with sorted keys and no spaces: equal values give equal text.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def group_label(config: AnyConfig, group_by: Sequence[str]) -> str:
    """Name of the group that a trial belongs to.

    The fields named in ``group_by`` (dots reach into nested configs) are joined by ``/``; an
    architecture that has a width of its own reads ``name@width``, a trial without a teacher
    ``labels``, one without label noise ``no noise``; one trained to the end has no epoch.

    Examples
    --------
    >>> group_label(TrialConfig("digits", "", "wideresnet", 10), ["architecture"])
    'wideresnet@10'
    """
    labels = [_field_label(config, name) for name in group_by]
    return "/".join(label for label in labels if label)


def _field_label(config: AnyConfig, name: str) -> str:
    if name == "architecture" and not isinstance(config, OwnTrainingConfig):
        return architecture_name(config.architecture, config.width)
    if name == "options":
        return config.name
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    if name == "stop_epoch" and value:
        return f"epoch {value}"
    return ABSENT.get(name, "") if value is None else str(value)
