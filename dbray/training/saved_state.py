"""Nested containers of tensors and plain values as one safetensors file: a pickle that is safe."""

import json
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

STRUCTURE = "structure"  # key of the file's metadata
MARKS = {"list": list, "tuple": tuple}


def pack(tree: Any) -> bytes:  # noqa: ANN401 - any nesting of containers
    """Bytes of nested dicts, lists and tuples of tensors, numbers, strings, booleans and None.

    Raises
    ------
    TypeError
        If something else is in it.
    """
    tensors: dict[str, Tensor] = {}
    structure = json.dumps(_describe(tree, tensors))
    return save(tensors, metadata={STRUCTURE: structure})


def unpack(data: bytes) -> Any:  # noqa: ANN401
    """Inverse of ``pack``; tensors are on the CPU.

    Raises
    ------
    ValueError
        If the bytes are not what ``pack`` makes, or only a part of it.
    """
    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        return _rebuild(json.loads(header["__metadata__"][STRUCTURE]), load(data))
    except Exception as error:  # safetensors raises an exception of its own
        raise ValueError("not a tree of tensors") from error


def _describe(tree: Any, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401
    if isinstance(tree, Tensor):
        name = str(len(tensors))
        tensors[name] = tree.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(tree, dict):  # keys may be numbers, which JSON's are not
        pairs = [[key, _describe(value, tensors)] for key, value in tree.items()]
        return {"dict": pairs}
    if isinstance(tree, (list, tuple)):
        items = [_describe(item, tensors) for item in tree]
        return {type(tree).__name__: items}
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(f"a {type(tree).__name__} cannot be stored")


def _rebuild(structure: Any, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401
    if not isinstance(structure, dict):
        return structure
    (mark, content), *_ = structure.items()
    if mark == "tensor":
        return tensors[content]
    if mark == "dict":
        return {key: _rebuild(value, tensors) for key, value in content}
    return MARKS[mark](_rebuild(item, tensors) for item in content)
