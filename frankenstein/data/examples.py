"""Inputs that are several tensors: the arguments of a network, by name or by place."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.errors import DataError

Key = str | int  # the name of an argument, or its place


class Examples:
    """Tensors with a row for each example, called by name or by place; handled as one tensor is."""

    def __init__(self, parts: Mapping[Key, Tensor]) -> None:
        self.parts = dict(parts)

    @property
    def args(self) -> tuple[Tensor, ...]:
        """Those that are called by place."""
        return tuple(x for key, x in self.parts.items() if isinstance(key, int))

    @property
    def kwargs(self) -> dict[str, Tensor]:
        """Those that are called by name."""
        return {key: x for key, x in self.parts.items() if isinstance(key, str)}

    @property
    def first(self) -> Tensor:
        """One of them, such as to see on what device they lie."""
        return next(iter(self.parts.values()))

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.first.device

    @property
    def shape(self) -> dict[Key, tuple[int, ...]]:
        """Of each."""
        return {key: tuple(x.shape) for key, x in self.parts.items()}

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: Tensor | slice) -> "Examples":
        return self.map(lambda x: x[rows])

    def index_select(self, axis: int, rows: Tensor) -> "Examples":
        """As of a tensor."""
        return self.map(lambda x: x.index_select(axis, rows))

    def to(self, *args: Any, **kwargs: Any) -> "Examples":
        """As of a tensor; ids stay whole numbers, whatever precision is asked for."""
        others = [one for one in args if not isinstance(one, torch.dtype)]
        return self.map(lambda x: x.to(*(args if x.is_floating_point() else others), **kwargs))

    def split(self, size: int) -> list["Examples"]:
        """As of a tensor."""
        return [self[start : start + size] for start in range(0, len(self), size)]

    def numel(self) -> int:
        """Numbers in all of them."""
        return sum(x.numel() for x in self.parts.values())

    def map(self, change: Callable[[Tensor], Tensor]) -> "Examples":
        """The same with other tensors."""
        return Examples({key: change(x) for key, x in self.parts.items()})


Inputs = Tensor | Examples


def as_inputs(value: Any) -> Inputs:
    """Inputs as people write them: a tensor, a tuple by place, or a dict by name."""
    if isinstance(value, Mapping):
        return Examples(value)
    return Examples(dict(enumerate(value))) if isinstance(value, list | tuple) else value


def joined(parts: Sequence[Any]) -> Any:
    """Inputs one behind another.

    Raises:
        DataError: if those of one batch are of another shape than those of another.
    """
    if len(parts) == 1:
        return parts[0]
    try:
        if isinstance(parts[0], Examples):
            keys = parts[0].parts
            return Examples({key: joined([one.parts[key] for one in parts]) for key in keys})
        return torch.cat([*parts])
    except (RuntimeError, KeyError, DataError):
        shapes = [one.shape if isinstance(one, Examples) else tuple(one.shape) for one in parts]
        other = next(one for one in shapes if one != shapes[0])
        raise DataError(
            f"batches have other shapes, {shapes[0]} and {other}: make all of one, such as by "
            "padding; if these are inputs and labels of one batch, give it in a list"
        ) from None


def called(network: Callable[..., Any], inputs: Any) -> Any:
    """What a network makes of inputs, one tensor or several."""
    if isinstance(inputs, Examples) and not isinstance(network, Calling):
        return network(*inputs.args, **inputs.kwargs)
    return network(inputs)


class Arguments(nn.Module):
    """From all tensors of a batch to those that one network takes; it has no weights."""

    def __init__(self, keys: Iterable[Key], main: bool = False) -> None:
        super().__init__()
        self.keys, self.main = tuple(keys), main

    def forward(self, inputs: Examples) -> Inputs:
        """Of the chosen ones; the tensor itself if it is the only one and goes by place."""
        if self.main:
            return inputs.parts[self.keys[0]]
        return Examples({key: inputs.parts[key] for key in self.keys})


class Calling(nn.Module):
    """A network or a part of one behind the look that it has at a batch of several tensors."""

    def __init__(self, look: nn.Module, part: nn.Module) -> None:
        super().__init__()
        self.look, self.part = look, part

    def forward(self, inputs: Examples) -> Any:
        """What the part makes of its arguments."""
        return called(self.part, self.look(inputs))


def signature_of(network: nn.Module) -> inspect.Signature:
    """What a network's forward takes, also where a decorator of the user's hides its names."""
    found = inspect.signature(network.forward)
    forward = getattr(network.forward, "__func__", network.forward)
    cells = [cell.cell_contents for cell in getattr(forward, "__closure__", None) or ()]
    inner = [one for one in cells if inspect.isfunction(one)]
    kinds = [one.kind for one in found.parameters.values()]
    if (
        kinds == [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]
        and len(inner) == 1
    ):
        return inspect.signature(inner[0].__get__(network))
    return found
