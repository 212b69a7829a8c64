"""The options that studies share, and the presets of those that train."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from dbray.architectures import parse_architecture
from dbray.config import OptimizerName, PrecisionName, ScheduleName, SizeName
from dbray.datasets import validate_dataset
from dbray.errors import UserError
from dbray.planes import NOISY, parse_plane_id, plane_ids_of, plane_kind
from dbray.study.bounds import BOUNDS, LEAST_SHARE, check_number, option_name
from dbray.study.share import parse_share

PresetName = Literal["laptop", "quick", "paper"]
DrawnKind = Literal["test", "train", "uniform", "shuffled", "mixed", "gaussian", "rotated"]
ON_MANIFOLD = ("test", "train")  # kinds of which no picture is made unless it is asked for


@dataclass(frozen=True)
class StudyOptions:
    """Options of every study."""

    storage: str = "./runs"
    """where studies go: a directory, or a URI such as s3://bucket/prefix"""
    name: str = "study"
    """name of this study, a folder below the storage"""
    dataset: str = "digits"
    """digits, scenes, cifar10, cifar100, svhn, fashion_mnist, mnist, npz:PATH, folder:PATH,
    parquet:PATH or your own as package.module:function"""
    data_dir: Path | None = None
    """where torchvision's data sets lie or are downloaded to (default: ~/.cache/dbray)"""
    planes: int = 50
    """planes of each kind that every model labels; can grow later"""
    plane_kinds: tuple[DrawnKind, ...] = ("test", "train")
    """kinds of planes: through test or training images, off the data (uniform, shuffled, mixed) or
    around one image (gaussian, rotated)"""
    pairs: Literal["all", "groups"] | None = None
    """models that are compared: all pairs (the default of a new study), or those of one group, for
    studies of so many models that their pairs are too many; can change later"""
    contrast: tuple[str, ...] | None = None
    """differences of reproducibility to decide, such as "resnet - vgg", by groups of this study;
    they come first on the page; can change later"""
    adversarial_to: str | None = None
    """add planes through an image and two perturbations of it against a finished trial of this
    study, given by its id or as ARCHITECTURE:SEED"""
    plane_seed: int = 0
    """decides which images span the planes"""
    resolution: int = 50
    """grid points along each side of a plane"""
    picture_planes: str = "0,1,2"
    """planes that are also shown as pictures, by id or as KIND:NUMBER, with commas between; of each
    kind other than test and train the first is shown, too"""
    picture_images: tuple[str, ...] = ()
    """further pictures: planes through three test images, such as 30,72,42"""
    picture_resolution: int = 100
    """pixels along each side of a picture, at most 1000; can grow later"""
    confidence: bool = False
    """shade pictures by the model's confidence"""
    sheets: bool = False
    """write the pictures at full size, too: one PNG a model and one of all"""
    cluster: str | None = None
    """where trials run: local (this machine alone), a Ray cluster's address, or auto: the cluster
    of RAY_ADDRESS, else a Ray of this user and job that runs here (default: auto in jobs of SLURM,
    Kubernetes and SkyPilot and where RAY_ADDRESS is set, else local)"""
    share: str | None = None
    """do one share of the trials, such as 2/8, beside commands that do the others; the one that
    finds all trials finished scores them"""
    cpus_per_trial: int = 1
    """CPU cores, and threads, of one trial"""
    gpus_per_trial: float = 0.0
    """GPUs of one trial; 0.25 puts four trials on one GPU, 0 trains on the CPU"""
    max_concurrent: int = 0
    """trials at once; 0 means as many as the cores and GPUs allow"""
    max_failures: int = 1
    """how often a trial whose process died is started again"""
    line_images: int = 0
    """images of each kind whose margins and class skips are measured; can grow later"""
    retry_failed: bool = False
    """do trials again that ended without a result"""
    live: bool = False
    """while trials run, write report/live.html every minute: what is there, and what is missing"""
    open: bool = False
    """open the report in a browser"""

    def __post_init__(self) -> None:
        """Take once what is given twice, and ``~`` for the home folder."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                object.__setattr__(self, field.name, tuple(dict.fromkeys(value)))
            elif isinstance(value, Path):
                object.__setattr__(self, field.name, _at_home(value))

    @property
    def pictured(self) -> list[int]:
        """Ids of the planes that get pictures, but for those through ``picture_images``."""
        chosen = [parse_plane_id(text) for text in _parts(self.picture_planes)]
        kinds: list[str] = [kind for kind in self.plane_kinds if kind not in ON_MANIFOLD]
        if self.adversarial_to:
            kinds.append("adversarial")
        first = [plane_ids_of(kind, 1).start for kind in kinds if chosen]
        return [*dict.fromkeys([*chosen, *first])]

    @property
    def chosen_images(self) -> list[list[int]]:
        """Ids of the images in ``picture_images``, three a plane."""
        chosen = (tuple(int(number) for number in _parts(text)) for text in self.picture_images)
        return [list(ids) for ids in dict.fromkeys(chosen)]

    def validate(self) -> None:
        """Check every option as far as that goes without loading anything.

        Raises
        ------
        UserError
            For the first option that cannot be.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if value == () and field.default != () and field.name != "contrast":
                raise UserError(f"--{option_name(field.name)}: give at least one value")
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, int | float) and not isinstance(number, bool):
                    check_number(field.name, number)
        validate_dataset(self.dataset)
        self._check_pictures()
        if self.share is not None:
            parse_share(self.share)
        gpus = self.gpus_per_trial
        if gpus != int(gpus) and not LEAST_SHARE <= gpus < 1:  # Ray knows no others
            raise UserError(
                f"--gpus-per-trial {gpus}: give a whole number, or a share of one GPU such as 0.25"
            )

    def _check_pictures(self) -> None:
        for text in self.picture_images:
            parts = _parts(text)
            if len(parts) != 3 or not all(re.fullmatch("[0-9]{1,9}", part) for part in parts):
                raise UserError(f"--picture-images {text}: give three image ids, such as 30,72,42")
        shares = getattr(self, "label_noise", ())
        noisy = isinstance(shares, tuple) and any(shares)  # a single one is of no study of noise
        for text in _parts(self.picture_planes):
            kind = plane_kind(parse_plane_id(text))
            if kind in ("adversarial", "chosen"):
                raise UserError(
                    f"--picture-planes {text}: such planes come by --adversarial-to and "
                    "--picture-images"
                )
            if kind in NOISY and not noisy:
                raise UserError(f"--picture-planes {text}: such planes need label noise")


@dataclass(frozen=True)
class TrainingOptions(StudyOptions):
    """Options of every study that trains."""

    preset: PresetName = "laptop"
    """defaults for a laptop (minutes), for one GPU (an hour or so) or as in the paper; options that
    are given win"""
    dry_run: bool = False
    """say what the study would take, and train nothing"""
    size: SizeName = "small"
    """architectures and recipes: small for a laptop, paper as published"""
    seeds: int = 3
    """trials per grid point; trial s has weights seed s and data seed s"""
    until_decided: int = 0
    """add seeds, at most up to so many a grid point, until the contrasts are told from zero: those
    of --contrast, or where none is named those of the paper's claims"""
    stop_epochs: tuple[int, ...] = ()
    """epochs at which the models are looked at, too, on their way to the end"""
    epochs: int | None = None
    """passes over the training set (default: the architecture's recipe)"""
    batch_size: int | None = None
    """images a step (default: the architecture's recipe)"""
    optimizer: OptimizerName | None = None
    """update rule (default: the architecture's recipe)"""
    learning_rate: float | None = None
    """peak learning rate (default: the architecture's recipe)"""
    schedule: ScheduleName | None = None
    """learning rate over time (default: the architecture's recipe)"""
    sam_radius: float | None = None
    """length of sam's perturbation of the weights (default: 0.05)"""
    mixup: float | None = None
    """parameter of MixUp's Beta distribution (default: 0, off)"""
    cutmix: float | None = None
    """parameter of CutMix's Beta distribution (default: 0, off)"""
    precision: PrecisionName | None = None
    """arithmetic of the forward pass on a GPU (default: the architecture's recipe, float32)"""
    channels_last: bool | None = None
    """memory layout of images on a GPU that suits convolutions (default: off)"""
    workers_per_trial: int = 1
    """processes that train one model together, each on its share of every batch and each with
    --cpus-per-trial and --gpus-per-trial of its own"""
    trainings_per_task: int = 1
    """trainings that one process does in a row; more than one helps where they take seconds"""
    checkpoint_seconds: float = 300.0
    """seconds between saved states of a training, from which it resumes after its process died"""
    deterministic: bool = False
    """use deterministic kernels only (on one CPU, results are reproducible anyway)"""

    def validate(self) -> None:
        """Check every option as far as that goes without loading anything."""
        super().validate()
        if self.until_decided:
            from dbray.scores.jackknife import FEWEST_SEEDS  # no library for every --help

            first = max(FEWEST_SEEDS, self.seeds)
            if self.until_decided < first:
                raise UserError(
                    f"--until-decided {self.until_decided}: must be at least {first}, the seeds "
                    "to begin with"
                )
            if self.share:
                raise UserError(
                    f"--share {self.share}: seeds are added by looking at all trials; leave out "
                    "--until-decided"
                )
        if self.workers_per_trial > 1 and self.gpus_per_trial not in (0, 1):
            raise UserError(
                f"--gpus-per-trial {self.gpus_per_trial:g}: each of {self.workers_per_trial} "
                "workers trains on one GPU of its own (1) or on the CPU (0)"
            )


# What the presets have in common; a study adds its own grid.
PRESETS: dict[str, dict[str, Any]] = {
    "laptop": {},
    "quick": {
        "dataset": "cifar10",
        "size": "paper",
        "epochs": 15,
        "planes": 100,
        "picture_resolution": 200,
        "gpus_per_trial": 0.25,
        "precision": "bfloat16",
    },
    "paper": {
        "dataset": "cifar10",
        "size": "paper",
        "planes": 500,
        "picture_resolution": 500,
        "gpus_per_trial": 1.0,
        "cpus_per_trial": 2,
    },
}


def presets_with(grids: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The common presets with what a study changes besides, by the presets' names."""
    return {name: {**common, **grids.get(name, {})} for name, common in PRESETS.items()}


def check_architectures(option: str, names: Sequence[str]) -> None:
    """Check the names that an option gives, as NAME or NAME@WIDTH.

    Raises
    ------
    UserError
        If one is unknown, its width is none, or it is another one's under another spelling.
    """
    known: dict[tuple[str, int], str] = {}
    for text in names:
        _, _, width = text.partition("@")
        most = BOUNDS["widths"][1]
        if re.fullmatch("[0-9]+", width) and (len(width) > 9 or int(width) > most):
            raise UserError(f"{option} {text}: the width must be at most {most}")
        found = parse_architecture(text)
        if found in known:
            raise UserError(f"{option} {text}: is {known[found]} again; give it once")
        known[found] = text


def _at_home(path: Path) -> Path:
    """The path with a leading ``~`` replaced; as it is where there is no such home."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
