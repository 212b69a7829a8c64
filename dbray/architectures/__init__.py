"""Architectures by name. To add one, write its factory and give it a line in ``ARCHITECTURES``.

A factory takes ``input_shape``, ``classes``, ``width`` (0 means its usual one) and ``size``
(``small`` for a laptop, ``paper`` as published for 32 x 32 inputs) and returns a module that maps
(B, channels, height, width) to logits (B, C).
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbray.config import SizeName
from dbray.errors import UserError

if TYPE_CHECKING:  # the names must be had without loading torch: --help is to be quick
    from torch import nn


@dataclass(frozen=True)
class Architecture:
    """An entry of the registry."""

    factory: str  # "module:function", imported when a model is built
    description: str
    convolutional: bool = False


_HERE = "dbray.architectures"
ARCHITECTURES = {
    "fcnet": Architecture(f"{_HERE}.fully_connected:fcnet", "fully connected, four hidden layers"),
    "mlp": Architecture(f"{_HERE}.fully_connected:mlp", "fully connected, one hidden layer"),
    "vit": Architecture(f"{_HERE}.patches:vit", "vision transformer"),
    "mixer": Architecture(f"{_HERE}.patches:mixer", "MLP-Mixer"),
    "vgg": Architecture(f"{_HERE}.convolutional:vgg", "VGG with batch norm", convolutional=True),
    "resnet": Architecture(f"{_HERE}.convolutional:resnet", "residual network", convolutional=True),
    "densenet": Architecture(
        f"{_HERE}.convolutional:densenet", "densely connected network", convolutional=True
    ),
    "wideresnet": Architecture(
        f"{_HERE}.preactivation:wideresnet", "wide residual network", convolutional=True
    ),
    "resnet18k": Architecture(
        f"{_HERE}.preactivation:resnet18k",
        "pre-activation ResNet-18 of width k",
        convolutional=True,
    ),
}


# Libraries of models: "timm:resnet18" is a model of that name there, without pretrained weights.
LIBRARIES = ("timm", "torchvision")


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


def parse_architecture(text: str) -> tuple[str, int]:
    """Name and width of ``name`` or ``name@width``.

    Raises
    ------
    UserError
        If the name is unknown or the width no positive number.
    """
    name, at, width = text.partition("@")
    validate_architecture(name)
    if at and not (width.isdecimal() and int(width) > 0):
        raise UserError(f"architecture {text!r}: after @ stands the width, a positive number")
    return name, int(width or 0)


def build_model(
    architecture: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: int = 0,
    size: SizeName = "small",
    seed: int,
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
            factory = _import_factory(ARCHITECTURES[architecture].factory)
            if width < 0:
                raise UserError(f"architecture {architecture}: width {width} must be 0 or more")
            model: nn.Module = factory(**shape, width=width, size=size)
            return model
        library, _, wanted = architecture.partition(":")
        if library in LIBRARIES:
            make = _library_factory(library, wanted, input_shape, classes)
            return _build_own(architecture, make, input_shape, classes)
        factory = _import_factory(architecture)
        options = {"width": width} if width else {}
        return _build_own(architecture, lambda: factory(**shape, **options), input_shape, classes)


def _library_factory(
    library: str, name: str, input_shape: tuple[int, int, int], classes: int
) -> Callable[[], Any]:
    """A call that makes the library's model of that name with random weights."""
    if library == "timm":
        import timm

        options: dict[str, Any] = {"num_classes": classes, "in_chans": input_shape[0]}
        sized = {**options, "img_size": input_shape[1:]}

        def make() -> Any:  # noqa: ANN401
            try:  # transformers are made for one size, convolutional networks know none
                return timm.create_model(name, **sized)
            except TypeError:
                return timm.create_model(name, **options)

        return make
    import torchvision

    return lambda: torchvision.models.get_model(name, weights=None, num_classes=classes)


def _import_factory(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise UserError(
            f"architecture {path}: module {module} cannot be imported ({_one_line(error)}); "
            "is it installed, or its folder on PYTHONPATH?"
        ) from error
    except AttributeError as error:
        raise UserError(f"architecture {path}: module {module} has no {name}") from error
    except Exception as error:  # the user's module is run by importing it
        raise UserError(f"architecture {path}: importing {module} fails: {error!r}") from error
    return factory  # type: ignore[no-any-return]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _build_own(
    path: str, build: Callable[[], Any], input_shape: tuple[int, int, int], classes: int
) -> "nn.Module":
    """Build a user's model and try it on two blank images."""
    import torch
    from torch import nn

    try:
        model = build()
    except Exception as error:
        raise UserError(f"architecture {path}: its factory fails: {error!r}") from error
    if not isinstance(model, nn.Module):
        raise UserError(
            f"architecture {path}: returned {type(model).__name__}; it must be a torch.nn.Module"
        )
    try:
        # Not inference_mode: what a module makes on its first pass is trained later.
        with torch.no_grad():
            found = tuple(model.eval()(torch.zeros(2, *input_shape)).shape)
    except Exception as error:
        raise UserError(
            f"architecture {path}: fails on a batch of shape {(2, *input_shape)}: "
            f"{_one_line(error)}"
        ) from error
    if found != (2, classes):
        raise UserError(
            f"architecture {path}: gives logits of shape {found} for two images; "
            f"{(2, classes)} was expected"
        )
    return model
