"""Models that are not dbray's: built by a library or by the user's function, and tried once."""

import difflib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dbray.architectures.compiler import compiler_when_called
from dbray.architectures.reading import Reading
from dbray.errors import UserError, one_line, reason

if TYPE_CHECKING:  # torch is loaded when a model is built
    from torch import nn

# Libraries of models: "timm:resnet18" is a model of that name there, without pretrained weights.
LIBRARIES = ("timm", "torchvision")


def check_library_name(architecture: str) -> None:
    """Refuse a library's name that stands for a download or a folder, not for a model.

    Raises
    ------
    UserError
        If it does.
    """
    library, _, name = architecture.partition(":")
    if library in LIBRARIES and not re.fullmatch(r"[\w.-]+", name):
        raise UserError(
            f"architecture {one_line(architecture)}: after {library}: stands a model's name alone; "
            "nothing is fetched from a hub or a folder, so give the weights as a file"
        )


def library_factory(
    library: str, name: str, input_shape: tuple[int, int, int], classes: int
) -> Callable[[], Any]:
    """A call that makes the library's model of that name with random weights.

    Raises
    ------
    UserError
        If the library has no such model; names that are close are given.
    """
    if library == "timm":
        import timm

        if not timm.is_model(name):
            _refuse_name(library, name, timm.list_models())
        return lambda: _make_timm(timm.create_model, name, input_shape, classes)
    with compiler_when_called():
        import torchvision

    if name.lower() not in (known := torchvision.models.list_models()):
        _refuse_name(library, name, known)
    return lambda: torchvision.models.get_model(name, weights=None, num_classes=classes)


def _make_timm(
    create: Callable[..., Any], name: str, input_shape: tuple[int, int, int], classes: int
) -> Any:  # noqa: ANN401 - timm is untyped
    options: dict[str, Any] = {"num_classes": classes, "in_chans": input_shape[0]}
    try:  # transformers are made for one size, convolutional networks know none
        return create(name, **options, img_size=input_shape[1:])
    except TypeError:
        return create(name, **options)


def _refuse_name(library: str, name: str, known: list[str]) -> None:
    close = difflib.get_close_matches(name, known)
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    raise UserError(f"architecture {library}:{one_line(name)}: {library} has no such model{hint}")


def build_own(
    path: str,
    make: Callable[[], Any],
    input_shape: tuple[int, int, int],
    classes: int,
    reading: Reading | None,
) -> "nn.Module":
    """Build a user's model and try it on two blank images, as one is read that was trained before.

    Raises
    ------
    UserError
        If its factory fails, or what it makes gives no logits.
    """
    import torch

    from dbray.architectures.outputs import Adapted

    model = _make(path, make, any_classifier=reading is not None)
    asked = model if reading is None else Adapted(model, classes, reading)
    try:
        # Not inference_mode: what a module makes on its first pass is trained later.
        with torch.no_grad():
            found = asked.eval()(torch.zeros(2, *input_shape))
    except UserError as error:
        raise UserError(f"architecture {path}: {error}") from error
    except Exception as error:
        raise UserError(
            f"architecture {path}: fails on a batch of shape {(2, *input_shape)}: {reason(error)}"
        ) from error
    if reading is None:
        check_logits(path, found, classes)
    return asked


def _make(path: str, make: Callable[[], Any], *, any_classifier: bool) -> "nn.Module":
    from torch import nn

    from dbray.architectures.classifiers import as_module

    try:
        model = make()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        called = "; it is called with input_shape=..., classes=..."
        hint = called if isinstance(error, TypeError) else ""
        raise UserError(f"architecture {path}: its factory fails: {reason(error)}{hint}") from error
    if any_classifier:
        return as_module(path, model)
    if not isinstance(model, nn.Module):
        raise UserError(
            f"architecture {path}: returned {type(model).__name__}; it must be a torch.nn.Module"
        )
    return model


def check_logits(path: str, found: object, classes: int, when: str = "") -> None:
    """Check that a model's answer to two images is one tensor of logits.

    Parameters
    ----------
    when
        What the message begins with, such as "in training mode ".

    Raises
    ------
    UserError
        If it is something else.
    """
    from torch import Tensor

    if not isinstance(found, Tensor):
        raise UserError(
            f"architecture {path}: {when}it returns a {type(found).__name__}; return the logits "
            "alone"
        )
    if tuple(found.shape) != (2, classes):
        raise UserError(
            f"architecture {path}: {when}it gives logits of shape {tuple(found.shape)} for two "
            f"images; {(2, classes)} was expected"
        )
