"""What a network is besides its inputs: how it is told that it, or what its code reads, was edited.

Code reads attributes of modules and of their classes, variables of its file, and what is around a
function that was made inside of another. What hooks read is among it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import cache, partial
from types import (
    CellType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from frankenstein.surgery.modules import paths, unwrapped

Place = tuple[Any, ...]  # the keys that lead from a network to what it holds


class Marks(NamedTuple):
    """What is another one after a network was edited."""

    modules: list[Any]  # by path
    tensors: list[Any]  # parameters and buffers
    hooks: list[int]  # their keys, which are never given twice
    settings: list[Any]  # flags, numbers, words and functions that its code reads


def marks_of(network: nn.Module) -> Marks:
    """The marks of a network as it is now.

    Tensors that are neither parameters nor buffers are none: many networks keep their last ones.
    """
    modules = paths(network)
    marks = Marks([], [], [], [(place, _mark(one)) for place, one in _held(modules)])
    for path, module in modules.items():
        marks.modules.append((path, id(module)))
        marks.hooks.extend((*module._forward_pre_hooks, *module._forward_hooks))
        tensors = ((name, x) for name, x in _registered(module) if x is not None)
        marks.tensors.extend((name, id(x), x.device, x.dtype) for name, x in tensors)
    return marks


def places_of(network: nn.Module, tensors: Iterable[Tensor]) -> dict[Place, Tensor]:
    """Where a network, or what its code reads, has these tensors."""
    wanted = {id(x) for x in tensors}
    if not wanted:
        return {}
    modules = paths(network)
    found = {place: one for place, one in _held(modules) if id(one) in wanted}
    for path, module in modules.items():
        found |= {(path, name): x for name, x in _registered(module) if id(x) in wanted}
    return found


def replaced(network: nn.Module, places: Mapping[Place, Tensor | nn.Module]) -> list[str]:
    """The names of those places where other tensors or modules are now."""
    names = []
    for (path, *keys), x in places.items():
        now: Any = network
        for name in path.split(".") if path else ():
            child = now._modules.get(name)
            now = getattr(now, name, nn.Module()) if child is None else child  # inside a wrapper
        now = unwrapped(now)
        for key in keys:
            now = vars(key) if isinstance(key, type) else _at(now, key)
        if now is not x and not _same(now, x):
            words = (getattr(key, "__name__", str(key)) for key in (path, *keys))
            names.append(".".join(filter(None, words)))
    return names


def _at(value: Any, key: Any) -> Any:
    """What has that name among the parts of a value; first where most tensors are."""
    if isinstance(value, nn.Module):
        for held in (value._buffers, value._parameters, vars(value)):
            if key in held:
                return held[key]
    return dict(_parts(value)).get(key)


def _same(now: Any, x: Any) -> bool:
    kinds = [(one.shape, one.dtype, one.device) for one in (now, x) if isinstance(one, Tensor)]
    return len(kinds) == 2 and kinds[0] == kinds[1] and torch.equal(now, x)


def _registered(module: nn.Module) -> list[tuple[str, Any]]:
    return [*module._parameters.items(), *module._buffers.items()]


def _held(modules: Mapping[str, nn.Module]) -> Iterator[tuple[Place, Any]]:
    """All single things that a network's code reads, with functions; weights and buffers aside."""
    seen: set[int] = set()

    def visit(place: Place, value: Any) -> Iterator[tuple[Place, Any]]:
        single = isinstance(value, _SINGLE) or id(value) in seen
        parts = [] if single else list(_parts(value))
        if not parts or isinstance(value, FunctionType):
            yield place, value
        if parts:
            seen.add(id(value))
        for key, one in parts:
            yield from visit((*place, key), one)

    for path, module in modules.items():
        for key, one in vars(module).items():
            if key in _MODULE:
                continue
            if type(one) in _EXACT or (type(one) is tuple and _EXACT.issuperset(map(type, one))):
                yield (path, key), one  # most are, such as the stride of a convolution
            else:
                yield from visit((path, key), one)
        for number, hook in (*module._forward_pre_hooks.items(), *module._forward_hooks.items()):
            yield from visit((path, number), hook)
        for kind in _kinds(module):
            for name, one in vars(kind).items() if id(kind) not in seen else ():
                yield from visit((path, kind, name), one)
            seen.add(id(kind))


def _kinds(module: nn.Module) -> list[type]:
    """The classes of a module that are a user's, or of a library of networks."""
    kinds = type(module).__mro__
    return [kind for kind in kinds if kind.__module__.partition(".")[0] not in _LIBRARIES]


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """What a container, an object, a function or a module holds or reads, by name."""
    match value:
        case Tensor() | np.ndarray() | np.generic() | type() | ModuleType() | Enum():
            return
        case nn.Module():
            yield from _registered(value)
            yield from ((name, one) for name, one in vars(value).items() if name not in _MODULE)
            yield from value._forward_pre_hooks.items()
            yield from value._forward_hooks.items()
        case FunctionType():
            cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
            yield from ((name, cell.cell_contents) for name, cell in cells if cell != _EMPTY)
            for name in _names(value.__code__):
                one = value.__globals__.get(name)
                if _is_setting(one, value.__module__):
                    yield name, one
        case MethodType():
            yield from (("self", value.__self__), ("function", value.__func__))
        case partial():
            yield from enumerate((value.func, *value.args))
            yield from value.keywords.items()
        case property():
            yield "get", value.fget
        case staticmethod() | classmethod():
            yield "function", value.__func__
        case dict() | MappingProxyType():
            yield from ((key if isinstance(key, str) else str(key), x) for key, x in value.items())
        case list() | tuple() | deque() | set() | frozenset():
            yield from enumerate(value)
        case _:
            yield from getattr(value, "__dict__", {}).items()


@cache
def _names(code: CodeType) -> set[str]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _is_setting(value: Any, file: str) -> bool:
    """Whether code may read a setting from a variable of its file."""
    if isinstance(value, _SETTINGS):
        return True
    if isinstance(value, FunctionType):
        return value.__module__ == file
    return isinstance(value, SimpleNamespace) or type(value).__module__ == file


def _mark(value: Any) -> Any:
    """A single thing as what can be compared."""
    if type(value) in _EXACT or type(value) is tuple:
        return repr(value)
    match value:
        case Tensor() | nn.Module():
            return type(value)
        case bool() | int() | str() | bytes() | None:
            return type(value), value
        case np.ndarray():
            return id(value), value.dtype, value.shape, value.tobytes()
        case float() | complex() | np.generic() | Enum() | torch.dtype() | torch.device():
            return repr(value)
        case FunctionType():
            return id(value), value.__code__
        case type():
            return value.__module__, value.__qualname__
        case _:
            return id(value) if callable(value) else type(value)


_SINGLE = (type(None), bool, int, float, str, Tensor, nn.Module, type)
_EXACT = frozenset({type(None), bool, int, float, str})
_PLAIN = (bool, int, float, complex, str, bytes, np.generic)
_SETTINGS = (*_PLAIN, Tensor, np.ndarray, dict, list, tuple, set)
_MODULE = frozenset(vars(nn.Module()))  # what PyTorch keeps in every module
_LIBRARIES = frozenset({"torch", "builtins", "abc", "typing", "pytorch_lightning", "lightning"})
_EMPTY = CellType()
