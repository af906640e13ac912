"""What a network's code reads besides its inputs, found without running it.

Code reads attributes of modules and of their classes, variables of its file, and what is around a
function that was made inside of another. What hooks read is among it.
"""

import dis
import operator
from collections import deque
from collections.abc import Iterator, Mapping
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
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Place = tuple[Any, ...]  # the keys that lead from a network to what it holds


def registered(module: nn.Module) -> list[tuple[str, Any]]:
    """The parameters and buffers of a module itself, by name; None among them."""
    return [*module._parameters.items(), *module._buffers.items()]


def own_settings(modules: Mapping[str, nn.Module]) -> list[Any]:
    """All that modules and their hooks hold for their code, each as what can be compared."""
    return [(place, _mark(one)) for place, one in _own(modules, {})]


def is_plain(value: Any) -> bool:
    """Whether a value is told by what it is: a number or word, or a few of them."""
    kind = type(value)
    return kind in _EXACT or (kind in (tuple, list) and _EXACT.issuperset(map(type, value)))


def plain_settings(module: nn.Module) -> list[str] | None:
    """The names of what a module holds for its code, if all of it is plain; else None."""
    names = [name for name in vars(module) if name not in _MODULE]
    hooked = module._forward_pre_hooks or module._forward_hooks
    return None if hooked or not all(is_plain(vars(module)[name]) for name in names) else names


def read_by(modules: Mapping[str, nn.Module]) -> Iterator[tuple[Place, Any]]:
    """All single things that a network's code reads, with functions; weights and buffers aside."""
    seen: dict[int, Any] = {}
    yield from _own(modules, seen)
    yield from _of_classes(_classes(modules), seen)


def _own(modules: Mapping[str, nn.Module], seen: dict[int, Any]) -> Iterator[tuple[Place, Any]]:
    """What the modules themselves and their hooks hold."""
    for path, module in modules.items():
        for key, one in vars(module).items():
            if key in _MODULE:
                continue
            kind = type(one)
            if kind in _EXACT or (kind is tuple and _EXACT.issuperset(map(type, one))):
                yield (path, key), one  # most are, such as the stride of a convolution
            else:
                yield from _visit((path, key), one, seen)
        for number, hook in (*module._forward_pre_hooks.items(), *module._forward_hooks.items()):
            yield from _visit((path, number), hook, seen)


def _of_classes(classes: Mapping[type, str], seen: dict[int, Any]) -> Iterator[tuple[Place, Any]]:
    for kind, path in classes.items():
        for name, one in vars(kind).items():
            yield from _visit((path, kind, name), one, seen)


def _visit(place: Place, value: Any, seen: dict[int, Any]) -> Iterator[tuple[Place, Any]]:
    """The single things in a value; `seen` gets what they are in, by id."""
    single = isinstance(value, _SINGLE) or id(value) in seen
    inner = [] if single else list(parts(value))
    if not inner or isinstance(value, FunctionType):
        yield place, value
    if inner:
        seen[id(value)] = value
    for key, one in inner:
        yield from _visit((*place, key), one, seen)


class ClassReads:
    """What the code of a network's classes reads, and how it is told that none of it was edited."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self.classes = _classes(modules)
        seen: dict[int, Any] = {}
        found = list(_of_classes(self.classes, seen))
        self.marks = [(place, _mark(one)) for place, one in found]
        self.functions = {one: None for _, one in found if isinstance(one, FunctionType)}
        self.held = [one for one in seen.values() if not isinstance(one, FunctionType)]
        self.variables: dict[int, tuple[dict[str, Any], set[str]]] = {}  # by file
        for one in self.functions:
            file = self.variables.setdefault(id(one.__globals__), (one.__globals__, set()))
            file[1].update(_names(one.__code__))
        # An array is the same one when it was written into.
        self.tells = not any(isinstance(one, np.ndarray) for _, one in found)
        self.state = self._now()

    def holds(self, modules: Mapping[str, nn.Module] | None = None) -> bool:
        """Whether all of it is as it was, and if modules are given, whether it is theirs."""
        if modules is not None and _classes(modules) != self.classes:
            return False
        now = self._now() if self.tells else []
        return len(now) == len(self.state) and all(map(operator.is_, now, self.state))

    def _now(self) -> list[Any]:
        now: list[Any] = []
        for value in (*map(vars, self.classes), *self.held):
            now += value if isinstance(value, dict | MappingProxyType) else ()
            now += [one for _, one in parts(value)]
        for function in self.functions:
            now.append(function.__code__)
            now += [cell.cell_contents for cell in function.__closure__ or () if cell != _EMPTY]
        for variables, names in self.variables.values():
            now += map(variables.get, names)
        return now


def _classes(modules: Mapping[str, nn.Module]) -> dict[type, str]:
    """The classes that are a user's, or of a library of networks, with a module that has them."""
    kinds: dict[type, str] = {}
    for path, module in modules.items():
        for kind in type(module).__mro__:
            if kind.__module__.partition(".")[0] not in _LIBRARIES:
                kinds.setdefault(kind, path)
    return kinds


def parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """What a container, an object, a function or a module holds or reads, by name."""
    match value:
        case Tensor() | np.ndarray() | np.generic() | type() | ModuleType() | Enum():
            return
        case nn.Module():
            yield from registered(value)
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
    """The variables of its file, or of Python, that code reads."""
    steps = dis.get_instructions(code)
    own = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return own.union(*map(_names, inner))


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
