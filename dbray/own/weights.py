"""Tensors by name from files of weights. Nothing in such a file is run."""

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from dbray.errors import UserError, one_line

# Keys that training scripts put weights under, and those of weights that are averaged over steps.
WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module"),
    *("weights", "params"),
    *("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema", "params_ema"),
)
DEEPEST = 4  # wrappers within wrappers
HEAD = 512  # bytes that tell what a file is
NOT_WEIGHTS = {
    b"<!doctype": "is a web page; download the file itself",
    b"<html": "is a web page; download the file itself",
    b"<?xml": "is an XML document; download the file itself",
    b"version https://git-lfs": "is a pointer of Git LFS; fetch the file itself by git lfs pull",
}


def read_weights(path: Path, key: str = "") -> dict[str, Tensor]:
    """Tensors of a safetensors file, or of a state dict that ``torch.save`` wrote, on the CPU.

    Parameters
    ----------
    key
        Which of several sets of weights in the file; dots reach into nested ones.

    Raises
    ------
    UserError
        If the file is not there, is neither, holds more than tensors, or several sets of which
        none is chosen.
    """
    head = _head(path)
    found = _safetensors(path) if is_safetensors(path) else _torch_file(path, head)
    if key:
        found = _at(path, found, key)
    for _ in range(DEEPEST):
        if not isinstance(found, Mapping) or _is_weights(found):
            break
        found = found[_only(path, key, found)]
    if not isinstance(found, Mapping) or not _is_weights(found):
        raise UserError(f"weights {path}: hold more than tensors by name; save model.state_dict()")
    return {str(name): tensor.detach() for name, tensor in found.items()}


def is_safetensors(path: Path) -> bool:
    """Whether a file is of that format by its content, or by its name if it could be."""
    head = _head(path)
    size = int.from_bytes(head[:8], "little")
    by_content = head[8:9] == b"{" and 2 <= size <= path.stat().st_size - 8
    by_name = path.suffix == ".safetensors" and not head.startswith((b"PK", b"\x80"))
    return by_content or by_name


def _head(path: Path) -> bytes:
    """The first bytes of a regular file that may be weights."""
    try:
        if path.is_dir():
            raise UserError(f"weights {path}: is a folder; name the file of weights in it")
        if not path.exists():
            raise UserError(f"weights {path}: there is no such file")
        if not path.is_file():  # reading a pipe would wait for ever
            raise UserError(f"weights {path}: is no regular file")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        why = one_line(error.strerror or error)
        raise UserError(f"weights {path}: cannot be read: {why}") from error
    begins = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    for start, what in NOT_WEIGHTS.items():
        if begins.startswith(start):
            raise UserError(f"weights {path}: {what}")
    return head


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except Exception as error:  # also of types that torch does not have
        raise UserError(f"weights {path}: are no safetensors file: {one_line(error)}") from error


def _torch_file(path: Path, head: bytes) -> Any:  # noqa: ANN401 - whatever is in it
    if not head:
        raise UserError(f"weights {path}: are no plain state dict: the file is empty")
    try:
        # Opened here: of a path, torch goes by its suffix.
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's, about files of other kinds
            # weights_only: a pickle that would run code is refused.
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises whatever a broken file makes it raise
        raise UserError(f"weights {path}: are no plain state dict: {_why(path, error)}") from error


def _why(path: Path, error: Exception) -> str:
    """What is wrong with a file, in our words: torch's own advice is to trust it and run it."""
    text = str(error)
    if "TorchScript" in text:
        return "the file is a TorchScript program; save the state_dict() of the model it is of"
    needs = re.search(r"GLOBAL ([\w.]+)", text)
    if needs:
        return (
            f"they hold {one_line(needs[1])}, which is no tensor and would take running code; "
            f"export the weights alone where the file is from: {_export(path)}"
        )
    said = re.search(r"Unpickl\w+ error: (.*)", text)
    ours = "weights_only" not in text  # what torch advises then is not for here
    detail = one_line(said[1] if said else text if ours else type(error).__name__)
    return f"the file is damaged, not complete or of another kind ({detail})"


def _export(path: Path) -> str:
    if path.suffix == ".ckpt":  # as Lightning names them
        model = f'model = YourLightningModule.load_from_checkpoint("{one_line(path.name)}")'
    else:
        model = 'model.load_state_dict(checkpoint["state_dict"])'
    return f'{model}; torch.save(model.state_dict(), "weights.pt")'


def _at(path: Path, found: Any, key: str) -> Any:  # noqa: ANN401 - whatever is in the file
    if isinstance(found, Mapping) and _is_weights(found):
        raise UserError(f"weights {path}: hold one set of weights; leave key = {key!r} out")
    there = found
    for part in [key] if isinstance(found, Mapping) and key in found else key.split("."):
        if not isinstance(there, Mapping) or part not in there:
            names = _named(map(str, there)) if isinstance(there, Mapping) else "no names"
            raise UserError(f"weights {path}: have no {one_line(key)!r}; there is {names}")
        there = there[part]
    if not isinstance(there, Mapping) or not _choices(there, direct=True):
        raise UserError(f"weights {path}: {one_line(key)!r} holds no weights by name")
    return there


def _only(path: Path, key: str, found: Mapping[Any, Any]) -> Any:  # noqa: ANN401 - a key
    """The one entry that holds weights."""
    choices = _choices(found)
    if len(choices) == 1:
        return choices[0]
    if not choices:
        raise UserError(f"weights {path}: hold more than tensors by name; save model.state_dict()")
    before = f"{key}." if key else ""
    raise UserError(
        f"weights {path}: hold several sets of weights, {_named(map(str, choices))}; say in the "
        f'list of models which is meant, such as key = "{before}{one_line(choices[0])}"'
    )


def _choices(found: Mapping[Any, Any], *, direct: bool = False) -> list[Any]:
    """Entries that hold weights: those of usual names, or else any; itself if it does."""
    if direct and _is_weights(found):
        return [""]
    usual = [name for name in WRAPPERS if name in found and _leads_to_weights(found[name])]
    return usual or [name for name, part in found.items() if _is_weights(part)]


def _leads_to_weights(part: Any, deep: int = DEEPEST) -> bool:  # noqa: ANN401 - of any file
    if not isinstance(part, Mapping) or not deep:
        return False
    within = (part[name] for name in WRAPPERS if name in part)
    return _is_weights(part) or any(_leads_to_weights(each, deep - 1) for each in within)


def _is_weights(part: Any) -> bool:  # noqa: ANN401 - whatever is in a file
    return (
        isinstance(part, Mapping)
        and bool(part)
        and all(isinstance(n, str) and isinstance(t, Tensor) for n, t in part.items())
    )


def _named(names: Iterable[str]) -> str:
    first, *others = sorted(names) or ["nothing"]
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    return one_line(", ".join([first, *others[:5]])) + more
