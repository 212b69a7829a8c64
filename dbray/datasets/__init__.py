"""Labelled image data sets by name: embedded, from torchvision, from files, of a user's own."""

from collections.abc import Callable
from pathlib import Path

from dbray.datasets.dataset import Dataset
from dbray.datasets.description import describe_dataset, said_by
from dbray.datasets.label_noise import noisy_labels
from dbray.errors import UserError

# Loader and what it brings; the modules behind it are imported when a data set is loaded.
DATASETS = {
    "digits": "1,797 real 8x8 handwritten digits that ship inside scikit-learn",
    "scenes": "those digits at random places of scikit-learn's two photographs, in colour",
    "cifar10": "CIFAR-10, through torchvision",
    "cifar100": "CIFAR-100, through torchvision",
    "svhn": "street-view house numbers, through torchvision",
    "fashion_mnist": "Fashion-MNIST, through torchvision",
    "mnist": "MNIST, through torchvision",
}
PREFIXES = {
    "npz:": "npz:PATH, an archive with train_images, train_labels, test_images, test_labels",
    "folder:": "folder:PATH, images in train/CLASS/ and test/CLASS/",
    "parquet:": "parquet:PATH, train*.parquet and test*.parquet with an image and a label column",
}


def validate_dataset(spec: str) -> None:
    """Check that a data set is known, without loading it.

    Raises
    ------
    UserError
        If it is not; the choices are named.
    """
    module, _, name = spec.partition(":")
    own = bool(module) and name.isidentifier() and all(map(str.isidentifier, module.split(".")))
    if not own and spec not in DATASETS and not any(spec.startswith(each) for each in PREFIXES):
        choices = [*DATASETS, *(f"{prefix}PATH" for prefix in PREFIXES), "package.module:function"]
        raise UserError(f"data set {spec!r} is unknown; choose one of {', '.join(choices)}")


def load_dataset(spec: str, data_dir: Path | None = None) -> Dataset:
    """Load a data set into memory.

    Parameters
    ----------
    spec
        A name from ``DATASETS``, ``npz:PATH``, ``folder:PATH``, ``parquet:PATH`` or
        ``package.module:function``.
    data_dir
        Where torchvision's data sets lie or are downloaded to; default ``~/.cache/dbray``.

    Raises
    ------
    UserError
        If the data set is unknown, cannot be had, or is not what its name promises.
    """
    validate_dataset(spec)
    return _loader(spec, _at_home(data_dir or Path("~/.cache/dbray")))()


def _at_home(path: str | Path) -> Path:
    """Put the home folder for a leading ~, which no shell replaces after ``npz:``."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: {said_by(error)}; give the whole path") from error


def _loader(spec: str, data_dir: Path) -> Callable[[], Dataset]:
    if spec.startswith("npz:"):
        from dbray.datasets.archives import load_npz

        return lambda: load_npz(_at_home(spec.removeprefix("npz:")))
    if spec.startswith("folder:"):
        from dbray.datasets.image_folders import load_folder

        return lambda: load_folder(_at_home(spec.removeprefix("folder:")))
    if spec == "digits":
        from dbray.datasets.digits import load_digits

        return load_digits
    if spec == "scenes":
        from dbray.datasets.scenes import load_scenes

        return load_scenes
    if spec.startswith("parquet:"):
        from dbray.datasets.parquet_files import load_parquet

        return lambda: load_parquet(_at_home(spec.removeprefix("parquet:")))
    if ":" in spec:
        from dbray.datasets.own import load_own

        return lambda: load_own(spec)
    from dbray.datasets.torchvision_sets import load_torchvision

    return lambda: load_torchvision(spec, data_dir)


__all__ = [
    "DATASETS",
    "PREFIXES",
    "Dataset",
    "describe_dataset",
    "load_dataset",
    "noisy_labels",
    "validate_dataset",
]
