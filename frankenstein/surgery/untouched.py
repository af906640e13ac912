"""A network while it is looked at, which afterwards is as it was."""

import functools
import gc
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ReferenceType

import torch
from torch import Tensor, nn


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, and afterwards the mode that each module had."""
    modes = {module: module.training for module in network.modules()}
    try:
        # The flags themselves, since a network may have a train() of its own.
        for module in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def untouched(network: nn.Module) -> Iterator[list[Any]]:
    """Evaluation mode inside; afterwards modes, attributes, buffers and random numbers as before.

    Some networks keep what they compute, such as their last attention or a bias for the next call.
    What they had changed is in the list afterwards.
    """
    changed: list[Any] = []
    seen: set[int] = set()
    attributes = [(vars(module), _saved(vars(module), seen)) for module in network.modules()]
    plain = [x for module in network.modules() for x in vars(module).values()]
    tensors = [x for x in plain if type(x) is Tensor and not x.is_inference()]
    tensors += network.buffers()
    kept = [(x, x._version, x.requires_grad, x.detach().clone()) for x in tensors]
    weights = [(weight, weight.data) for weight in network.parameters()]
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices), evaluating(network):
            yield changed
    finally:
        for value, saved in attributes:
            _restore(value, saved, changed)
        for weight, data in weights:  # some networks put another tensor in the place of their own
            if weight.device != data.device or weight.data_ptr() != data.data_ptr():
                weight.data = data
                changed.append(weight)
        with torch.no_grad():
            for tensor, version, carried, content in kept:
                if tensor._version == version:
                    continue
                if tensor.requires_grad and not carried:
                    tensor.detach_()
                tensor.copy_(content)
                changed.append(tensor)


def forget(tensors: list[ReferenceType[Tensor]]) -> None:
    """Take these tensors out of what keeps them outside of a network, if anything does.

    What functools.lru_cache, a class or a file of code remembers would give a tensor without data
    from then on; it is made anew when it is asked for.
    """
    if all(tensor() is None for tensor in tensors):
        return
    gc.collect()
    left = {id(tensor()) for tensor in tensors if tensor() is not None}
    for owner in gc.get_objects() if left else ():
        if type(owner) is _CACHE:
            held = gc.get_referents(owner)
            inside = [one for value in held if isinstance(value, tuple | list) for one in value]
            if not left.isdisjoint(map(id, held + inside)):
                owner.cache_clear()
        elif type(owner) is dict:
            for key in [key for key, one in owner.items() if id(one) in left]:
                del owner[key]


_CONTAINERS = (dict, list, set, deque)
_EMPTY = CellType()
_CACHE = type(functools.lru_cache(lambda: None))


def _saved(value: Any, seen: set[int]) -> Any:
    """What a container, an object or a hook holds, with what its own hold; None for all else."""
    held = None if id(value) in seen else _held(value)
    if held is None:
        return None
    seen.add(id(value))
    return [(key, one, _saved(one, seen)) for key, one in held]


def _held(value: Any) -> list[tuple[Any, Any]] | None:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list | tuple | deque):
        return list(enumerate(value))
    if isinstance(value, set):
        return [(None, one) for one in value]
    if isinstance(value, FunctionType):  # a hook: what is around it, and containers of its file
        cells = enumerate(value.__closure__ or ())
        names = {name: value.__globals__.get(name) for name in value.__code__.co_names}
        kept = [(name, one) for name, one in names.items() if type(one) in _CONTAINERS]
        return [(i, cell.cell_contents) for i, cell in cells if cell != _EMPTY] + kept
    if isinstance(value, MethodType):
        return [(None, value.__self__)]
    if isinstance(value, functools.partial):
        return list(enumerate(value.args)) + list(value.keywords.items())
    alone = Tensor, nn.Module, type, ModuleType
    if isinstance(value, alone) or not hasattr(value, "__dict__"):
        return None
    return list(vars(value).items())


def _restore(value: Any, saved: Any, changed: list[Any]) -> None:
    if saved is None:
        return
    for _, one, held in saved:
        _restore(one, held, changed)
    now = _held(value) or []
    if len(now) == len(saved) and all(
        a == b and x is y for (a, x), (b, y, _) in zip(now, saved, strict=True)
    ):
        return
    changed.append(value)
    values = [one for _, one, _ in saved]
    if isinstance(value, dict):
        value.clear()
        value.update((key, one) for key, one, _ in saved)
    elif isinstance(value, list | deque):
        value.clear()
        value.extend(values)
    elif isinstance(value, set):
        value.clear()
        value.update(values)
    elif isinstance(value, FunctionType):
        for i, one, _ in saved:
            if isinstance(i, int):
                value.__closure__[i].cell_contents = one  # type: ignore[index]
    elif not isinstance(value, tuple | MethodType | functools.partial):
        vars(value).clear()
        vars(value).update((key, one) for key, one, _ in saved)
