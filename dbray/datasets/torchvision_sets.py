"""Public data sets through torchvision, downloaded once to a folder and checked there."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbray.datasets.dataset import Dataset, channel_statistics
from dbray.errors import UserError

Statistics = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Source:
    """Where torchvision keeps a data set, and its usual normalisation (None: from the data)."""

    class_name: str
    statistics: Statistics | None = None
    by_split: bool = False  # its constructor takes split="train" rather than train=True


SOURCES = {
    # The constants that the paper's own code uses.
    "cifar10": Source("CIFAR10", ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))),
    "cifar100": Source("CIFAR100"),
    "svhn": Source("SVHN", by_split=True),
    "fashion_mnist": Source("FashionMNIST"),
    "mnist": Source("MNIST"),
}


def load_torchvision(name: str, data_dir: Path) -> Dataset:
    """Load a public data set with its official splits, downloading what is missing.

    Raises
    ------
    UserError
        If it is not in ``data_dir`` and cannot be downloaded.
    """
    source = SOURCES[name]
    train, test = (_open(name, source, data_dir, part) for part in ("train", "test"))
    train_images, test_images = _images(train), _images(test)
    mean, std = source.statistics or channel_statistics(train_images)
    class_names = getattr(train, "classes", [str(digit) for digit in range(10)])
    return Dataset(
        name=name,
        train_images=train_images,
        train_labels=_labels(train),
        test_images=test_images,
        test_labels=_labels(test),
        class_names=tuple(class_names),
        mean=mean,
        std=std,
    )


def _open(name: str, source: Source, data_dir: Path, part: str) -> Any:  # noqa: ANN401 - torchvision's
    import torchvision

    make: Callable[..., Any] = getattr(torchvision.datasets, source.class_name)
    split = {"split": part} if source.by_split else {"train": part == "train"}
    try:
        with _quiet():
            try:
                return make(str(data_dir), **split)
            except RuntimeError:  # not there yet, or not whole: torchvision checks the files
                return make(str(data_dir), **split, download=True)
    except (AssertionError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"data set {name}: not whole in {data_dir}, and its download failed ({reason}); delete "
            "damaged files and put torchvision's files there (--data-dir DIR says where), "
            "or use --dataset digits"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torchvision's words (stdout), its progress bar (stderr) and NumPy's warnings in."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # of NumPy, about old pickles
        yield


def _images(part: Any) -> NDArray[np.uint8]:  # noqa: ANN401 - torchvision's
    """Images as (n, C, H, W), from whichever layout the data set keeps them in."""
    data = np.asarray(part.data, np.uint8)
    if data.ndim == 3:
        return np.ascontiguousarray(data[:, None])
    # SVHN has the channels second already, the CIFARs have them last.
    return np.ascontiguousarray(data if data.shape[1] == 3 else data.transpose(0, 3, 1, 2))


def _labels(part: Any) -> NDArray[np.int64]:  # noqa: ANN401 - torchvision's
    return np.asarray(part.labels if hasattr(part, "labels") else part.targets, np.int64)
