"""Weights that timm and torchvision publish, through these libraries' own caches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dbray.architectures import LIBRARIES
from dbray.errors import UserError, one_line, reason

PRETRAINED = "pretrained"  # in the list of models, in the place of a file


@dataclass(frozen=True)
class Pretrained:
    """Published weights, and how the models that they belong to see images."""

    weights: Mapping[str, Tensor]
    source: str  # which of a model's sets of weights these are
    classes: int
    mean: tuple[float, ...] = ()  # per channel, pixels from 0 to 1
    std: tuple[float, ...] = ()


def read_pretrained(about: str, factory: str, classes: int) -> Pretrained:
    """Published weights of ``timm:NAME`` or ``torchvision:NAME``, from the cache or the network.

    Parameters
    ----------
    about
        What the message of an error begins with.
    classes
        How many the data set has.

    Raises
    ------
    UserError
        If the factory is no such model, none are published, they cannot be had, or are for
        another number of classes.
    """
    library, _, name = factory.partition(":")
    if library not in LIBRARIES:
        raise UserError(
            f"{about}: weights = {PRETRAINED!r} is for timm:NAME and torchvision:NAME; name the "
            f"file of weights for {one_line(factory)}"
        )
    read: Callable[[str, str], Pretrained] = _of_timm if library == "timm" else _of_torchvision
    found = read(about, name)
    if found.classes != classes:
        raise UserError(
            f"{about}: the published weights of {factory} tell {found.classes:,} classes apart, "
            f"the data set has {classes:,}; fine-tune it, and give the weights as a file"
        )
    return found


def _of_timm(about: str, name: str) -> Pretrained:
    import timm

    if not timm.is_model(name):
        raise UserError(f"{about}: timm has no model {one_line(name)}")
    if not timm.is_model_pretrained(name):
        raise UserError(f"{about}: timm publishes no weights of {name}")
    try:
        model = timm.create_model(name, pretrained=True)
    except Exception as error:  # of the hub, the network, the file
        raise UserError(_unreachable(about, f"timm:{name}", error, TIMM_HELP)) from error
    cfg = model.pretrained_cfg
    source = f"{cfg.get('architecture', name)}.{cfg.get('tag', '')}".rstrip(".")
    return Pretrained(
        model.state_dict(), source, model.num_classes, tuple(cfg["mean"]), tuple(cfg["std"])
    )


def _of_torchvision(about: str, name: str) -> Pretrained:
    from torchvision import models

    if name.lower() not in models.list_models():
        raise UserError(f"{about}: torchvision has no model {one_line(name)}")
    published: Any = models.get_model_weights(name)
    if not len(published):
        raise UserError(f"{about}: torchvision publishes no weights of {name}")
    weights = published.DEFAULT
    try:
        state = weights.get_state_dict(progress=False)
    except Exception as error:  # of the network, the file
        raise UserError(
            _unreachable(about, f"torchvision:{name}", error, TORCHVISION_HELP)
        ) from error
    seen = weights.transforms()
    classes = len(weights.meta.get("categories", ()))
    return Pretrained(state, str(weights), classes, tuple(seen.mean), tuple(seen.std))


TIMM_HELP = (
    "python -c \"import timm; timm.create_model('{name}', pretrained=True)\" on a machine with "
    "network fills the cache, which is ~/.cache/huggingface or where HF_HOME says"
)
TORCHVISION_HELP = (
    "python -c \"from torchvision.models import get_model; get_model('{name}', weights='DEFAULT')\""
    " on a machine with network fills the cache, which is ~/.cache/torch or where TORCH_HOME says"
)


def _unreachable(about: str, factory: str, error: Exception, advice: str) -> str:
    name = factory.partition(":")[2]
    return (
        f"{about}: the published weights of {factory} are not in the cache and cannot be fetched "
        f"({reason(error)}); {advice.format(name=name)}"
    )
