"""Values opened to what is in them: as torch's pytree does it, and objects such as dataclasses."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from frankenstein.surgery.fakes import SIZES, pytree

# Types of what holds nothing else.
PLAIN = (
    *(type(None), bool, int, float, complex, str, type(...)),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format),
)
_PLAINLY_MADE = (object.__new__, SimpleNamespace.__new__)


class _Fields:
    """An object as its class and its attributes."""

    def __init__(self, value: Any) -> None:
        self.kind, self.values = type(value), {k: _opened(one) for k, one in vars(value).items()}


def flatten(value: Any) -> tuple[list[Any], Any]:
    """The single things in a value, and its structure."""
    return pytree.tree_flatten(_opened(value))


def unflatten(pieces: Iterable[Any], structure: Any) -> Any:
    """A value of that structure, objects of the same classes among it."""
    return pytree.tree_unflatten(pieces, structure)


def pieces(value: Any) -> list[Any]:
    """The single things in a value."""
    return flatten(value)[0]


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors that a value is or holds."""
    if isinstance(value, Tensor):
        return [value]
    if type(value) in PLAIN:
        return []
    return [x for x in pieces(value) if isinstance(x, Tensor)]


def placed(value: Any) -> list[tuple[Any, Any]]:
    """The single things in a value, each behind the keys that lead to it."""
    return pytree.tree_flatten_with_path(_opened(value))[0]


def changed(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """The same value with other things in the place of its tensors."""
    found, structure = flatten(value)
    return unflatten([change(x) if isinstance(x, Tensor) else x for x in found], structure)


def principal(out: Any) -> Any:
    """Of several things that a network gives the logits or the last hidden state; else all."""
    for key in ("logits", "last_hidden_state"):
        one = out.get(key) if isinstance(out, dict) else getattr(out, key, None)
        if isinstance(one, Tensor):
            return one
    if type(out) is tuple:  # a cache is for the next call
        out = tuple(one for one in out if not type(one).__name__.endswith("Cache"))
    tensors = {id(x): x for x in tensors_in(out)}
    return next(iter(tensors.values())) if len(tensors) == 1 else out


def _opened(value: Any) -> Any:
    found, structure = pytree.tree_flatten(value)
    if not any(map(_opens, found)):
        return value
    return unflatten([_Fields(one) if _opens(one) else one for one in found], structure)


def _opens(value: Any, around: tuple[int, ...] = ()) -> bool:
    """Whether an object is its attributes and no more, with a tensor among them."""
    if isinstance(value, (Tensor, *SIZES)) or callable(value):
        return False
    if type(value).__new__ not in _PLAINLY_MADE:
        return False
    held = pytree.tree_leaves(list(getattr(value, "__dict__", {}).values()))
    around = (*around, id(value))
    if any(id(one) in around for one in held):  # it leads back to itself
        return False
    return any(isinstance(one, Tensor) or _opens(one, around) for one in held)


def _split(fields: _Fields) -> tuple[list[Any], Any]:
    return list(fields.values.values()), (fields.kind, tuple(fields.values))


def _split_with_keys(fields: _Fields) -> tuple[list[Any], Any]:
    return [(pytree.GetAttrKey(k), one) for k, one in fields.values.items()], _split(fields)[1]


def _joined(values: Iterable[Any], context: Any) -> Any:
    kind, names = context
    made = kind.__new__(kind)
    vars(made).update(zip(names, values, strict=True))  # a frozen dataclass sets nothing by itself
    return made


pytree.register_pytree_node(_Fields, _split, _joined, flatten_with_keys_fn=_split_with_keys)
