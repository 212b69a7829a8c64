"""Nested containers of tensors and plain values as one safetensors file: a pickle that is safe.

Tensors go to the file, and come from it, one at a time: a training's state is never held twice.
The file holds a checksum of all else that is in it, as a flipped bit gives a wrong training.
"""

import hashlib
import json
from collections.abc import Callable
from typing import IO, Any

import torch
from torch import Tensor

STRUCTURE, CHECKSUM = "structure", "sha256"  # keys of the file's metadata
PLACE = "0" * 64  # stands for the checksum until it is known
CHUNK = 2**24  # bytes that are read at a time for the checksum
LONGEST_HEADER = 2**27  # bytes
MARKS = {"list": list, "tuple": tuple}
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def save(tree: Any, sink: IO[bytes]) -> None:  # noqa: ANN401 - any nesting of containers
    """Write nested dicts, lists and tuples of tensors, numbers, strings, booleans and None.

    Parameters
    ----------
    sink
        A new file, in which one can go back.

    Raises
    ------
    TypeError
        If something else is in it.
    """
    tensors: list[Tensor] = []
    structure = json.dumps(_describe(tree, tensors))
    header = _header(structure, tensors)
    digest = hashlib.sha256(header)
    sink.write(header)
    for tensor in tensors:
        data = _bytes_of(tensor)
        digest.update(data)
        sink.write(data)
    sink.seek(header.index(PLACE.encode()))
    sink.write(digest.hexdigest().encode())


def load(source: IO[bytes]) -> Any:  # noqa: ANN401
    """Inverse of ``save``; tensors are on the CPU.

    Parameters
    ----------
    source
        A file in which one can go back.

    Raises
    ------
    ValueError
        If the file is not what ``save`` writes, or has changed since.
    """
    try:
        size = int.from_bytes(source.read(8), "little")
        text = source.read(size if size < LONGEST_HEADER else 0)
        header = json.loads(text)
        about = header.pop("__metadata__")
        _check(source, size, text, about[CHECKSUM])
        entries = [header[str(number)] for number in range(len(header))]
        tensors = [_read(source, 8 + size, entry) for entry in entries]
        return _rebuild(json.loads(about[STRUCTURE]), tensors)
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError("not a saved state, or damaged") from error
    except (AttributeError, RuntimeError) as error:  # JSON of another shape; torch, of a wrong size
        raise ValueError("not a saved state, or damaged") from error


def _header(structure: str, tensors: list[Tensor]) -> bytes:
    """Length and JSON header of the file."""
    header: dict[str, Any] = {"__metadata__": {CHECKSUM: PLACE, STRUCTURE: structure}}
    start = 0
    for number, tensor in enumerate(tensors):
        stop = start + tensor.numel() * tensor.element_size()
        about = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape)}
        header[str(number)] = {**about, "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text


def _check(source: IO[bytes], size: int, text: bytes, wanted: str) -> None:
    """ValueError if the rest of the file is not what the checksum is of."""
    known = text.replace(wanted.encode(), PLACE.encode(), 1)
    digest = hashlib.sha256(size.to_bytes(8, "little") + known)
    while part := source.read(CHUNK):
        digest.update(part)
    if digest.hexdigest() != wanted:
        raise ValueError


def _read(source: IO[bytes], begin: int, entry: dict[str, Any]) -> Tensor:
    start, stop = entry["data_offsets"]
    source.seek(begin + start)
    data = bytearray(source.read(stop - start))
    dtype = DTYPES[entry["dtype"]]
    if not data:
        return torch.empty(entry["shape"], dtype=dtype)
    return torch.frombuffer(data, dtype=dtype).reshape(entry["shape"])


def _bytes_of(tensor: Tensor) -> memoryview:
    """A tensor's numbers in C order."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data if len(flat) else memoryview(b"")


def _describe(tree: Any, tensors: list[Tensor]) -> Any:  # noqa: ANN401
    if isinstance(tree, Tensor):
        if tree.dtype not in NAMES:
            raise TypeError(f"a tensor of {tree.dtype} cannot be stored")
        tensors.append(tree)
        return {"tensor": len(tensors) - 1}
    if isinstance(tree, dict):  # keys may be numbers, which JSON's are not
        pairs = [[key, _describe(value, tensors)] for key, value in tree.items()]
        return {"dict": pairs}
    if isinstance(tree, (list, tuple)):
        items = [_describe(item, tensors) for item in tree]
        return {type(tree).__name__: items}
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(f"a {type(tree).__name__} cannot be stored")


def _rebuild(structure: Any, tensors: list[Tensor]) -> Any:  # noqa: ANN401
    if not isinstance(structure, dict):
        return structure
    (mark, content), *_ = structure.items()
    if mark == "tensor":
        return tensors[content]
    if mark == "dict":
        return {key: _rebuild(value, tensors) for key, value in content}
    container: Callable[..., Any] = MARKS[mark]
    return container(_rebuild(item, tensors) for item in content)
