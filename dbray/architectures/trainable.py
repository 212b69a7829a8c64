"""Whether a user's model can be trained: one step on two images, on a model that is thrown away."""

import torch
from torch import Tensor, nn

from dbray.architectures.own import check_logits
from dbray.errors import UserError, reason


def try_training(
    architecture: str, model: nn.Module, input_shape: tuple[int, int, int], classes: int
) -> None:
    """Take two random images forward and a gradient back; the generator stays as it is.

    Raises
    ------
    UserError
        If the model does not return logits alone, its loss is not finite, or no parameter gets a
        gradient that is.
    """
    about = f"architecture {architecture}: in training mode "
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        images = torch.randn(2, *input_shape)
        try:
            logits = model.train()(images)
        except Exception as error:  # the user's own code
            raise UserError(f"{about}it fails on two images: {reason(error)}") from error
        check_logits(architecture, logits, classes, "in training mode ")
        try:
            loss = nn.functional.cross_entropy(logits.float(), torch.arange(2) % classes)
        except Exception as error:
            raise UserError(f"{about}its logits have no loss: {reason(error)}") from error
        _check_step(about, model, loss)


def _check_step(about: str, model: nn.Module, loss: Tensor) -> None:
    if not torch.isfinite(loss):
        raise UserError(f"{about}its loss on two random images is {loss.item()}, which is no start")
    if not loss.requires_grad:
        raise UserError(f"{about}its logits depend on no parameter that can be trained")
    try:
        loss.backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise UserError(f"{about}its gradient fails: {reason(error)}") from error
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if not any(gradient.any() for gradient in gradients):
        raise UserError(f"{about}no parameter gets a gradient")
    if not all(torch.isfinite(gradient).all() for gradient in gradients):
        raise UserError(f"{about}its gradient on two random images is not finite")
