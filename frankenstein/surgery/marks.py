"""What a network is besides its inputs: how it is told that it was edited, or what it reads."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from frankenstein.surgery.modules import paths, unwrapped
from frankenstein.surgery.reads import (
    ClassReads,
    Place,
    own_settings,
    parts,
    plain_settings,
    read_by,
    registered,
)


class Marks(NamedTuple):
    """What is another one after a network was edited."""

    modules: list[Any]  # by path
    tensors: list[Any]  # parameters and buffers
    hooks: list[int]  # their keys, which are never given twice
    settings: list[Any]  # flags, numbers, words and functions that its code reads


def marks_of(network: nn.Module) -> Marks:
    """The marks of a network as it is now; the same value as long as nothing was edited.

    Tensors that are neither parameters nor buffers are none: many networks keep their last ones.
    """
    known = _KNOWN.get(network)
    if known is None or not known.holds(network):
        known = _KNOWN[network] = _Known(network, known)
    return known.marks


class _Known:
    """The marks of a network, and how it is told at a glance that they are what they were."""

    def __init__(self, network: nn.Module, before: "_Known | None") -> None:
        modules = paths(network)
        kept = before.classes if before is not None and before.classes.holds(modules) else None
        self.classes: ClassReads = kept or ClassReads(modules)
        self.marks = Marks([], [], [], [own_settings(modules), self.classes.marks])
        for path, module in modules.items():
            self.marks.modules.append((path, id(module)))
            self.marks.hooks.extend((*module._forward_pre_hooks, *module._forward_hooks))
            tensors = ((name, x) for name, x in registered(module) if x is not None)
            self.marks.tensors.extend((name, id(x), x.device, x.dtype) for name, x in tensors)
        # The network itself is not held: it goes when its user lets it go.
        self.parts = [*network.modules()][1:]
        self.plain = {one: plain_settings(one) for one in self.parts}
        self.of_the_network = plain_settings(network)
        self.others = {
            path: module if path else None
            for path, module in modules.items()
            if (self.plain.get(module) if path else self.of_the_network) is None
        }
        self.state = self._now(network)

    def holds(self, network: nn.Module) -> bool:
        """Whether a look at the network finds the very objects of before."""
        (objects, *values), (before, *known) = self._now(network), self.state
        same = len(objects) == len(before) and all(map(operator.is_, objects, before))
        return same and values == known and self.classes.holds()

    def _now(self, network: nn.Module) -> tuple[list[Any], ...]:
        """Objects that are told by their identity, what tensors are, and all other settings."""
        objects: list[Any] = []
        counts: list[int] = []
        tensors: list[Tensor | None] = []
        for module, names in ((network, self.of_the_network), *self.plain.items()):
            parameters, buffers = module._parameters, module._buffers
            tensors += parameters.values()
            tensors += buffers.values()
            objects += parameters.keys()
            objects += buffers.keys()
            objects += module._modules.keys()
            objects += module._modules.values()
            objects += module._forward_pre_hooks
            objects += module._forward_hooks
            if names is not None:
                own = vars(module)
                counts.append(len(own))
                for name in names:
                    one = own.get(name, own)
                    objects += (list, *one) if type(one) is list else (one,)
        objects += tensors
        kinds = [(x.dtype, x.device) for x in tensors if x is not None]
        others = {path: network if one is None else one for path, one in self.others.items()}
        return objects, [counts, kinds], own_settings(others)


_KNOWN: WeakKeyDictionary[nn.Module, _Known] = WeakKeyDictionary()


def places_of(network: nn.Module, tensors: Iterable[Tensor]) -> dict[Place, Tensor]:
    """Where a network, or what its code reads, has these tensors."""
    wanted = {id(x) for x in tensors}
    if not wanted:
        return {}
    modules = paths(network)
    found = {place: one for place, one in read_by(modules) if id(one) in wanted}
    for path, module in modules.items():
        found |= {(path, name): x for name, x in registered(module) if id(x) in wanted}
    return found


Link = tuple[dict[str, Any], str, Any]  # a module's own dictionary, a name, and what it holds


def links_of(network: nn.Module, places: Mapping[Place, Tensor | nn.Module]) -> list[Link] | None:
    """All that leads from a network to these places, each link once.

    As long as every link holds, nothing was replaced: that is asked at each call of a half. None if
    something other than modules leads to a place, such as what is around a function.
    """
    links: dict[tuple[int, str], Link] = {}
    for (path, *keys), x in places.items():
        now = network
        for name in [*filter(None, path.split("."))]:
            around, now = now, unwrapped(now)
            if around is not now or name not in now._modules:
                return None
            child = now._modules[name]
            links[id(now), name] = (now._modules, name, child)
            if child is None:
                return None
            now = child
        held: dict[str, Any] | None = None
        if keys:
            holders = (now._buffers, now._parameters, vars(now))
            held = next((one for one in holders if keys[0] in one), None)
            if len(keys) > 1 or held is None:
                return None
            links[id(held), keys[0]] = (held, keys[0], held[keys[0]])
        if (held[keys[0]] if keys and held else now) is not x:
            return None
    return list(links.values())


def unbroken(links: Iterable[Link]) -> bool:
    """Whether every link leads to what it led to."""
    return all(held.get(name) is one for held, name, one in links)


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
    return dict(parts(value)).get(key)


def _same(now: Any, x: Any) -> bool:
    kinds = [(one.shape, one.dtype, one.device) for one in (now, x) if isinstance(one, Tensor)]
    return len(kinds) == 2 and kinds[0] == kinds[1] and torch.equal(now, x)
