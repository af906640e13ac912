"""A network while it is looked at, which afterwards is as it was."""

import functools
import gc
from collections.abc import Iterator
from contextlib import contextmanager
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
def untouched(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards modes, attributes, buffers and random numbers as before.

    Some networks keep what they compute, such as their last attention or a bias for the next call.
    """
    seen: set[int] = set()
    attributes = [(vars(module), _saved(vars(module), seen)) for module in network.modules()]
    buffers = [(buffer, buffer._version, buffer.clone()) for buffer in network.buffers()]
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices), evaluating(network):
            yield
    finally:
        for value, saved in attributes:
            _restore(value, saved)
        with torch.no_grad():
            for buffer, version, content in buffers:
                if buffer._version != version:
                    buffer.copy_(content)


def forget(tensors: list[ReferenceType[Tensor]]) -> None:
    """Empty what functools.lru_cache keeps of these tensors, if anything does.

    A cached function that a network calls would give a tensor without data from then on.
    """
    if any(tensor() is not None for tensor in tensors):
        gc.collect()
    left = {id(tensor()) for tensor in tensors} - {id(None)}
    for cache in (one for one in gc.get_objects() if left and type(one) is _CACHE):
        held = gc.get_referents(cache)
        inside = [one for value in held if isinstance(value, tuple | list) for one in value]
        if not left.isdisjoint(map(id, held + inside)):
            cache.cache_clear()


_CACHE = type(functools.lru_cache(lambda: None))


def _saved(value: Any, seen: set[int]) -> Any:
    """What a dict, list or set holds, with what its own hold; None for all else."""
    if type(value) not in (dict, list, set) or id(value) in seen:
        return None
    seen.add(id(value))
    if type(value) is set:
        return set(value)
    items = value.items() if type(value) is dict else enumerate(value)
    return [(key, one, _saved(one, seen)) for key, one in items]


def _restore(value: Any, saved: Any) -> None:
    if type(value) is set and saved is not None:
        value.clear()
        value.update(saved)
    elif saved is not None:
        for _, one, held in saved:
            _restore(one, held)
        if type(value) is list:
            value[:] = [one for _, one, _ in saved]
        elif len(value) != len(saved) or any(value.get(k, saved) is not v for k, v, _ in saved):
            value.clear()
            value.update((key, one) for key, one, _ in saved)
