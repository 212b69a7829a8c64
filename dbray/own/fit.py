"""Weights into a model: as torch's strict load does it, but that nothing is cast in silence."""

from collections.abc import Iterator, Mapping
from itertools import combinations

import torch
from torch import Tensor, nn

from dbray.errors import UserError, one_line

# What wrappers of a model put before its names, and those of a model's parts within the names.
PREFIXES = ("_orig_mod.", "module.", "model.")
WITHIN = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
MOST_PREFIXES = 8
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def load_strictly(
    about: str, model: nn.Module, weights: Mapping[str, Tensor], *, tied: bool
) -> None:
    """Load weights into a model, every tensor of both.

    Names are taken as they are if they fit; else without prefixes that wrappers put before all of
    them, in any order. Counters of batches, which old checkpoints lack, may be missing.

    Parameters
    ----------
    about
        What the message of an error begins with.
    tied
        Whether of tensors that are one in the model a single one is enough, as in safetensors.

    Raises
    ------
    UserError
        If names, shapes or kinds of numbers are not the model's, or a value is not finite.
    """
    own = dict(model.state_dict())
    _check_are_tensors(about, own)
    twins = _twins(own) if tied else {}
    named = min(_namings(weights), key=lambda each: len(_amiss(each, own, twins)))
    allowed = {name: ~torch.isfinite(t) for name, t in own.items() if not _is_finite(t)}
    if _amiss(named, own, twins):
        _load_by_older_names(about, model, weights, named)
        _check_kinds(about, own, weights)
    else:
        named = {**_excused(own, named, twins), **named}
        _check_kinds(about, own, named)
        _load(about, model, named)
    _check_values(about, dict(model.state_dict()), named, allowed)


def misfit(model: nn.Module, weights: Mapping[str, Tensor], *, tied: bool) -> int:
    """How many tensors only one of a model and weights has, by the naming that fits best."""
    own = dict(model.state_dict())
    twins = _twins(own) if tied else {}
    return min(len(_amiss(each, own, twins)) for each in _namings(weights))


def _namings(weights: Mapping[str, Tensor]) -> Iterator[Mapping[str, Tensor]]:
    """The weights as they are named, then with fewer and fewer of the wrappers' parts of names."""
    bare = {_without(name, WITHIN): tensor for name, tensor in weights.items()}
    for base in (weights, bare):
        prefixes, rest = _common_prefixes(base)
        for keep in range(len(prefixes), -1, -1):
            for kept in combinations(prefixes, keep):
                if len(base) == len(weights):  # else two names have become one
                    yield {"".join(kept) + name: tensor for name, tensor in rest.items()}


def _without(name: str, parts: tuple[str, ...]) -> str:
    for part in parts:
        name = name.replace(part, "")
    return name


def _common_prefixes(weights: Mapping[str, Tensor]) -> tuple[list[str], dict[str, Tensor]]:
    found: list[str] = []
    rest = dict(weights)
    while len(found) < MOST_PREFIXES:
        common = [p for p in PREFIXES if all(name.startswith(p) for name in rest)]
        if not common:
            break
        found.append(common[0])
        rest = {name.removeprefix(common[0]): tensor for name, tensor in rest.items()}
    return found, rest


def _twins(own: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """For each name those of the same tensor, under which it may be in a file."""
    same: dict[tuple[object, ...], list[str]] = {}
    for name, tensor in own.items():
        if tensor.numel():
            place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
            same.setdefault(place, []).append(name)
    return {name: names for names in same.values() if len(names) > 1 for name in names}


def _amiss(
    named: Mapping[str, Tensor], own: Mapping[str, Tensor], twins: Mapping[str, list[str]]
) -> set[str]:
    """Names that are in one of both only, but for those that may be missing."""
    return (named.keys() ^ own.keys()) - _excused(own, named, twins).keys()


def _excused(
    own: Mapping[str, Tensor], named: Mapping[str, Tensor], twins: Mapping[str, list[str]]
) -> dict[str, Tensor]:
    found = {}
    for name in own.keys() - named.keys():
        twin = next((other for other in twins.get(name, ()) if other in named), None)
        if twin:
            found[name] = named[twin]
        elif name.rpartition(".")[2] == "num_batches_tracked":  # torch before 0.4.1 had none
            found[name] = own[name]
    return found


def _load(about: str, model: nn.Module, named: Mapping[str, Tensor]) -> None:
    try:
        model.load_state_dict(named, strict=True)
    except Exception as error:
        raise UserError(f"{about}: {one_line(error)}") from error


def _load_by_older_names(
    about: str, model: nn.Module, weights: Mapping[str, Tensor], named: Mapping[str, Tensor]
) -> None:
    """Load weights whose names only the model's own modules may know, as torch lets them."""
    try:
        model.load_state_dict(weights, strict=True)
    except Exception:
        _refuse_names(about, model.state_dict(), named)


def _refuse_names(about: str, own: Mapping[str, Tensor], named: Mapping[str, Tensor]) -> None:
    parts = [
        f"{len(names)} tensor{'s are' if len(names) > 1 else ' is'} {what}, "
        f"{one_line(min(names))}{' first' if len(names) > 1 else ''}"
        for names, what in (
            (own.keys() - named.keys(), "missing"),
            (named.keys() - own.keys(), "unknown to it"),
        )
        if names
    ]
    raise UserError(f"{about}: {'; '.join(parts)}")


def _check_are_tensors(about: str, own: Mapping[str, object]) -> None:
    for name, value in own.items():
        if not isinstance(value, Tensor):
            raise UserError(
                f"{about}: the model keeps {one_line(name)}, which is no tensor, in its state dict"
            )


def _check_kinds(about: str, own: Mapping[str, Tensor], named: Mapping[str, Tensor]) -> None:
    for name, tensor in named.items():
        wanted = own.get(name)
        told = f"{about}: {one_line(name)} "
        form = _special_form(tensor)
        if form:
            raise UserError(f"{told}is {form}; save the weights as plain tensors")
        if wanted is None and tensor.dtype not in FLOATS and tensor.dtype != torch.int64:
            raise UserError(f"{told}holds {_dtype(tensor)}, which no layer here is known to take")
        if wanted is not None and not _same_kind(tensor, wanted):
            raise UserError(
                f"{told}holds {_dtype(tensor)}, the model's is {_dtype(wanted)}; nothing is cast "
                "between kinds of numbers"
            )
        if wanted is not None and not _same_shape(tensor, wanted):
            raise UserError(
                f"{told}has shape {tuple(tensor.shape)}, the model's is {tuple(wanted.shape)}"
            )


def _special_form(tensor: Tensor) -> str:
    if tensor.is_meta:
        return "on the device meta, without values"
    if tensor.is_quantized:
        return "quantized"
    if tensor.is_nested or tensor.layout != torch.strided:
        return "sparse or nested"
    return ""


def _same_kind(tensor: Tensor, wanted: Tensor) -> bool:
    """Whether the model's type takes the values as they are, or rounded as floats are."""
    if tensor.dtype == wanted.dtype:
        return True
    if tensor.dtype in FLOATS or wanted.dtype in FLOATS:
        return tensor.dtype in FLOATS and wanted.dtype in FLOATS
    if any(
        t.is_floating_point() or t.is_complex() or t.dtype == torch.bool for t in (tensor, wanted)
    ):
        return False
    return torch.equal(tensor.to(wanted.dtype).to(tensor.dtype), tensor)


def _same_shape(tensor: Tensor, wanted: Tensor) -> bool:
    """As torch has it: a number was an array of one before torch 0.4."""
    return tensor.shape == wanted.shape or (wanted.ndim == 0 and tuple(tensor.shape) == (1,))


def _check_values(
    about: str,
    loaded: Mapping[str, Tensor],
    named: Mapping[str, Tensor],
    allowed: Mapping[str, Tensor],
) -> None:
    for name, tensor in loaded.items():
        bad = ~torch.isfinite(tensor) & ~allowed.get(name, torch.zeros((), dtype=torch.bool))
        if bad.any():
            raise UserError(
                f"{about}: {one_line(name)} holds {int(bad.sum())} values that are not finite (NaN "
                f"or too large for {_dtype(tensor)})"
            )
        given = named.get(name)
        if given is not None and not _equal(given, tensor):
            raise UserError(
                f"{about}: the model does not keep {one_line(name)} as the file has it; is it one "
                "tensor with another, which differs in the file?"
            )


def _equal(given: Tensor, loaded: Tensor) -> bool:
    same = given.reshape(loaded.shape).to(loaded.dtype)
    return (
        torch.equal(same.nan_to_num(), loaded.nan_to_num())
        if same.is_floating_point()
        else (torch.equal(same, loaded))
    )


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
