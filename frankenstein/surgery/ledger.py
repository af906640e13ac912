"""Which step each tensor comes from, and what stands for a value in the graph that is written."""

import operator
from itertools import count
from typing import Any

import torch
from torch import Tensor, fx, nn

from frankenstein.surgery.fakes import SIZES, Fakes, FakeTensor, alias, size_steps
from frankenstein.surgery.modules import put, tensor_paths
from frankenstein.surgery.pieces import PLAIN, tensors_in
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.steps import Fact, Record, detach


class Opens(BaseException):  # no Exception, which a network might catch
    """A module cannot be one step: more goes into it than its arguments and its own weights."""

    def __init__(self, *paths: str) -> None:
        super().__init__()
        self.paths = paths


class Ledger:
    """What is known of tensors and numbers while a network is recorded, by their ids."""

    def __init__(self, record: Record, fakes: Fakes, modules: dict[str, nn.Module]) -> None:
        self.record, self.graph, self.fakes = record, record.graph, fakes
        self.attributes = tensor_paths(modules)
        self.known: dict[int, fx.Node] = {}  # by id of the tensor that a step gave
        self.kept: list[Any] = []  # keeps ids from being given twice
        # The step inside of which a tensor was made, by id, or a number that was read out of one.
        self.born: dict[Any, str] = {}
        self.sizes: dict[Any, fx.Node] = {}
        self.device: torch.device | None = None  # that of the example
        self._called: set[str] = set()
        self._place: fx.Node | None = None

    def given(self, out: Any, node: fx.Node, same: set[int], detached: bool, around: str) -> Any:
        """What a step gave, each tensor of it known as a step; parts are named as `around`."""
        if isinstance(out, Tensor):
            out = alias(out) if id(out) in same else out
            self.meet(out, node)
            if detached:  # by the network's own torch.no_grad: so do its halves
                self.meet(out, detach(self.graph, node))
            return out

        def part(value: Any, key: Any) -> Any:
            if not tensors_in(value):
                return value
            item = self.graph.call_function(operator.getitem, (node, key))
            self.record.names[item] = self.new(f"{around}.getitem".lstrip("."))
            return self.given(value, item, same, detached, around)

        if isinstance(out, dict):
            return type(out)({key: part(value, key) for key, value in out.items()})
        if isinstance(out, tuple | list):
            parts = [part(value, i) for i, value in enumerate(out)]
            return type(out)(*parts) if hasattr(out, "_fields") else type(out)(parts)
        return out

    def meet(self, x: Tensor, node: fx.Node) -> None:
        """From now on this tensor is what that step gave."""
        self.known[id(x)] = node
        self.kept.append(x)
        self.record.facts[node] = Fact(self.fakes.shape(x), x.dtype)

    def new(self, name: str, module: str | None = None) -> str:
        """The name, or with the lowest number behind it that no call and no other module has."""
        new = name
        for i in count(1):
            if new not in self._called and (new == module or new not in self.record.modules):
                break
            new = f"{name}_{i}"
        self._called.add(new)
        return new

    def argument(self, value: Any) -> Any:
        """What stands for a value in the graph."""
        if isinstance(value, Tensor):
            return self.known[id(value)] if id(value) in self.known else self._constant(value)
        if isinstance(value, SIZES):
            return self._size(value)
        if isinstance(value, torch.device) and value == self.device:
            return self._device()
        if isinstance(value, dict):
            return {key: self.argument(one) for key, one in value.items()}
        if isinstance(value, slice):
            return slice(*map(self.argument, (value.start, value.stop, value.step)))
        if isinstance(value, tuple | list):
            parts = [self.argument(one) for one in value]
            if hasattr(value, "_fields"):
                return type(value)(*parts)
            return parts if isinstance(value, list) else tuple(parts)
        return value if type(value) in PLAIN else self._constant(value)

    def _constant(self, value: Any) -> fx.Node:
        path = self.attributes.get(id(value))
        if path is None:
            if self.born.get(id(value)):  # a hook has kept it
                raise Opens(self.born[id(value)])
            sizes = value.shape if isinstance(value, Tensor) else ()
            if isinstance(value, FakeTensor) or any(isinstance(one, SIZES) for one in sizes):
                raise LayerError(
                    f"a tensor of shape {_shape(value)} comes from no call of torch that can be "
                    "seen, as behind torch.vmap or torch.func"
                )
            path = f"_constant{len(self.kept)}"
        put(self.record.root, path, value)
        node = self.graph.get_attr(path)
        self.record.names[node] = path
        self.kept.append(value)
        self.known[id(value)] = node
        if isinstance(value, Tensor):
            self.record.facts[node] = Fact(tuple(value.shape), value.dtype)
        return node

    def _size(self, value: Any) -> Any:
        expression = self.fakes.known(value)
        if isinstance(expression, bool | int | float):
            return expression
        for symbol in expression.free_symbols - self.sizes.keys():
            if self.born.get(symbol):  # a hook has kept it
                raise Opens(self.born[symbol])
            if symbol not in self.record.symbols:
                raise LayerError("the size of a tensor depends on values")
            self.sizes[symbol] = self.graph.call_method("size", self.record.symbols[symbol])
            self.sizes[symbol].meta["size"] = symbol
        if expression not in self.sizes:
            last = next(iter(reversed(self.graph.nodes)))
            self.sizes[expression] = size_steps(self.graph, expression, self.sizes)
            while (last := last.next).op != "root":
                if expression.free_symbols <= self.record.symbols.keys():
                    last.meta["size"] = expression
        return self.sizes[expression]

    def _device(self) -> fx.Node:
        """Not that of the example, but that on which the halves will be."""
        if self._place is None:
            self._place = self.graph.call_function(getattr, (self.record.main, "device"))
            self._place.meta["device"] = True
        return self._place


def _shape(x: Tensor) -> str:
    return " x ".join(map(str, x.shape)) or "()"
