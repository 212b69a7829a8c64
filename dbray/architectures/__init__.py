"""Architectures by name. To add one, write its factory and give it a line in ``ARCHITECTURES``.

A factory takes ``input_shape``, ``classes``, ``width`` (0 means its usual one) and ``size``
(``small`` for a laptop, ``paper`` as published for 32 x 32 inputs) and returns a module that maps
(B, channels, height, width) to logits (B, C). One whose models were not quite the paper's in
dbray's first studies also takes ``published``: whether they are.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbray.architectures.own import (
    LIBRARIES,
    build_own,
    check_library_name,
    library_factory,
)
from dbray.architectures.reading import Reading, reading_of
from dbray.config import SizeName
from dbray.errors import UserError
from dbray.importing import import_function

if TYPE_CHECKING:  # the names must be had without loading torch: --help is to be quick
    from torch import nn


@dataclass(frozen=True)
class Architecture:
    """An entry of the registry."""

    factory: str  # "module:function", imported when a model is built
    description: str
    seconds: float  # that a small trial takes on digits: the sweep begins with long ones
    convolutional: bool = False
    differed: str = ""  # how the first studies' models were not as published


_HERE = "dbray.architectures"
ARCHITECTURES = {
    "fcnet": Architecture(
        f"{_HERE}.fully_connected:fcnet", "fully connected, four hidden layers", 2
    ),
    "mlp": Architecture(f"{_HERE}.fully_connected:mlp", "fully connected, one hidden layer", 2),
    "vit": Architecture(
        f"{_HERE}.patches:vit",
        "vision transformer",
        37,
        differed="bias of queries, keys and values; epsilon of layer norms; initial weights",
    ),
    "mixer": Architecture(
        f"{_HERE}.patches:mixer",
        "MLP-Mixer",
        15,
        differed="epsilon of layer norms; initial weights, a last layer of zeros among them",
    ),
    "vgg": Architecture(f"{_HERE}.convolutional:vgg", "VGG with batch norm", 4, convolutional=True),
    "resnet": Architecture(
        f"{_HERE}.convolutional:resnet", "residual network", 6, convolutional=True
    ),
    "densenet": Architecture(
        f"{_HERE}.convolutional:densenet",
        "densely connected network",
        19,
        convolutional=True,
        differed="initial weights",
    ),
    "wideresnet": Architecture(
        f"{_HERE}.preactivation:wideresnet",
        "wide residual network",
        25,
        convolutional=True,
        differed="initial weights",
    ),
    "resnet18k": Architecture(
        f"{_HERE}.preactivation:resnet18k",
        "pre-activation ResNet-18 of width k",
        10,
        convolutional=True,
        differed="batch norm and ReLU after the last block",
    ),
}


def validate_architecture(name: str) -> None:
    """Check that an architecture is known or importable by its form, without loading torch.

    Raises
    ------
    UserError
        If it is neither a name of ``ARCHITECTURES`` nor ``timm:NAME``, ``torchvision:NAME`` or
        ``package.module:factory``.
    """
    module, _, factory = name.partition(":")
    named = factory.isidentifier() or (module in LIBRARIES and factory)
    if name not in ARCHITECTURES and not (module and named):
        raise UserError(
            f"architecture {name!r} is unknown; choose one of {', '.join(ARCHITECTURES)}, "
            "timm:NAME, torchvision:NAME, or your own as package.module:factory"
        )
    check_library_name(name)


def parse_architecture(text: str) -> tuple[str, int]:
    """Name and width of ``name`` or ``name@width``.

    Raises
    ------
    UserError
        If the name is unknown, the width no positive number, or the model has no width to choose.
    """
    name, at, width = text.partition("@")
    validate_architecture(name)
    if at and not (width.isdecimal() and int(width) > 0):
        raise UserError(f"architecture {text!r}: after @ stands the width, a positive number")
    if at:
        _check_has_width(name)
    return name, int(width or 0)


def build_model(
    architecture: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: int = 0,
    size: SizeName = "small",
    published: bool = True,
    seed: int,
    reading: Reading | None = None,
) -> "nn.Module":
    """Build a model whose initial weights are a function of ``seed`` alone.

    Parameters
    ----------
    architecture
        A name of ``ARCHITECTURES``, ``timm:NAME`` or ``torchvision:NAME``, or
        ``package.module:factory`` of the user's own, which is called with ``input_shape`` and
        ``classes``, and with ``width`` if that is not 0.
    input_shape
        (channels, height, width) of one image.
    published
        Whether a model of ``ARCHITECTURES`` is as the paper has it. If not, it is as it was in
        dbray's first studies, whose weights fit it.
    reading
        How a model that was trained elsewhere is read: what it returns may then be any answer in
        which logits are found, and the module that comes back returns these. Without it, a model
        must return the logits alone.

    Raises
    ------
    UserError
        If the architecture is unknown, does not fit the input, or its factory does not work.
    """
    import torch

    validate_architecture(architecture)
    shape = {"input_shape": input_shape, "classes": classes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if architecture in ARCHITECTURES:
            entry = ARCHITECTURES[architecture]
            factory = import_function("architecture", entry.factory)
            if width < 0:
                raise UserError(f"architecture {architecture}: width {width} must be 0 or more")
            details = {"published": published} if entry.differed else {}
            return _read(factory(**shape, width=width, size=size, **details), classes, reading)
        library, _, wanted = architecture.partition(":")
        if library in LIBRARIES:
            if width:
                _check_has_width(architecture)
            make = library_factory(library, wanted, input_shape, classes)
            return build_own(architecture, make, input_shape, classes, reading)
        own = import_function("architecture", architecture)
        options = {"width": width} if width else {}
        make = lambda: own(**shape, **options)  # noqa: E731
        return build_own(architecture, make, input_shape, classes, reading)


def _read(model: "nn.Module", classes: int, reading: Reading | None) -> "nn.Module":
    from dbray.architectures.outputs import Adapted

    return model if reading is None else Adapted(model, classes, reading)


def _check_has_width(name: str) -> None:
    if name.partition(":")[0] in LIBRARIES:
        raise UserError(
            f"architecture {name}: its library's models have no width to choose; leave @WIDTH out"
        )


def check_trainable(
    architecture: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: int = 0,
    size: SizeName = "small",
    published: bool = True,
) -> None:
    """Build a model; try on one that is not dbray's whether a training would get on with it.

    Raises
    ------
    UserError
        If it cannot be built or trained.
    """
    from dbray.architectures.trainable import try_training

    model = build_model(
        architecture,
        input_shape=input_shape,
        classes=classes,
        width=width,
        size=size,
        published=published,
        seed=0,
    )
    if architecture not in ARCHITECTURES:
        try_training(architecture, model, input_shape, classes)


__all__ = [
    "ARCHITECTURES",
    "LIBRARIES",
    "Architecture",
    "Reading",
    "build_model",
    "check_trainable",
    "parse_architecture",
    "reading_of",
    "validate_architecture",
]
