"""The options that all studies share."""

from dataclasses import dataclass
from pathlib import Path

from dbray.config import OptimizerName, PrecisionName, ScheduleName, SizeName
from dbray.datasets import validate_dataset
from dbray.errors import UserError


@dataclass(frozen=True)
class StudyOptions:
    """Options of every study."""

    storage: str = "./runs"
    """where studies go: a directory, or a URI such as s3://bucket/prefix"""
    name: str = "study"
    """name of this study, a folder below the storage"""
    dataset: str = "digits"
    """digits, cifar10, cifar100, svhn, fashion_mnist, mnist, npz:PATH or folder:PATH"""
    data_dir: Path | None = None
    """where torchvision's data sets lie or are downloaded to (default: ~/.cache/dbray)"""
    size: SizeName = "small"
    """architectures and recipes: small for a laptop, paper as published"""
    seeds: int = 3
    """trials per grid point; trial s has weights seed s and data seed s"""
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
    precision: PrecisionName | None = None
    """arithmetic of the forward pass on a GPU (default: the architecture's recipe, float32)"""
    channels_last: bool | None = None
    """memory layout of images on a GPU that suits convolutions (default: off)"""
    planes: int = 50
    """planes of each kind (test, train) that every model labels; can grow later"""
    plane_seed: int = 0
    """decides which images span the planes"""
    resolution: int = 50
    """grid points along each side of a plane"""
    picture_planes: int = 3
    """how many of the test planes are also shown as pictures"""
    picture_resolution: int = 100
    """pixels along each side of a picture"""
    cpus_per_trial: int = 1
    """CPU cores, and threads, of one trial"""
    gpus_per_trial: float = 0.0
    """GPUs of one trial; 0.25 puts four trials on one GPU, 0 trains on the CPU"""
    max_concurrent: int = 0
    """trials at once; 0 means as many as the cores and GPUs allow"""
    max_failures: int = 1
    """how often a trial whose process died is started again"""
    deterministic: bool = False
    """use deterministic kernels only (on one CPU, results are reproducible anyway)"""
    retry_failed: bool = False
    """train trials again that ended without a result"""
    open: bool = False
    """open the report in a browser"""

    def validate(self) -> None:
        """Check every option as far as that goes without loading anything.

        Raises
        ------
        UserError
            For the first option that cannot be.
        """
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                option = name.replace("_", "-")
                raise UserError(f"--{option} {value}: must be at least {least:g}")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise UserError(f"--learning-rate {self.learning_rate}: must be above 0")
        validate_dataset(self.dataset)
        if self.picture_planes > self.planes:
            raise UserError(
                f"--picture-planes {self.picture_planes}: there are only {self.planes} planes "
                "(--planes)"
            )


_LEAST: dict[str, float] = {
    "seeds": 1,
    "epochs": 1,
    "batch_size": 2,
    "planes": 1,
    "plane_seed": 0,
    "resolution": 2,
    "picture_planes": 0,
    "picture_resolution": 2,
    "cpus_per_trial": 1,
    "gpus_per_trial": 0,
    "max_concurrent": 0,
    "max_failures": 0,
}
