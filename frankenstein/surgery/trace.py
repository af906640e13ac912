"""A network as a torch.fx graph, its layers named as torchvision names them: what cut works on."""

import inspect
import math
import operator
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from frankenstein.errors import UserError, did_you_mean

# Python's `out += x` writes into out, and what fx calls it; fx itself records it as `out + x`.
IN_PLACE = {
    "iadd": "add",
    "isub": "sub",
    "imul": "mul",
    "itruediv": "truediv",
    "ifloordiv": "floordiv",
    "imod": "mod",
    "ipow": "pow",
    "iand": "and_",
    "ior": "or_",
}


class LayerError(UserError):
    """A layer that is not there, or after which a network cannot be cut; the message says more."""


@dataclass(frozen=True)
class Trace:
    """What a network does at evaluation, step by step; shares the network's weights."""

    network: nn.Module
    module: fx.GraphModule
    names: dict[fx.Node, str]  # of what a user can ask for: every step but constants and the output
    # What modules that are made of others give; None for several things at once.
    blocks: dict[str, fx.Node | None] = field(default_factory=dict)

    @property
    def nodes(self) -> list[fx.Node]:
        """All steps in order of execution, from the input to the output."""
        return list(self.module.graph.nodes)

    @property
    def inputs(self) -> list[fx.Node]:
        """The network's arguments."""
        return [node for node in self.nodes if node.op == "placeholder"]

    @property
    def title(self) -> str:
        """The network as messages call it."""
        return _title(self.network)

    def name(self, node: fx.Node) -> str:
        """What messages call a step."""
        return self.names.get(node, "the output" if node.op == "output" else node.name)

    def find(self, layer: str) -> fx.Node:
        """The step of that name.

        Raises:
            LayerError: if there is none, with the nearest names.
        """
        for node, name in self.names.items():
            if name == layer:
                return node
        inside = [name for name in self.names.values() if name.startswith(f"{layer}.")]
        if inside:
            raise LayerError(
                f"{layer!r} of {self.title} is a block of layers, not one; "
                f"its last is {inside[-1]!r}"
            )
        listed = "; `frankenstein layers NETWORK` lists those where it may be cut"
        hint = did_you_mean(layer, self.names.values()) or listed
        raise LayerError(f"{self.title} has no layer {layer!r}{hint}")


def trace(network: nn.Module, inside: bool = False) -> Trace:
    """The graph of a network in evaluation mode, with layers named as torchvision names them.

    torchvision's own blocks (torchvision.ops: a convolution with its normalisation, squeeze and
    excitation) are one step each, as in its feature extraction; `inside` opens them, for reading.

    Python runs once, here: what depends on `self.training` (functional dropout, auxiliary heads) is
    as at evaluation for good, and numbers that do not come from the input are constants. Layers
    that are modules (nn.Dropout, nn.BatchNorm2d) go on following their own mode.

    Source: torchvision.models.feature_extraction, whose settings these are. Unlike there
    a module always has its own name: torchvision calls the modules fc_1 and fc_2 "fc" and "fc_1".

    Raises:
        LayerError: if the network's control flow depends on data, with the line that does it.
    """
    tracer = _Tracer(network, inside)
    attributes = set(vars(network))
    try:
        with evaluating(network):
            graph = tracer.trace(network)
    except Exception as error:  # any code of the network may have met a symbol it cannot handle
        raise LayerError(
            f"cannot follow {_title(network)} to its layers: {error}{_place(error)}; "
            "its steps must not depend on the values in its input"
        ) from error
    else:
        module = fx.GraphModule(network, graph, _title(network))
    finally:
        # fx leaves tensors that the network makes on the way as attributes of the network.
        for name in set(vars(network)) - attributes:
            delattr(network, name)
    return Trace(network, module, tracer.names, tracer.blocks)


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


def overwrite(left: Any, operation: str, right: Any) -> Any:
    """`left += right` and its like, as one step of a graph.

    >>> overwrite([1], "iadd", [2])
    [1, 2]
    """
    return getattr(operator, operation)(left, right)


_OPS = "torchvision.ops"
_OPEN = ("ConvNormActivation", "SqueezeExcitation", "MLP")  # of these, what `inside` opens


class _Proxy(fx.Proxy):
    """A symbol that records `+=` as the overwriting it is."""


class _Tracer(fx.Tracer):
    """A tracer with symbols of that kind, which notes the names of steps and what blocks give."""

    def __init__(self, network: nn.Module, inside: bool) -> None:
        # Only a network that has imported torchvision can be made of its operations.
        ops = sys.modules.get(_OPS)
        super().__init__(autowrap_modules=(math,) if ops is None else (math, ops))
        self.names: dict[fx.Node, str] = {}
        self.blocks: dict[str, fx.Node | None] = {}
        blocks = [member for _, member in inspect.getmembers(ops, inspect.isclass)] if ops else []
        opened = tuple(getattr(ops.misc, name) for name in _OPEN) if ops and inside else ()
        self._leaves = tuple(block for block in blocks if not issubclass(block, opened))
        self._modules = {path for path, _ in network.named_modules()}
        self._called: set[str] = set()
        self._inside = ""  # the module whose code runs

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self._leaves) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        path, outer = self.path_of_module(m), self._inside
        self._inside = path
        try:
            if self.is_leaf_module(m, path):
                return self.create_proxy("call_module", path, args, kwargs)
            result = forward(*args, **kwargs)
        finally:
            self._inside = outer
        self.blocks[self._new(path, path)] = result.node if isinstance(result, fx.Proxy) else None
        return result

    def create_proxy(self, *args: Any, **kwargs: Any) -> fx.Proxy:
        proxy = super().create_proxy(*args, **kwargs)
        self.names[proxy.node] = self._name(proxy.node)
        return proxy

    def _name(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return self._new(self._inside, self._inside)
        function = re.sub(r"_\d+$", "", str(node))  # fx counts calls anywhere, a name those inside
        return self._new(f"{self._inside}.{function}".lstrip("."), None)

    def _new(self, name: str, module: str | None) -> str:
        """The name, or with the lowest number behind it that no call and no other module has."""
        for new in chain([name], (f"{name}_{i}" for i in count(1))):
            if new not in self._called and (new == module or new not in self._modules):
                break
        self._called.add(new)
        return new

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)


def _overwriting(operation: str) -> Any:
    def method(self: _Proxy, other: Any) -> fx.Proxy:
        arguments = (self, operation, other)
        return self.tracer.create_proxy(
            "call_function", overwrite, arguments, {}, name=IN_PLACE[operation]
        )

    return method


for _operation in IN_PLACE:
    setattr(_Proxy, f"__{_operation}__", _overwriting(_operation))


def _title(network: nn.Module) -> str:
    return type(network).__name__.lstrip("_")


def _place(error: Exception) -> str:
    """Where in the network's own code an error arose, as the end of a sentence."""
    ours = (str(Path(torch.__file__).parent), __file__)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(ours):
            return f" ({Path(frame.filename).name}, line {frame.lineno}: {frame.line})"
    return ""
