"""Initial weights as the paper's networks have them, where the libraries' own are others."""

from torch import nn


def by_torch_defaults(model: nn.Module) -> None:
    """Draw every layer anew, by PyTorch's default for layers of its kind."""
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None)
        if reset:
            reset()


def by_fan_out(model: nn.Module) -> None:
    """Draw convolutions by Kaiming's rule for what leaves them; linear layers get no offset."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
