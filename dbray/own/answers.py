"""What a model that was trained elsewhere answers on real images: stable answers, and logits."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbray.architectures.outputs import Adapted
from dbray.datasets import Dataset
from dbray.errors import UserError, reason

IMAGES = 32  # test images that a model is tried on
# Sums in another order differ by far less, other answers by far more: shares of the largest one.
ROUNDING = {torch.float16: 2e-2, torch.bfloat16: 1e-1}
USUAL_ROUNDING = 1e-3
ONE = 2e-2  # how far a sum of probabilities, rounded in half precision, may be from 1


def answers_on(about: str, model: Adapted, dataset: Dataset, *, allow_unstable: bool) -> Tensor:
    """A model's answers on some test images, which do not depend on what else is in the batch.

    Raises
    ------
    UserError
        If it fails on them, or answers otherwise when it is asked again or in another batch.
    """
    inputs = torch.from_numpy(dataset.normalise(dataset.test_images[_chosen(dataset)]))
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        found, again = _ask(about, model, inputs), _ask(about, model, inputs)
        if not torch.isfinite(found).all():
            raise UserError(f"{about}: its output is not finite on a test image")
        if not allow_unstable:
            _check_stable(about, model, inputs, found, again)
    return found


def are_probabilities(about: str, answers: Tensor, *, said: bool | None) -> bool:
    """Whether a model answers probabilities: rows of at least 0 that sum to 1.

    Parameters
    ----------
    answers
        On test images, (n, C), or (n, 1) for the second one of two classes.
    said
        What the list of models says, if it says it.

    Raises
    ------
    UserError
        If it cannot be told, or the list says what is not so.
    """
    shares = bool(((answers >= 0) & (answers <= 1 + ONE)).all())
    one_unit = answers.shape[1] == 1
    sums = answers.double().sum(dim=1)
    sum_to_one = shares and (one_unit or bool(((sums - 1).abs() < ONE).all()))
    if said and not sum_to_one:
        raise UserError(
            f"{about}: its outputs are no probabilities, as the list says: on test images they "
            "are not all of at least 0 with a sum of 1"
        )
    if said is not None:
        return said
    if shares and (one_unit or not sum_to_one) and _as_after_a_sigmoid(answers):
        raise UserError(
            f"{about}: all its outputs on test images lie between 0 and 1, as after a sigmoid; "
            "return the logits, or say in the list of models what they are: probabilities = "
            f"{'true or ' if one_unit else ''}false"
        )
    return sum_to_one and not one_unit


def _as_after_a_sigmoid(answers: Tensor) -> bool:
    """Whether numbers from 0 to 1 may be that: networks that end in a ReLU give such, too."""
    return bool((answers > 0).all()) and bool(answers.max() > 0.5)


def _chosen(dataset: Dataset) -> NDArray[np.int64]:
    """Test images that are spread over all of them, each once."""
    last = len(dataset.test_labels) - 1
    return np.unique(np.linspace(0, last, IMAGES).round().astype(np.int64))


def _ask(about: str, model: Adapted, inputs: Tensor) -> Tensor:
    try:
        return model.eval().answers(inputs)
    except UserError as error:
        raise UserError(f"{about}: {error}") from error
    except Exception as error:
        count = len(inputs)
        raise UserError(f"{about}: fails on {count} test images: {reason(error)}") from error


def _check_stable(about: str, model: Adapted, inputs: Tensor, found: Tensor, again: Tensor) -> None:
    halves = [inputs[start::2] for start in (0, 1) if len(inputs) > start]
    apart = torch.empty_like(found)
    for start, half in enumerate(halves):
        apart[start::2] = _ask(about, model, half)
    precision = next((p.dtype for p in model.parameters() if p.dtype in ROUNDING), None)
    most = found.abs().max() * (ROUNDING[precision] if precision else USUAL_ROUNDING)
    allow = "--allow-unstable scores it nevertheless"
    if (found - again).abs().max() > most:
        raise UserError(
            f"{about}: answers otherwise when the same images come again (dropout that stays on?); "
            f"{allow}"
        )
    if (found - apart).abs().max() > most:
        raise UserError(
            f"{about}: answers otherwise when the same images come in another batch (batch norm "
            f"without running statistics?); {allow}"
        )
    alone = _ask(about, model, inputs[:1])
    if (found[:1] - alone).abs().max() > most:
        raise UserError(f"{about}: answers otherwise when an image comes alone; {allow}")
