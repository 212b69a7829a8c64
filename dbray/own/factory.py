"""A user's model built again, to load its weights into."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from dbray.architectures import ARCHITECTURES, LIBRARIES, Reading, build_model
from dbray.architectures.own import build_own
from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.importing import import_function
from dbray.own.calling import accepted


def build_with(
    factory: str, dataset: Dataset, options: Mapping[str, Any], reading: Reading
) -> nn.Module:
    """A model as its factory makes it, read as ``Adapted`` does.

    Parameters
    ----------
    factory
        A name of dbray's architectures, ``timm:NAME``, ``torchvision:NAME`` or
        ``package.module:function``; a function gets ``input_shape``, ``classes`` and the trial's
        options, as far as it has arguments for them.

    Raises
    ------
    UserError
        If the factory does not work, or its model does not take the data set's images.
    """
    shape, classes = dataset.input_shape, dataset.classes
    if factory in ARCHITECTURES or factory.partition(":")[0] in LIBRARIES:
        return build_model(factory, input_shape=shape, classes=classes, seed=0, reading=reading)
    function = import_function("factory", factory)
    offered = {**options, "input_shape": shape, "classes": classes}
    make = lambda: function(**accepted(function, offered))  # noqa: E731
    return build_own(factory, make, shape, classes, reading)


def factory_path(function: Callable[..., Any]) -> str:
    """``package.module:function`` of a function that was returned beside a model.

    Raises
    ------
    UserError
        If it cannot be found again by such a name.
    """
    path = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"
    try:
        found = import_function("factory", path)
    except UserError:
        found = None
    if found is not function:
        raise UserError(
            f"its factory {path} cannot be found by that name; return a function of a module"
        )
    return path
