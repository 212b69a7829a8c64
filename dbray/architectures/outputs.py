"""The logits in what a model returns: a tensor, a tuple, a dict, an object with fields."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dbray.architectures.reading import Reading
from dbray.errors import UserError, one_line

# Where an answer of several parts keeps its logits, the first that is there.
NAMES = ("logits", "output", "outputs", "out", "pred", "preds", "prediction", "predictions")


class Adapted(nn.Module):
    """A model that is given its own inputs and whose answer is read as logits.

    Its state dict is the inner model's: weights are stored and loaded under the model's own names.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, model: nn.Module, classes: int, reading: Reading | None = None) -> None:
        super().__init__()
        self.model = model
        self.classes = classes
        self.reading = reading or Reading()
        affine = [torch.tensor(v).view(-1, 1, 1) for v in (self.reading.scale, self.reading.shift)]
        self.register_buffer("scale", affine[0], persistent=False)
        self.register_buffer("shift", affine[1], persistent=False)

    def answers(self, inputs: Tensor) -> Tensor:
        """The part of the model's answer that is read, as it is: (B, C), or (B, 1) of two."""
        if self.reading.scale:
            inputs = inputs * self.scale + self.shift
        answer = self.model(inputs)
        return as_rows(
            logits_of(answer, self.reading.output, (len(inputs), self.classes)),
            len(inputs),
            self.classes,
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, (B, C)."""
        answers = self.answers(inputs)
        two = answers.shape[1] != self.classes
        if not self.reading.probabilities:
            return torch.cat([torch.zeros_like(answers), answers], dim=1) if two else answers
        shares = torch.cat([1 - answers, answers], dim=1) if two else answers
        # A share that was rounded to zero is a small one, not the impossible.
        return shares.clamp_min(torch.finfo(shares.dtype).tiny).log()

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as torch has it
        """The inner model's."""
        return self.model.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as torch has it
        """Into the inner model."""
        return self.model.load_state_dict(*args, **kwargs)


def logits_of(answer: Any, which: str = "", shape: tuple[int, int] | None = None) -> Tensor:  # noqa: ANN401 - whatever a model returns
    """The logits in a model's answer.

    A tensor is the logits. Of a dict or an object with fields they are the first field of
    ``NAMES``; of a tuple or list the first tensor of the shape that logits have.

    Parameters
    ----------
    which
        The field's name, or its place in a tuple, where the rule is not to decide.
    shape
        Of the logits: (images, classes). Without it, any matrix may be logits.

    Raises
    ------
    UserError
        If the answer has no such part.
    """
    if isinstance(answer, Tensor):
        if which:
            raise UserError(f"has no output {which!r}: it returns one tensor")
        return answer
    parts = _parts(answer)
    found = parts.get(which) if which else _usual(parts, shape)
    if isinstance(found, Tensor):
        return found
    there = one_line(", ".join(f"{name} ({_form(part)})" for name, part in parts.items()))
    what = f"{type(answer).__name__} of {there}" if parts else type(answer).__name__
    if which:
        raise UserError(f"has no output {which!r} that is a tensor; it returns a {what}")
    raise UserError(
        f"returns a {what}, of which none is known to be the logits; return the logits alone, or "
        "name them in the list of models by output = NAME"
    )


def as_rows(logits: Tensor, images: int, classes: int) -> Tensor:
    """Logits as a float matrix of a row an image; of two classes, one unit is enough.

    Raises
    ------
    UserError
        If they are not of that shape, or no real numbers.
    """
    if not logits.is_floating_point():
        raise UserError(f"gives {_dtype(logits)} where logits are floats")
    if classes == 2 and logits.numel() == images:
        logits = logits.reshape(images, 1)
    elif tuple(logits.shape) != (images, classes):
        told = f"gives logits of shape {tuple(logits.shape)} for {_count(images)}; "
        raise UserError(f"{told}{(images, classes)} was expected{_too_many(logits, classes)}")
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _parts(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a model returns
    """The answer's parts, by name and, where they have an order, also by place."""
    if isinstance(answer, Mapping):
        return {str(name): part for name, part in answer.items()}
    if isinstance(answer, tuple | list):
        named = dict(zip(getattr(answer, "_fields", ()), answer, strict=False))
        return {**named, **{str(place): part for place, part in enumerate(answer)}}
    try:
        return dict(vars(answer))
    except TypeError:  # has no fields
        return {}


def _usual(parts: Mapping[str, Any], shape: tuple[int, int] | None) -> Tensor | None:
    tensors = {name: part for name, part in parts.items() if isinstance(part, Tensor)}
    for name in NAMES:
        if name in tensors:
            return tensors[name]
    in_order = [tensors[name] for name in sorted(filter(str.isdecimal, tensors), key=int)]
    if in_order:
        return next((part for part in in_order if _has(part, shape)), None)
    return next(iter(tensors.values())) if len(tensors) == 1 else None


def _has(part: Tensor, shape: tuple[int, int] | None) -> bool:
    one_of_two = shape is not None and shape[1] == 2 and tuple(part.shape) == (shape[0], 1)
    return part.ndim == 2 and (shape is None or tuple(part.shape) == shape or one_of_two)


def _too_many(logits: Tensor, classes: int) -> str:
    if logits.ndim != 2 or logits.shape[1] == classes:
        return ""
    more = "more" if logits.shape[1] > classes else "fewer"
    return f": it has {more} outputs than the data set has classes"


def _form(part: Any) -> str:  # noqa: ANN401 - whatever a model returns
    return f"shape {tuple(part.shape)}" if isinstance(part, Tensor) else type(part).__name__


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _count(images: int) -> str:
    return {1: "one image", 2: "two images"}.get(images, f"{images} images")
