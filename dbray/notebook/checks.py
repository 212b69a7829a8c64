"""What ``compare`` is given, checked before anything is computed: one line names what is wrong."""

import math
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from dbray.architectures.classifiers import as_module
from dbray.architectures.outputs import Adapted, logits_of
from dbray.errors import UserError, one_line, reason


def checked_count(name: str, value: object, least: int) -> int:
    """A whole number of at least ``least``.

    Raises
    ------
    UserError
        If it is not.
    """
    try:
        found = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        found = None
    if found is None or isinstance(value, bool | np.bool_) or found < least:
        raise UserError(f"{name}={one_line(repr(value))}: must be a whole number from {least}")
    return found


def checked_extent(value: Any) -> float:  # noqa: ANN401 - what a caller gave
    """A finite number that is not negative.

    Raises
    ------
    UserError
        If it is not.
    """
    number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not number or not 0 <= value < math.inf:
        raise UserError(f"extent={one_line(repr(value))}: must be a finite number from 0")
    return float(value)


def checked_device(device: Any) -> torch.device:  # noqa: ANN401 - what a caller gave
    """A device that holds tensors.

    Raises
    ------
    UserError
        If there is no such device here.
    """
    try:
        place = torch.device(device)
        torch.zeros(1, device=place).cpu()  # the device meta has no values to give
    except Exception as error:  # every backend has errors of its own
        raise UserError(
            f"device={one_line(repr(device))}: cannot be used: {reason(error)}"
        ) from error
    return place


def checked_models(models: Any) -> dict[str, nn.Module]:  # noqa: ANN401 - what a caller gave
    """Two models or more by name.

    Raises
    ------
    UserError
        If they are not.
    """
    if not isinstance(models, Mapping):
        raise UserError(f"models: must be a dict of models by name, not {type(models).__name__}")
    if len(models) < 2:
        raise UserError(f"models: compare takes two or more models; here are {len(models)}")
    for name in models:
        if not isinstance(name, str):
            raise UserError(f"models: the name {one_line(repr(name))} must be a text")
    return {name: as_module(name, model) for name, model in models.items()}


def checked_groups(groups: Any, models: Mapping[str, Any]) -> dict[str, str]:  # noqa: ANN401
    """The group of each model; none where no groups are given.

    Raises
    ------
    UserError
        If a model has no group, or a group is of no model.
    """
    if groups is None:
        return {}
    if not isinstance(groups, Mapping):
        raise UserError(f"groups: must be a dict of groups by model, not {type(groups).__name__}")
    for name in models:
        if name not in groups:
            raise UserError(f"groups: model {one_line(name)} has none")
    for name in groups:
        if name not in models:
            raise UserError(f"groups: there is no model {one_line(name)}")
    return {name: str(groups[name]) for name in models}


def checked_images(images: Any) -> NDArray[np.float32]:  # noqa: ANN401 - what a caller gave
    """Finite float32 inputs of shape (n, features ...), such as (n, channels, height, width).

    Raises
    ------
    UserError
        If they are not.
    """
    found = _array("images", images)
    if found.dtype.kind not in "fiu":
        raise UserError(f"images: must be real numbers, not {found.dtype}")
    if found.ndim < 2 or not found.size:
        raise UserError(
            "images: must be of shape (n, channels, height, width), or (n, features), and not "
            f"empty; these are of shape {found.shape}"
        )
    with np.errstate(over="ignore"):
        inputs = found.astype(np.float32)
    finite = np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1)
    if not finite.all():
        raise UserError(f"images: image {int(finite.argmin())} has values that are not finite")
    return inputs


def checked_labels(labels: Any, images: int) -> NDArray[Any] | None:  # noqa: ANN401
    """A class an image, whole numbers or texts; None where there are no labels.

    Raises
    ------
    UserError
        If they are not.
    """
    if labels is None:
        return None
    found = _array("labels", labels)
    if found.dtype.kind not in "iuU":
        raise UserError(f"labels: must be whole numbers or texts, not {found.dtype}")
    if found.shape != (images,):
        raise UserError(
            f"labels: must be one for each of the {images} images; they are of shape {found.shape}"
        )
    return found


def adapted(
    models: Mapping[str, nn.Module], inputs: NDArray[np.float32], device: torch.device
) -> tuple[dict[str, Adapted], int]:
    """The models, each of which now returns logits alone, and their number of classes.

    Raises
    ------
    UserError
        If a model fails, or they differ in their number of classes.
    """
    two = torch.from_numpy(inputs[:2]).to(device)
    counts = {name: _classes(name, model, two, device) for name, model in models.items()}
    classes = next(iter(counts.values()))
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{one_line(name)} {count}" for name, count in counts.items())
        raise UserError(f"the models differ in their number of classes: {told}")
    if classes > 2**16:
        raise UserError(f"the models have {classes} classes; at most {2**16} can be compared")
    return {name: Adapted(m, classes).to(device).eval() for name, m in models.items()}, classes


def _classes(name: str, model: nn.Module, inputs: torch.Tensor, device: torch.device) -> int:
    """How many classes a model tells apart; two where it has one output."""
    about = f"model {one_line(name)}"
    try:
        with torch.inference_mode():
            logits = logits_of(model.to(device).eval()(inputs))
    except UserError as error:
        raise UserError(f"{about}: {error}") from error
    except Exception as error:  # the user's own code
        raise UserError(
            f"{about}: fails on images of shape {tuple(inputs.shape)}: {reason(error)}"
        ) from error
    if not logits.is_floating_point():
        raise UserError(f"{about}: gives {logits.dtype} where logits are floats")
    if logits.numel() == len(inputs):
        return 2
    if logits.ndim != 2 or len(logits) != len(inputs):
        raise UserError(
            f"{about}: gives logits of shape {tuple(logits.shape)} for {len(inputs)} images; "
            "(images, classes) was expected"
        )
    return logits.shape[1]


def _array(name: str, values: ArrayLike | torch.Tensor) -> NDArray[Any]:
    try:
        if isinstance(values, torch.Tensor):
            whole = values.detach().cpu()
            return (whole.float() if whole.is_floating_point() else whole).numpy()
        return np.asarray(values)
    except Exception as error:  # lists of uneven lengths, sparse tensors
        raise UserError(f"{name}: are no array: {reason(error)}") from error
